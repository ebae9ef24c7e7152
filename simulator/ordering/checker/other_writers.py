# SPDX-License-Identifier: MIT
"""
Another CPU that writes the head struct page
--------------------------------------------

A speculative PFN walker takes a reference on whatever page it comes across, by
page_ref_add_unless(): a write to the head struct page, at any time.  If it comes between the copy
of the head page and the flush, it goes to the old page and is lost.  Since v6.11 a grace period
lets all walkers finish that may have found the folio before its head is remapped.

Modelled: a folio is safe once a grace period has ended that began after it was allocated.

Not modelled: when a walker really comes.

Sources: bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers") (in v6.11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.ordering.checker.report import Reporter

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb
    from simulator.kernel.structs import Folio, Hstate

__all__ = ("HeadWriter",)

Function = Callable[..., Any]


class HeadWriter:
    """
    Folios that a walker may have found.

    Each method takes a function of the kernel and returns one that also checks.
    """

    def __init__(self, k: Hugetlb, report: Reporter) -> None:
        self._k = k
        self._report = report
        self._found: set[int] = set()  # by their numbers

    def taken(self, function: Function) -> Function:
        """alloc_buddy_hugetlb_folio()."""

        def alloc(h: Hstate, nid: int) -> Folio | None:
            folio: Folio | None = function(h, nid)
            if folio is not None:
                self._found.add(folio.number)
            return folio

        return alloc

    def waited(self, function: Function) -> Function:
        """synchronize_rcu()."""

        def wait() -> None:
            before = self._found.copy()
            function()
            self._found -= before

        return wait

    def stored(self, function: Function) -> Function:
        """set_ptes()."""
        k = self._k

        def store(addr: int, nr: int, category: str) -> None:
            folio = k.cache.folio
            if category != "restore" and addr == folio.page and folio.number in self._found:
                self._report(
                    "write-lost", f"folio of pfn {folio.pfn}", "its head page was remapped",
                    "a grace period since the folio was allocated",
                )  # fmt: skip
            function(addr, nr, category)

        return store
