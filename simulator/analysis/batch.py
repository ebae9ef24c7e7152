# SPDX-License-Identifier: MIT
"""
The price of a batch
--------------------

How many folios share a broadcast, against the longest stall and the pages held meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.analysis.frames import ResultTotals, of_phase, records

__all__ = ("BatchPrice", "batch_price")


@dataclass(frozen=True, slots=True)
class BatchPrice:
    """
    One phase of a scenario, the worst of its replications.

    ``folios_per_flush``: of all of them together; None without a flush.  ``ptl_held_ns`` is how
    long ``page_table_lock`` was held, ``irqs_off_ns`` how long interrupts were off, and
    ``held_pages`` how many base pages waited for a flush, each at most.
    """

    folios_per_flush: float | None
    ptl_held_ns: int
    irqs_off_ns: int
    held_pages: int


def batch_price(runs: Sequence[ResultTotals], phase: str) -> BatchPrice | None:
    """Return what a phase pays, over the replications of a scenario; None without the phase."""
    rows = [row for run in runs for row in records(of_phase(run.summary, phase))]
    if not rows:
        return None
    flushes = sum(row["flushes"] for row in rows)
    return BatchPrice(
        folios_per_flush=sum(row["pages"] for row in rows) / flushes if flushes else None,
        ptl_held_ns=max(row["ptl_held_max_ns"] for row in rows),
        irqs_off_ns=max(row["irqs_off_max_ns"] for row in rows),
        held_pages=max(row["peak_held_pages"] for row in rows),
    )
