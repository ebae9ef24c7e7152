# SPDX-License-Identifier: MIT
"""
Reports of results and comparisons
----------------------------------

:func:`material_of` makes what the formats of :mod:`simulator.report.formats` take, with
the command that repeats it; :func:`saved_material` makes it of what was saved.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.analysis.compare import Comparison, compare_results
from simulator.analysis.frames import ResultTotals, name_of
from simulator.experiment.command import run_command
from simulator.experiment.saved import compare_saved
from simulator.experiment.store import is_store
from simulator.experiment.sweeps import Sweep
from simulator.report.formats.material import Material
from simulator.saved import load_result
from simulator.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("comparison_command", "material_of", "saved_comparison", "saved_material")


def material_of(
    found: ResultTotals | Comparison | Sweep, command: str = "", *, every: bool = False
) -> Material:
    """
    Return what a report of a result, a comparison or a sweep is made of.

    Without a ``command``, the one that simulates the same again.  ValueError for a sweep
    in which nothing could be compared.
    """
    ranking: pd.DataFrame | None = None
    if isinstance(found, Sweep):
        if found.comparison is None:
            raise ValueError("every point of the sweep failed")
        ranking = found.ranking if found.draws is not None else None
        comparison = found.comparison
    elif isinstance(found, Comparison):
        comparison = found
    else:
        comparison = compare_results([[found]])
    return Material(comparison, command or comparison_command(comparison), ranking, every=every)


def saved_comparison(folders: Sequence[Path]) -> Comparison:
    """Return the comparison of what was saved; of a single result, that alone."""
    if len(folders) == 1 and not is_store(folders[0]):
        return compare_results([[load_result(folders[0])]])
    return compare_saved(folders)


def saved_material(folders: Sequence[Path], *, every: bool = False) -> Material:
    """Return what a report of saved results and stores is made of."""
    return material_of(saved_comparison(folders), every=every)


def comparison_command(comparison: Comparison) -> str:
    """
    Return the command that simulates a comparison again, or those of its scenarios.

    A kernel from a user's file is named as it names itself; the report has its hash.
    """
    first = [runs[0] for runs in comparison.runs]
    given = [_given(run) for run in first]
    replications = [int(run.scenario.replication) for run in comparison.runs[0]]
    n = len(replications)
    if len(given) == 1:
        command = run_command(given[0], replications[0])
        return command if n == 1 else f"{command} (and --replication {replications[-1]} at last)"
    names = list(dict.fromkeys(name for of in given for name in of))
    varied = [name for name in names if len({name_of(of.get(name)) for of in given}) > 1]
    axes = {
        name: list({name_of(of.get(name)): of.get(name) for of in given}.values())
        for name in varied
    }
    size = 1
    for values in axes.values():
        size *= len(values)
    if size != len(given) or any(name_of(None) == name_of(v) for vs in axes.values() for v in vs):
        return "; ".join(run_command(of, replications[0]) for of in given)
    # The fields that all share as of a run, then each axis.
    words = shlex.split(run_command({k: v for k, v in given[0].items() if k not in axes}, 0))
    words[1] = "compare"
    for name, values in axes.items():
        for value in values:
            # Nothing is left out as a default here.
            words += shlex.split(run_command({name: value}, 0))[2:] or [
                f"--{name.replace('_', '-')}",
                name_of(value),
            ]
    return shlex.join([*words, "--replications", str(n)])


# As a user would have said it: what a kernel or a machine has by itself is left out.
def _given(run: ResultTotals) -> dict[str, Any]:
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
