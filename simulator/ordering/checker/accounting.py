# SPDX-License-Identifier: MIT
"""
Pages: taken and given back
---------------------------

At the end of a phase every base page that was taken maps something: it is the page table of a
PMD that was split, or the vmemmap of a folio, or one that all folios share.  Every huge page is
in a pool, or in use and counted.

Modelled: a remap that begins at the head of a folio maps one new page, any other none.

Not modelled: which page it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.ordering.checker.report import Reporter
from simulator.ordering.checker.stores import Stores

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb
    from simulator.kernel.structs import Folio, Hstate

__all__ = ("Accounting",)

Function = Callable[..., Any]


class Accounting:
    """What should be free, and in the pool, by what was stored to page tables."""

    def __init__(self, k: Hugetlb, stores: Stores, report: Reporter) -> None:
        self._k = k
        self._stores = stores
        self._report = report
        self._at_first = k.nr_free_pages
        self._nr_pfns = 0  # of huge pages that were taken
        # Lost so far: each page is told once.
        self._lost_pages = self._lost_folios = 0

    def taken(self, function: Function) -> Function:
        """alloc_buddy_hugetlb_folio() and memblock_alloc_huge_page()."""

        def alloc(h: Hstate, nid: int) -> Folio | None:
            folio: Folio | None = function(h, nid)
            if folio is not None:
                self._nr_pfns += h.nr_pfns
            return folio

        return alloc

    def phase_ended(self, function: Function) -> Function:
        """end_phase()."""
        k, stores = self._k, self._stores

        def end(end_ns: int) -> None:
            function(end_ns)
            # zone->vmemmap_tails[], which there are since v7.1.
            shared = len(getattr(k, "vmemmap_tails", ()))
            used = stores.nr_tables + stores.nr_mapped + shared
            if k.one_memory:  # huge pages are made of base pages
                used += self._nr_pfns - stores.nr_pfns_returned
            lost = self._at_first - used - k.nr_free_pages
            self._tell(lost - self._lost_pages, "base page")
            self._lost_pages = lost
            pools = k.hstates.values()
            pooled = sum(h.nr_huge_pages * h.nr_pfns for h in pools)
            smallest = min(h.nr_pfns for h in pools)
            folios = (self._nr_pfns - stores.nr_pfns_returned - pooled) // smallest
            self._tell(folios - self._lost_folios, "huge page")
            self._lost_folios = folios

        return end

    def _tell(self, lost: int, what: str) -> None:
        plural = "" if abs(lost) == 1 else "s"
        if lost > 0:
            self._report(
                "pages-lost", f"{lost} {what}{plural}", "taken in this phase, and in use by nobody",
                "their return",
            )  # fmt: skip
        elif lost:
            self._report(
                "pages-lost", f"{-lost} {what}{plural}", "given back twice, or in use by two",
                "a page for each use",
            )  # fmt: skip
