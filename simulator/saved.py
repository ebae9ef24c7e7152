# SPDX-License-Identifier: MIT
"""
Results loaded again
--------------------

A saved result is data: loading it runs no code.  The frames of a kernel from a
user's file are there; to simulate it again, the file has to be given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from simulator.errors import InputError
from simulator.inputs import user_path
from simulator.kernel import Kernel, kernel_named, kernels, load_kernel, mutants, proposals
from simulator.machine import Machine, Noise
from simulator.provenance import check_provenance
from simulator.run import replay
from simulator.scenario import Scenario
from simulator.trace.exchange.ftrace import Ftrace, read_ftrace
from simulator.trace.files import load_files
from simulator.trace.ipis import IpiLog
from simulator.trace.result import Result

__all__ = ("load_result", "open_result", "restore_scenario")


def load_result(directory: str | Path, kernel: str | Path | type[Kernel] | None = None) -> Result:
    """
    Return a saved result; InputError if there is none in the folder, or it was changed.

    ``kernel`` is the kernel that was simulated, where that was a file of one's own:
    :meth:`Result.ipis` needs it, and whoever wants to simulate the scenario again.
    """
    folder = Path(directory)
    resolved, provenance, frames = load_files(folder)
    try:
        scenario = restore_scenario(resolved)
        check_provenance(provenance)
    # Whatever else the scenario of another version, or of nobody, may be.
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise InputError(
            f"result: {folder} holds a scenario that this version of tlbsim does not know"
        ) from None
    if kernel is not None:
        scenario = scenario.replace(kernel=load_kernel(kernel))
        _check_key(scenario, provenance["key"], "result")
    return Result(
        scenario,
        provenance,
        columns=frames.__getitem__,
        replay=partial(_replay, scenario, provenance["key"]),
        describe=lambda: resolved,
    )


def open_result(path: str | Path) -> Result | Ftrace:
    """
    Return what a path stands for: a saved result (a folder), or the trace of a real machine.

    Both have the frames ``summary``, ``counts``, ``flushes`` and ``latency`` and the method
    ``ipis()``; a trace has those columns only that a trace can tell.  InputError if it is neither.
    """
    where = user_path(path, "result")
    return load_result(where) if where.is_dir() else read_ftrace(where)


def restore_scenario(resolved: Mapping[str, Any]) -> Scenario:
    """Return the scenario that was resolved; its kernel, if a user's, by name only."""
    fields = dict(resolved)
    fields["machine"] = Machine.model_validate_json(json.dumps(resolved["machine"]))
    fields["noise"] = Noise.model_validate_json(json.dumps(resolved["noise"]))
    name, base = resolved["kernel"]["name"], resolved["kernel"]["base"]
    known = (*kernels(), *proposals(), *mutants())
    fields["kernel"] = (
        kernel_named(name)
        if name in known
        else _absent(name, resolved["kernel"], resolved["tunables"])
    )
    # What was resolved from a default is nothing that a user said.
    like = name if name in known else base
    defaults = kernel_named(like).TUNABLES if like in known else {}
    fields["tunables"] = {
        key: value
        for key, value in resolved["tunables"].items()
        if key not in defaults or value != defaults[key][0]
    }
    if resolved["cpus"] == fields["machine"].nr_cpus:
        fields["cpus"] = None
    return Scenario(**fields)


def _absent(name: str, kernel: Mapping[str, Any], tunables: Mapping[str, int]) -> type[Kernel]:
    """Return what stands for a kernel from a user's file: all that is known, and nothing to run."""
    # The cell of an experiment has no source, only its checksum.
    text = kernel.get("source", "")
    if not all(isinstance(part, str) for part in (name, kernel["base"], text)):
        raise TypeError("a kernel is described by texts")

    def source() -> str:
        return str(text)

    def digest() -> str:
        return hashlib.sha256(text.encode()).hexdigest() if text else str(kernel.get("sha256", ""))

    def refuse(*_: object) -> NoReturn:
        raise InputError(
            f"kernel: {name} is not of this package; give the file that it was, such as"
            " load_result(folder, kernel='my_patch.py')"
        )

    known = {name: (value, value, value, "as it was saved") for name, value in tunables.items()}
    members = {
        "name": name,
        "base": kernel["base"],
        "subject": "",
        "commit": "",
        "summary": "",
        "TUNABLES": known,
        "source": staticmethod(source),
        "digest": staticmethod(digest),
        "__init__": refuse,
    }
    return type("AbsentKernel", (Kernel,), members)


def _replay(scenario: Scenario, key: str, log: IpiLog) -> None:
    _check_key(scenario, key, "ipis")
    replay(scenario, log)


def _check_key(scenario: Scenario, key: str, field: str) -> None:
    if scenario.key != key:
        raise InputError(
            f"{field}: kernel {scenario.kernel_class.name} is not, or no longer, the code that"
            " made this result; run the scenario again"
        )
