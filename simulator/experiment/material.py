# SPDX-License-Identifier: MIT
"""
Reports of results and comparisons
----------------------------------

:func:`material_of` makes what the formats of :mod:`simulator.report.formats` take, with
the command that repeats it.
"""

from __future__ import annotations

import shlex

from simulator.analysis.compare import Comparison, compare_results
from simulator.analysis.frames import ResultTotals, name_of
from simulator.experiment.command import given_of, run_command
from simulator.experiment.evidence import Evidence
from simulator.experiment.sweeps import Sweep
from simulator.report.formats.material import Material

__all__ = ("comparison_command", "material_of")


def material_of(
    found: ResultTotals | Comparison | Sweep,
    command: str = "",
    *,
    every: bool = False,
    evidence: Evidence | None = None,
) -> Material:
    """
    Return what a report of a result, a comparison or a sweep is made of.

    Without a ``command``, the one that simulates the same again.  ValueError for a sweep
    in which nothing could be compared.
    """
    if isinstance(found, Sweep):
        if found.comparison is None:
            raise ValueError("every point of the sweep failed")
        comparison = found.comparison
        evidence = evidence or Evidence(found.ranking if found.draws is not None else None)
    elif isinstance(found, Comparison):
        comparison = found
    else:
        comparison = compare_results([[found]])
    return Material(comparison, command or comparison_command(comparison), evidence, every=every)


def comparison_command(comparison: Comparison) -> str:
    """
    Return the command that simulates a comparison again, or those of its scenarios.

    A kernel from a user's file is named as it names itself; the report has its hash.
    """
    first = [runs[0] for runs in comparison.runs]
    given = [given_of(run) for run in first]
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
    # The default of an option may have no word on the command line; that of cpus has.
    unsaid = any(v is None for name, vs in axes.items() if name != "cpus" for v in vs)
    if size != len(given) or unsaid:
        return "; ".join(run_command(of, replications[0]) for of in given)
    # The fields that all share as of a run, then each axis.
    words = shlex.split(run_command({k: v for k, v in given[0].items() if k not in axes}, 0))
    words[1] = "compare"
    for name, values in axes.items():
        for value in values:
            # Nothing is left out as a default here.
            words += shlex.split(run_command({name: value}, 0))[2:] or [
                f"--{name.replace('_', '-')}",
                "all" if value is None else name_of(value),
            ]
    return shlex.join([*words, "--replications", str(n)])
