# SPDX-License-Identifier: MIT
"""
How many barriers, and how long they take
-----------------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.analysis.frames import ResultFrames, name_of, of_phase, records, row_of_phase

__all__ = ("MIDDLE", "Barriers", "barriers", "value_of")

#: What smp_wmb() was set to: what the machine has, or an end of its range.
MIDDLE = "as it is"


@dataclass(frozen=True)
class Barriers:
    """
    The barriers of one phase of a run.

    ``nr_wmb`` smp_wmb() of ``wmb_ns`` each; ``barrier_ns`` is all of them and, on arm64, DSB ISHST
    after stores to page tables. ``set_to`` says where in its range smp_wmb() is.
    """

    machine: str
    isa: str
    set_to: str
    page_size: str
    phase: str
    pages: int
    elapsed_ns: int
    nr_wmb: int
    wmb_ns: float
    barrier_ns: int

    @property
    def all_wmb_ns(self) -> float:
        """The time of smp_wmb() alone."""
        return self.nr_wmb * self.wmb_ns

    @property
    def share(self) -> float:
        """How much of the time were barriers."""
        return self.barrier_ns / self.elapsed_ns if self.elapsed_ns else 0.0


def barriers(result: ResultFrames) -> list[Barriers]:
    """Return the barriers of each phase of a run."""
    s = result.scenario
    machine = s.machine_model
    wmb = machine.costs.smp_wmb
    low, _ = wmb.range
    changed = machine.changed()
    set_to = MIDDLE if not changed else "least" if wmb.value == low else "most"
    waits = result.time_by[result.time_by["category"] == "barrier"]
    return [
        Barriers(
            machine=machine.name,
            isa=machine.isa,
            set_to=set_to,
            page_size=name_of(s.page_size),
            phase=row["phase"],
            pages=row["pages"],
            elapsed_ns=row["elapsed_ns"],
            nr_wmb=_nr_wmb(row_of_phase(result.counts, row["phase"])),
            wmb_ns=float(wmb.exact_ns),
            barrier_ns=int(of_phase(waits, row["phase"])["ns"].sum()),
        )
        for row in records(result.summary)
    ]


def value_of(
    found: Sequence[Barriers], machine: str, page_size: str, phase: str
) -> dict[str, Barriers]:
    """Return a phase on a machine, by what smp_wmb() was set to."""
    return {
        row.set_to: row
        for row in found
        if (row.machine, row.page_size, row.phase) == (machine, page_size, phase)
    }


# One before a new page table is stored, one before a new head page is mapped, and one for each
# page that is restored.
def _nr_wmb(counts: dict[str, int]) -> int:
    return (
        counts["pmd_splits"]
        + counts["vmemmap_head_pages_allocated"]
        + counts["vmemmap_pages_allocated_restore"]
    )
