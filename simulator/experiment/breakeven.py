# SPDX-License-Identifier: MIT
"""
Break-even: where one kernel stops being better than another
------------------------------------------------------------

A number of the scenario, its machine or its noise is varied until the two scenarios
that are compared take the same time. Where the sign of the mean difference changes
between two neighbours of a grid, the place is found by bisection.

Modelled: the sign of the mean paired difference of elapsed times in one phase.

Not modelled: changes of sign between two points of the grid that cancel out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.analysis.stats import compare_pairs
from simulator.errors import InputError, nearest
from simulator.experiment.axes import with_values
from simulator.experiment.runner import Runner
from simulator.machine.override import leaves
from simulator.machine.values import Fact, Time
from simulator.scenario import Scenario

__all__ = ("BreakEven", "Step", "break_even", "checked_range", "numeric_range")

_GRID = 7
# How near the place is known, of a number that is not whole.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Step:
    """A value that was tried: ratio of the means, and whether the difference is significant."""

    value: float
    ratio: float
    significant: bool


@dataclass(frozen=True)
class BreakEven:
    """
    Where `changed` stops being faster than `base` as ``field`` varies, in one phase.

    ``places`` are pairs of neighbouring values between which the sign changes, the
    faster side told by ``steps``: everything that was tried, in order.
    """

    field: str
    phase: str
    places: tuple[tuple[float, float], ...]
    steps: tuple[Step, ...]


def numeric_range(given: Mapping[str, Any], field: str) -> tuple[float, float, bool]:
    """
    Return the range over which a field can be varied, and whether it takes whole numbers alone.

    That of a cost is its plausible range; ``cpus`` go from 2 to all of the machine.
    InputError for a field that is no number or has no range of its own.
    """
    scenario = with_values(given, {})
    machine = scenario.machine_model
    if field == "cpus":
        return 2, machine.nr_cpus, True
    if field == "pages":
        return 1, scenario.pages, True
    if field == "allocators":
        return 1, min(scenario.nr_cpus, scenario.pages), True
    if field.startswith(("costs.", "mechanisms.")):
        times = {key: leaf for key, leaf in leaves(machine).items() if isinstance(leaf, Time)}
        known = [key for key in times if key.startswith(("costs.", "mechanisms."))]
        if field in known:
            leaf: Any = leaves(machine)[field]
            scale = float(leaf.exact_ns) / leaf.value if leaf.value else 1.0
            return leaf.range[0] * scale, leaf.range[1] * scale, False
        raise InputError(f"break-even: the machine has no {field!r}{nearest(field, known)}")
    if field in ("noise.idle_share", "noise.irqs_off_share", "noise.preempted_share"):
        return 0.0, 1.0, False
    names = ("cpus", "pages", "allocators", "costs.NAME", "noise.idle_share")
    raise InputError(
        f"break-even: {field!r} is none of {', '.join(names)}{nearest(field, names)};"
        " give its range as LOW..HIGH"
    )


def checked_range(
    base: Mapping[str, Any],
    changed: Mapping[str, Any],
    field: str,
    bounds: tuple[float, float] | None,
) -> tuple[float, float, bool]:
    """
    Return the range as :func:`numeric_range` of `base`, or as given.

    InputError for an empty one, and for a value in it that one of the two cannot have.
    """
    if bounds is None:
        low, high, whole = numeric_range(base, field)
    else:
        (low, high), whole = bounds, _is_whole(base, field)
        for end in bounds:
            if whole and end % 1 != 0:
                raise InputError(f"break-even: {field} must be a whole number, not {end:g}")
    if not low < high:
        raise InputError(f"break-even: {field} has nothing between {low:g} and {high:g}")
    for value in _grid(low, high, whole):
        for given in (base, changed):
            with_values(given, {field: int(value) if whole else value})
    return low, high, whole


# A name without a dot is that of a field or a tunable, which all count something.
def _is_whole(given: Mapping[str, Any], field: str) -> bool:
    leaf = leaves(with_values(given, {}).machine_model).get(field)
    return "." not in field or (isinstance(leaf, Fact) and isinstance(leaf.value, int))


def break_even(
    base: Mapping[str, Any],
    changed: Mapping[str, Any],
    field: str,
    runner: Runner,
    replications: int,
    bounds: tuple[float, float] | None = None,
) -> list[BreakEven]:
    """Return, for each phase, where the elapsed times of two scenarios cross as a field varies."""
    low, high, whole = checked_range(base, changed, field, bounds)
    tried: dict[float, list[Step]] = {}

    def at(value: float) -> list[Step]:
        if value not in tried:
            told: Any = int(value) if whole else value
            pair = [with_values(of, {field: told}) for of in (base, changed)]
            tried[value] = _compared(pair, value, runner, replications)
        return tried[value]

    grid = _grid(low, high, whole)
    phases = with_values(base, {}).phase_labels
    for value in grid:
        at(value)
    places: list[list[tuple[float, float]]] = [[] for _ in phases]
    for i, of_phase in enumerate(places):

        def faster(value: float, phase: int = i) -> bool:
            return at(value)[phase].ratio < 1

        for left, right in itertools.pairwise(grid):
            if faster(left) != faster(right):
                of_phase.append(_bisected(faster, left, right, whole))
    return [
        BreakEven(field, phase, tuple(places[i]), tuple(tried[v][i] for v in sorted(tried)))
        for i, phase in enumerate(phases)
    ]


def _bisected(
    faster: Callable[[float], bool], low: float, high: float, whole: bool
) -> tuple[float, float]:
    left, right = low, high
    while not _near(left, right, whole):
        middle = _middle(left, right, whole)
        if faster(middle) == faster(left):
            left = middle
        else:
            right = middle
    return left, right


def _compared(pair: list[Scenario], value: float, runner: Runner, replications: int) -> list[Step]:
    scenarios = [s.replace(replication=n) for s in pair for n in range(replications)]
    cells = dict(runner.run(scenarios))
    for cell in cells.values():
        if cell.error:
            raise InputError(f"break-even: {cell.error} (at {value:g})")
    elapsed = [cells[i].summary["elapsed_ns"].tolist() for i in range(len(scenarios))]
    steps = []
    for phase in range(len(pair[0].phase_labels)):
        before, after = (
            [float(of[phase]) for of in elapsed[side * replications : (side + 1) * replications]]
            for side in (0, 1)
        )
        found = compare_pairs(after, before)
        ratio = math.nan if found.ratio is None else found.ratio.mean
        steps.append(Step(value, ratio, found.significant))
    return steps


def _grid(low: float, high: float, whole: bool) -> list[float]:
    start = low if low > 0 else high / 1000
    ratio = (high / start) ** (1 / (_GRID - 1))
    values = [start * ratio**i for i in range(_GRID)]
    values[-1] = high
    if low <= 0:
        values.insert(0, low)
    return sorted({float(round(v)) if whole else v for v in values})


def _near(left: float, right: float, whole: bool) -> bool:
    return right - left <= (1 if whole else _TOLERANCE * max(abs(left), abs(right)))


def _middle(left: float, right: float, whole: bool) -> float:
    middle = math.sqrt(left * right) if left > 0 else (left + right) / 2
    return min(max(float(round(middle)), left + 1), right - 1) if whole else middle
