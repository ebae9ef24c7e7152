# SPDX-License-Identifier: MIT
"""
Measured times that belong to a result
--------------------------------------

Which timings of a real machine are of what a result simulated, and to which of them the
profile of a machine was fitted: what its calibration records, and nothing else, says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from simulator.analysis.frames import ResultTotals, name_of

if TYPE_CHECKING:
    from simulator.machine import Machine
    from simulator.published.times import Cell, Timing

__all__ = ("fitted_to_ns", "measured_for", "was_fitted")


def measured_for(result: ResultTotals, times: Iterable[Timing]) -> dict[str, Timing]:
    """Return, by phase, those of the times that are of what this result simulated."""
    s = result.scenario
    if s.nr_cpus != s.machine_model.nr_cpus or s.path != "pool" or s.allocators != 1:
        return {}
    simulated = (s.machine_model.name, name_of(s.kernel), s.hvo, s.pages, s.page_size)
    return {
        t.phase: t for t in times if (t.machine, t.kernel, t.hvo, t.pages, t.page_size) == simulated
    }


def fitted_to_ns(machine: Machine, cell: Cell) -> tuple[int, ...]:
    """Return the times of a cell that a machine was fitted to, as its profile records them."""
    return tuple(
        time.elapsed_ns for fit in machine.fits() for time in fit.times if time.cell == cell
    )


def was_fitted(machine: Machine, timing: Timing) -> bool:
    """Return whether a machine was fitted to this very time; if not, it predicts it."""
    return timing.elapsed_ns in fitted_to_ns(machine, timing.cell)
