# SPDX-License-Identifier: MIT
"""
Results loaded again
--------------------
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simulator.errors import InputError
from simulator.inputs import user_path
from simulator.kernel import kernels, load_kernel, proposals
from simulator.machine import Machine, Noise
from simulator.run import replay
from simulator.scenario import Scenario
from simulator.trace.exchange.ftrace import Ftrace, read_ftrace
from simulator.trace.files import load_columns, load_json
from simulator.trace.ipis import IpiLog
from simulator.trace.result import Result

__all__ = ("load_result", "open_result", "restore_scenario")


def load_result(directory: str | Path) -> Result:
    """Return a saved result; InputError if there is none in the folder."""
    folder = Path(directory)
    resolved, provenance = load_json(folder)
    try:
        scenario = restore_scenario(resolved)
    except (KeyError, TypeError, ValidationError, InputError):
        raise InputError(
            f"result: {folder} holds a scenario that this version of tlbsim does not know"
        ) from None
    return Result(
        scenario,
        provenance,
        columns=load_columns(folder),
        replay=partial(_replay_saved, scenario, provenance["key"]),
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
    # A kernel from a user's file is known by name only; its key tells it from any other.
    fields["kernel"] = (
        load_kernel(name)
        if name in (*kernels(), *proposals())
        else type("SavedKernel", (load_kernel(base),), {"name": name})
    )
    return Scenario(**fields)


def _replay_saved(scenario: Scenario, key: str, log: IpiLog) -> None:
    if scenario.key != key:
        raise InputError(
            f"ipis: kernel {scenario.kernel_class.name} is no longer the code that made this"
            " result; run the scenario again"
        )
    replay(scenario, log)
