# SPDX-License-Identifier: MIT
"""
The command that repeats a simulation
-------------------------------------
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from simulator.analysis.frames import ResultTotals, name_of
from simulator.scenario import Scenario

__all__ = ("command_of", "given_of", "run_command")


def run_command(given: Mapping[str, Any], replication: int) -> str:
    """
    Return ``tlbsim run`` with everything that is not as it is without being said.

    ``given`` maps fields of a scenario, and what :func:`simulator.experiment.axes.with_values`
    takes besides, to their values.

    >>> run_command({"machine": "laptop-8", "pages": 8, "hvo": False, "costs.invlpg": 90}, 2)
    'tlbsim run --machine laptop-8 --pages 8 --hvo off --set costs.invlpg=90 --replication 2'
    """
    words = ["tlbsim", "run"]
    for name, value in given.items():
        field = Scenario.model_fields.get(name)
        if field is None:
            words += [
                "--set",
                f"{name}={value}",
            ]
        elif name == "replication" or (value == field.default and name != "pages"):
            continue
        elif name == "faults":
            for kind, nth in value.items():
                words += ["--fault", f"{kind}={','.join(map(str, nth))}"]
        elif name == "tunables":
            for key, number in value.items():
                words += ["--set", f"{key}={number}"]
        else:
            words += [f"--{name.replace('_', '-')}", _text(name, value)]
    if replication:
        words += ["--replication", str(replication)]
    return shlex.join(words)


def given_of(run: ResultTotals) -> dict[str, Any]:
    """
    Return the fields of a run as a user would have said them, and what was set.

    What a kernel or a machine has by itself is left out; a kernel from a user's file is
    named as it names itself.
    """
    s = run.scenario
    fields: dict[str, Any] = {
        name: getattr(s, name)
        for name in Scenario.model_fields
        if name not in ("engine", "replication")
    }
    known = s.kernel_class.TUNABLES
    fields["tunables"] = {k: v for k, v in s.tunables.items() if k in known and v != known[k][0]}
    fields["cpus"] = None if s.cpus == s.machine_model.nr_cpus else s.cpus
    for name in ("machine", "noise", "kernel"):
        if not isinstance(fields[name], str):
            fields[name] = name_of(fields[name])
    return fields | dict(run.provenance.get("set", {}))


def command_of(run: ResultTotals) -> str:
    """Return the command that simulates a run again."""
    return run_command(given_of(run), run.scenario.replication)


def _text(name: str, value: Any) -> str:
    if value is None:
        return "all"
    if name == "noise" and isinstance(value, Mapping):
        return ",".join(f"{key}={of}" for key, of in value.items())
    if name in ("machine", "kernel", "noise") and not isinstance(value, type):
        # A file is found by its path, not by the name of what is in it.
        return str(value) if isinstance(value, str) or hasattr(value, "suffix") else name_of(value)
    if name == "kernel" and value.own_file:
        return str(value.own_file)
    return name_of(value)
