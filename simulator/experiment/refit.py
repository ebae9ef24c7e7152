# SPDX-License-Identifier: MIT
"""
Fitting again what a draw of the other costs leaves to be fitted
----------------------------------------------------------------

A cost that was fitted to measured times is not free: with other values of the costs that
nobody measured, the same fit would have found another value of it.  Here, for each draw
of the others, the fitted costs are moved so that the cells that they were fitted to take
what they take with the profile's own values: what was measured holds in every draw.

Modelled: for each fitted cost one factor on all its values.  Times of cells are linear in
these factors, with the slopes of the profile's machine; two or three simulations of each
cell find them.  Where the cells cannot tell factors apart, the least change.  Factors end
where a value leaves its range: the cells then take more or less, as far as ``missed``.

Not modelled: an error of the measured times themselves, but for fits that have a
covariance; fits to other figures than times of ``nr_hugepages``, which cannot be
simulated as a scenario.

Each cell is simulated with a few hundred pages and a cache that is as much smaller, once,
without spells of preempted vCPUs and of interrupts off, which would move with the costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.errors import InputError
from simulator.experiment.few_pages import with_cache_for
from simulator.experiment.runner import Runner
from simulator.geometry import folios_of_pmd
from simulator.machine import Machine
from simulator.machine.fits import FittedTime
from simulator.machine.override import leaves
from simulator.scenario import Scenario

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ("Refitted", "refitted", "refitted_costs")

_PAGES = 256
_NOISE = {"preset": "quiet", "irqs_off_share": 0.0, "preempted_share": 0.0}
# Of a factor, for the slopes; times move in whole nanoseconds per call.
_STEP = 0.2
# As near as a cell's time needs to be: the draws of its flushes leave as much.
_NEAR = 0.002
# What a change of a factor by 1 is as bad as: profiles miss what they were fitted to as far.
_KEPT = 0.02
_MOST_ROUNDS = 3


@dataclass(frozen=True)
class Refitted:
    """
    For each draw the values of the costs that were fitted, by dotted name in nanoseconds.

    ``missed`` is how far a cell is from its time at most, as a share, in each draw.
    """

    values: tuple[dict[str, float], ...]
    missed: tuple[float, ...]


def refitted_costs(machine: Machine) -> dict[str, dict[str, tuple[float, float, float]]]:
    """
    Return the costs that can be fitted again: of each the value and range of every member.

    By the name of the cost; members by dotted names, in nanoseconds.
    """
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for fit in machine.fits():
        for name in fit.parameters if fit.times else ():
            for key in machine.keys():  # noqa: SIM118 - of a machine, not of a mapping
                if key == name or key.startswith(f"{name}."):
                    found.setdefault(name, {})[key] = _range_ns(machine, key)
    return found


def refitted(machine: Machine, draws: Sequence[Mapping[str, float]], runner: Runner) -> Refitted:
    """
    Return what the fitted costs of a machine are with each draw of its other costs.

    :param draws: values by dotted name, in nanoseconds or as a count; those of fitted costs
        are not looked at.
    """
    costs = refitted_costs(machine)
    if not costs:
        return Refitted(tuple({} for _ in draws), (0.0,) * len(draws))
    cells = _Cells(machine, runner)
    groups = list(costs.values())
    low, high = _bounds(groups)
    # To the side on which there is more room.
    steps = np.where(high - 1 >= 1 - low, np.minimum(high - 1, _STEP), np.maximum(low - 1, -_STEP))
    changes = [_scaled(groups, row) for row in 1 + np.diag(steps)]
    wanted, *moved = cells.times([{}, *changes])
    slopes = np.array([
        (of - wanted) / wanted / step if step else np.zeros(len(wanted))
        for of, step in zip(moved, steps, strict=True)
    ]).T  # fmt: skip
    others = [{k: v for k, v in d.items() if not any(k in g for g in groups)} for d in draws]
    factors = np.ones((len(draws), len(groups)))
    missed = np.full(len(draws), np.inf)
    left = list(range(len(draws)))
    for _ in range(_MOST_ROUNDS):
        found = cells.times([others[i] | _scaled(groups, factors[i]) for i in left])
        going = []
        for i, times in zip(left, found, strict=True):
            errors = times / wanted - 1
            missed[i] = np.abs(errors).max()
            step = _step(slopes, errors, factors[i], low, high)
            if np.abs(slopes @ step).max() > _NEAR:
                factors[i] += step
                going.append(i)
        left = going
        if not left:
            break
    return Refitted(tuple(_scaled(groups, row) for row in factors), tuple(missed.tolist()))


# Bounded least squares of the relative errors; the last rows keep what no cell tells apart.
def _step(slopes: Floats, errors: Floats, at: Floats, low: Floats, high: Floats) -> Floats:
    from scipy.optimize import lsq_linear

    matrix = np.vstack([slopes, _KEPT * np.eye(len(at))])
    target = np.concatenate([-errors, _KEPT * (1 - at)])
    # A factor at the end of its range leaves no room on one side, which the solver needs.
    tiny = 1e-9
    found: Floats = lsq_linear(matrix, target, (low - at - tiny, high - at + tiny)).x
    return found


class _Cells:
    # The cells that a machine was fitted to, simulated with few pages.

    def __init__(self, machine: Machine, runner: Runner) -> None:
        self._machine = machine
        self._runner = runner
        self._wanted: dict[tuple[str, bool, str], list[FittedTime]] = {}
        for fit in machine.fits():
            for time in fit.times:
                key = (time.kernel, time.hvo, time.page_size)
                self._wanted.setdefault(key, []).append(time)

    def times(self, changes: Sequence[Mapping[str, float]]) -> list[Floats]:
        """Return the times of all cells, in nanoseconds, with each change of the machine."""
        scenarios = [
            self._scenario(times, self._machine.with_values(values) if values else self._machine)
            for values in changes
            for times in self._wanted.values()
        ]
        cells = dict(self._runner.run(scenarios, quietly=True))
        for cell in cells.values():
            if cell.error:
                raise InputError(f"uncertainty: a cell that was fitted to fails: {cell.error}")
        found = []
        for i in range(len(changes)):
            elapsed = []
            for j, times in enumerate(self._wanted.values()):
                summary = cells[i * len(self._wanted) + j].summary
                ns = dict(zip(map(str, summary["phase"]), summary["elapsed_ns"], strict=True))
                elapsed += [float(ns[time.phase]) for time in times]
            found.append(np.array(elapsed))
        return found

    @staticmethod
    def _scenario(times: Sequence[FittedTime], machine: Machine) -> Scenario:
        first = times[0]
        block = folios_of_pmd(first.page_size) * machine.nr_nodes
        pages = min(first.pages, -(-_PAGES // block) * block)
        rounds = max(int(time.phase.lstrip("alocfre") or 1) for time in times)
        return Scenario(
            machine=with_cache_for(pages, first.page_size, machine, first.pages),
            kernel=first.kernel, hvo=first.hvo, pages=pages, page_size=first.page_size,
            phases=("alloc", "free") * rounds, noise=_NOISE,
        )  # fmt: skip


def _range_ns(machine: Machine, key: str) -> tuple[float, float, float]:
    leaf: Any = leaves(machine)[key]
    scale = float(leaf.exact_ns) / leaf.value if leaf.value else 1.0
    return leaf.value * scale, leaf.range[0] * scale, leaf.range[1] * scale


def _scaled(
    groups: Sequence[Mapping[str, tuple[float, float, float]]], factors: Floats
) -> dict[str, float]:
    return {
        key: min(high, max(low, value * float(factor)))
        for group, factor in zip(groups, factors, strict=True)
        for key, (value, low, high) in group.items()
    }


# From where the first member of a cost leaves its range.
def _bounds(groups: Sequence[Mapping[str, tuple[float, float, float]]]) -> tuple[Floats, Floats]:
    ends = [
        [(low / value, high / value) for value, low, high in group.values() if value]
        for group in groups
    ]
    low = [max((least for least, _ in of), default=1.0) for of in ends]
    high = [min((most for _, most in of), default=1.0) for of in ends]
    return np.minimum(low, 1.0), np.maximum(high, 1.0)
