# SPDX-License-Identifier: MIT
"""
Comparing what was saved
------------------------

A saved result or a store is one side of a comparison: what is the same in all its
runs is what it stands for, and what varies among them is where it is met by the
other sides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulator.analysis.compare import Comparison, compare_results, described
from simulator.analysis.frames import ResultTotals, phases_of
from simulator.errors import InputError
from simulator.experiment.store import Store, is_store
from simulator.saved import load_result

__all__ = ("compare_saved",)

Fields = tuple[tuple[str, str], ...]


def compare_saved(folders: Sequence[Path]) -> Comparison:
    """
    Compare saved results and stores with the first of them; InputError if they have no pairs.

    A store by itself is compared kernel by kernel, or by whatever else varies in it.
    """
    sides = [_runs(folder) for folder in folders]
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
    keys = list(points)
    base_of: dict[Fields, int] = {}
    baselines = []
    for i, key in enumerate(keys):
        place = tuple(pair for pair in key if pair[0] != compared)
        baselines.append(base_of.setdefault(place, i))
    return compare_results([points[key] for key in keys], baselines=baselines)


def _runs(folder: Path) -> list[ResultTotals]:
    if is_store(folder):
        found: list[ResultTotals] = list(Store(folder).cells())
        if not found:
            raise InputError(f"compare: {folder} is a store without cells")
        return found
    return [load_result(folder)]


# The runs of each scenario by replication, scenarios in the order of their description.
def _points(runs: Sequence[ResultTotals]) -> dict[Fields, list[ResultTotals]]:
    found: dict[Fields, list[ResultTotals]] = {}
    for run in sorted(runs, key=lambda r: (r.scenario.seed, r.scenario.replication)):
        found.setdefault(_described(run), []).append(run)
    return dict(sorted(found.items(), key=lambda item: _in_order(item[0])))


# v6.6 before v6.12, and 8 CPUs before 32.
def _in_order(key: Fields) -> list[tuple[bool, int, str]]:
    parts = [part for _, value in key for part in re.split(r"(\d+)", value)]
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


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
    def key(run: ResultTotals) -> tuple[int, int]:
        return (run.scenario.seed, run.scenario.replication)

    there = {key(run): run for run in runs if phases_of(run) == phases_of(base[0])}
    pairs = [(run, there[key(run)]) for run in base if key(run) in there]
    return ([p[0] for p in pairs], [p[1] for p in pairs]) if pairs else None
