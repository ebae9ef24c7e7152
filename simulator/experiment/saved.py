# SPDX-License-Identifier: MIT
"""
Comparing what was saved
------------------------

A saved result or a store is one side of a comparison: what is the same in all its
runs is what it stands for, and what varies among them is where it is met by the
other sides. Of a sweep that was not finished, the replications that all have; a
scenario of which a run failed is left out, and what failed is told apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulator.analysis.compare import Comparison, compare_results, described
from simulator.analysis.frames import ResultTotals, phases_of
from simulator.errors import InputError
from simulator.experiment.cell import Cell
from simulator.experiment.command import command_of
from simulator.experiment.store import Store, is_store
from simulator.kernel import kernels, mutants, proposals
from simulator.saved import load_result

__all__ = ("Saved", "compare_saved", "saved_comparison")

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Saved:
    """What was saved, compared, and the cells of stores that failed."""

    comparison: Comparison
    failed: tuple[Cell, ...]


def saved_comparison(folders: Sequence[Path]) -> Saved:
    """Return the comparison of what was saved; of a single result, that alone."""
    if len(folders) == 1 and not is_store(folders[0]):
        return Saved(compare_results([[load_result(folders[0])]]), ())
    return compare_saved(folders)


def compare_saved(folders: Sequence[Path]) -> Saved:
    """
    Compare saved results and stores with the first of them; InputError if they have no pairs.

    A store by itself is compared kernel by kernel, or by whatever else varies in it.
    """
    read = [_runs(folder) for folder in folders]
    failed = tuple(cell for _, of in read for cell in of)
    return Saved(_compared(folders, [runs for runs, _ in read]), failed)


def _compared(folders: Sequence[Path], sides: Sequence[Sequence[ResultTotals]]) -> Comparison:
    if len(sides) == 1:
        return _within(folders[0], sides[0])
    points = [_points(runs) for runs in sides]
    constant = [_constant(of) for of in points]
    # Fields that vary within some side have to be the same in what is compared.
    met = sorted({name for fixed in constant for name in _names(points) if name not in fixed})
    results: list[Sequence[ResultTotals]] = []
    baselines: list[int] = []
    names: list[str] = []
    by_place = [_by_place(of, met) for of in points]
    for place, base in by_place[0].items():
        others = [(i, of[place]) for i, of in enumerate(by_place[1:], 1) if place in of]
        for i, runs in others:
            pairs = _paired(base, runs)
            if pairs is None:
                continue
            if not results or results[-1] is not pairs[0]:
                baselines += [len(results)] * 2
                results += [pairs[0], pairs[1]]
                names += [str(folders[0]), str(folders[i])]
    if not results:
        raise InputError(
            f"compare: {folders[0]} and {folders[1]} have no runs of the same seed, replication,"
            " phases and point"
        )
    return compare_results(results, baselines=baselines, sources=names)


def _within(folder: Path, runs: Sequence[ResultTotals]) -> Comparison:
    points = _points(runs)
    if len(points) < 2:
        raise InputError(f"compare: {folder} has one scenario; name another folder beside it")
    varied = [name for name in _names([points]) if name not in _constant(points)]
    compared = next((name for name in ("kernel", "hvo") if name in varied), varied[0])
    groups: dict[Fields, list[Fields]] = {}
    for key in points:
        groups.setdefault(tuple(pair for pair in key if pair[0] != compared), []).append(key)
    results: list[Sequence[ResultTotals]] = []
    baselines: list[int] = []
    for group in groups.values():
        shared = set.intersection(*({_replication(run) for run in points[key]} for key in group))
        if shared:
            baselines += [len(results)] * len(group)
            results += [[r for r in points[key] if _replication(r) in shared] for key in group]
    if not results:
        raise InputError(f"compare: {folder} has no runs that share a replication")
    return compare_results(results, baselines=baselines)


# What can be compared, and what failed.
def _runs(folder: Path) -> tuple[list[ResultTotals], list[Cell]]:
    if not is_store(folder):
        return [load_result(folder)], []
    cells = list(Store(folder).cells())
    failed = [cell for cell in cells if cell.error]
    left_out = {_described(cell) for cell in failed}
    found: list[ResultTotals] = [cell for cell in cells if _described(cell) not in left_out]
    if failed and not found:
        raise InputError(
            f"compare: {folder} has nothing but failures: {failed[0].error}; repeat it with:"
            f" {command_of(failed[0])}"
        )
    if not found:
        raise InputError(
            f"compare: {folder} is a store without cells that this version of tlbsim knows"
        )
    return found, failed


# The runs of each scenario by replication, scenarios in the order of their description.
def _points(runs: Sequence[ResultTotals]) -> dict[Fields, list[ResultTotals]]:
    found: dict[Fields, list[ResultTotals]] = {}
    for run in sorted(runs, key=lambda r: (r.scenario.seed, r.scenario.replication)):
        found.setdefault(_described(run), []).append(run)
    return dict(sorted(found.items(), key=lambda item: _in_order(item[0], item[1][0])))


# v6.6 before v6.12, 8 CPUs before 32, and a kernel of a user's own after those it may be held
# against.
def _in_order(key: Fields, run: ResultTotals) -> tuple[bool, list[tuple[bool, int, str]]]:
    own = run.scenario.kernel_class.name not in (*kernels(), *proposals(), *mutants())
    parts = [part for _, value in key for part in re.split(r"(\d+)", value)]
    return own, [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _described(run: ResultTotals) -> Fields:
    ignored = ("seed", "replication")
    return tuple((k, v) for k, v in described(run).items() if k not in ignored)


def _names(points: Sequence[Mapping[Fields, object]]) -> list[str]:
    return list(dict.fromkeys(name for of in points for key in of for name, _ in key))


def _constant(points: Mapping[Fields, object]) -> set[str]:
    values: dict[str, set[str]] = {}
    for key in points:
        for name, value in key:
            values.setdefault(name, set()).add(value)
    return {name for name, of in values.items() if len(of) == 1}


def _by_place(
    points: Mapping[Fields, list[ResultTotals]], met: Sequence[str]
) -> dict[Fields, list[ResultTotals]]:
    return {tuple(pair for pair in key if pair[0] in met): runs for key, runs in points.items()}


def _paired(
    base: Sequence[ResultTotals], runs: Sequence[ResultTotals]
) -> tuple[list[ResultTotals], list[ResultTotals]] | None:
    there = {_replication(run): run for run in runs if phases_of(run) == phases_of(base[0])}
    pairs = [(run, there[_replication(run)]) for run in base if _replication(run) in there]
    return ([p[0] for p in pairs], [p[1] for p in pairs]) if pairs else None


def _replication(run: ResultTotals) -> tuple[int, int]:
    return (run.scenario.seed, run.scenario.replication)
