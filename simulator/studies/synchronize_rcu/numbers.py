# SPDX-License-Identifier: MIT
"""
What grace periods cost
-----------------------

How much of a request was spent in synchronize_rcu(), and from how many huge pages on
one grace period to a batch is too small a part of it to matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.analysis.frames import ResultFrames, name_of, of_phase, records, row_of_phase
from simulator.analysis.safety import any_unsafe

__all__ = ("RcuCost", "rcu_costs", "small_from")


@dataclass(frozen=True)
class RcuCost:
    """
    One phase of one run, and the grace periods in it.

    ``mean_ns`` is what a grace period takes on average on this machine, ``rcu_ns`` what
    those of this run took; ``unsafe``, that the run broke what must hold.
    """

    kernel: str
    path: str
    phase: str
    pages: int
    mean_ns: float
    elapsed_ns: int
    rcu_ns: int
    grace_periods: int
    flushes: int
    unsafe: bool

    @property
    def share(self) -> float:
        """The part of the time that was spent waiting for grace periods."""
        return self.rcu_ns / self.elapsed_ns


def rcu_costs(result: ResultFrames) -> list[RcuCost]:
    """Return what grace periods cost in each phase of a run with one task at a time."""
    s = result.scenario
    unsafe = any_unsafe([result])
    waits = result.time_by[result.time_by["category"] == "rcu"]
    return [
        RcuCost(
            kernel=name_of(s.kernel),
            path=s.path,
            phase=row["phase"],
            pages=s.pages,
            mean_ns=float(s.machine_model.costs.synchronize_rcu.exact_ns),
            elapsed_ns=row["elapsed_ns"],
            rcu_ns=int(of_phase(waits, row["phase"])["ns"].sum()),
            grace_periods=row_of_phase(result.counts, row["phase"])["synchronize_rcu_calls"],
            flushes=row["flushes"],
            unsafe=unsafe,
        )
        for row in records(result.summary)
    ]


def small_from(batches: Sequence[RcuCost], share: float) -> int | None:
    """
    Return from how many pages on a batch spends less than a share of its time in one grace period.

    :param batches: of one phase and one mean, by rising number of pages; time in between is
        interpolated.  None: from no number of pages that was simulated.
    """
    # A grace period of average length: that of a single run is one draw.
    needed_ns = batches[0].mean_ns * (1 - share) / share
    pages = [cost.pages for cost in batches]
    rest_ns = [cost.elapsed_ns - cost.rcu_ns for cost in batches]
    if rest_ns[-1] < needed_ns:
        return None
    return math.ceil(np.interp(needed_ns, rest_ns, pages))
