# SPDX-License-Identifier: MIT
"""
What a fill ends with when memory is short
------------------------------------------

The numbers by which answers to ENOMEM are told apart: what was optimised, what
was split for nothing, what it cost, and how many base pages were in use at the
peak.

Not modelled: a second fill, whose PMDs are split already; see :func:`outcome_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.analysis.frames import ResultFrames, name_of, of_phase, row_of_phase
from simulator.geometry import PFNS_PER_PMD, pmds_of_folio

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("AllMemory", "FillOutcome", "outcome_of", "prices_of")


@dataclass(frozen=True)
class FillOutcome:
    """
    How a fill ended.

    ``in_vain`` are PMDs that were split and hold no optimised folio.
    ``key_broadcasts`` are those of static-key patching, which are no flushes.
    ``taken_pages`` is the most that the allocator had given out at once (PTE pages
    and new head pages); ``held_pages`` the most old pages that waited for a flush.
    """

    kernel: str
    free_pages: int
    pages: int
    optimized: int
    pmd_splits: int
    in_vain: int
    flushes: int
    key_broadcasts: int
    elapsed_ns: int
    taken_pages: int
    held_pages: int


def outcome_of(result: ResultFrames, phase: str = "alloc") -> FillOutcome:
    """Return how the first fill of a machine ended, on which no PMD was split before."""
    s = result.scenario
    if s.free_pages is None:
        raise ValueError("outcome_of() is for scenarios with a number of free pages")
    row = row_of_phase(result.summary, phase)
    return FillOutcome(
        kernel=name_of(s.kernel),
        free_pages=s.free_pages,
        pages=s.pages,
        optimized=row["optimized_folios"],
        pmd_splits=row["pmd_splits"],
        in_vain=row["pmd_splits"] - _pmds_in_use(result.folios, phase, s.page_size),
        flushes=row["flushes"],
        key_broadcasts=row["other_broadcasts"],
        elapsed_ns=row["elapsed_ns"],
        taken_pages=s.free_pages - row["free_pages_min"],
        held_pages=row["peak_held_pages"],
    )


@dataclass(frozen=True)
class AllMemory:
    """
    What a kernel gets that asks for all memory as huge pages, and what it held meanwhile.

    ``action`` is ``write`` or ``boot``; ``held_pages`` the most vmemmap pages that waited for
    a flush.
    """

    action: str
    kernel: str
    asked: int
    got: int
    held_pages: int

    @property
    def missed(self) -> int:
        """Huge pages that it did not get."""
        return self.asked - self.got


def prices_of(whole: Mapping[str, Sequence[ResultFrames]], asked: int) -> list[AllMemory]:
    """Return the price of each kernel, by how it was asked."""
    return [
        AllMemory(
            action=action,
            kernel=name_of(r.scenario.kernel),
            asked=asked,
            got=int(r.counts["pages_got"].iloc[-1]),
            held_pages=int(r.summary["peak_held_pages"].iloc[-1]),
        )
        for action, results in whole.items()
        for r in results
    ]


# PMDs that map the struct pages of an optimised folio.
def _pmds_in_use(folios: pd.DataFrame, phase: str, page_size: str) -> int:
    found = of_phase(folios, phase)
    rows = found[found["status"] == "optimized"]
    if page_size == "1G":
        return pmds_of_folio(page_size) * len(rows)
    return int((rows["pfn"] // PFNS_PER_PMD).nunique())
