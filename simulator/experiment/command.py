# SPDX-License-Identifier: MIT
"""
The command that repeats a simulation
-------------------------------------
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from simulator.analysis.frames import name_of
from simulator.scenario import Scenario

__all__ = ("run_command",)


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


def _text(name: str, value: Any) -> str:
    if value is None:
        return "all"
    if name == "noise" and isinstance(value, Mapping):
        return ",".join(f"{key}={of}" for key, of in value.items())
    if name in ("machine", "kernel", "noise") and not isinstance(value, type):
        # A file is found by its path, not by the name of what is in it.
        return str(value) if isinstance(value, str) or hasattr(value, "suffix") else name_of(value)
    return name_of(value)
