# SPDX-License-Identifier: MIT
"""
include/linux/page-flags.h and hugetlb.h: what the head of a folio says
-----------------------------------------------------------------------

Modelled: the flag HPageVmemmapOptimized, and that a folio is one of hugetlb.  Reading
the head of a folio has it at hand.  A function costs a cache line where the kernel
comes to the folio anew; see :mod:`simulator.kernel.cache`.

Not modelled: all other flags and reference counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.kernel.cache import Cache
from simulator.kernel.structs import Folio, Hstate

__all__ = ("PageFlags",)


class PageFlags(Cache):
    """Flags of folios."""

    def folio_test_hugetlb(k, folio: Folio) -> bool:
        """Come to a folio and look whether it is a huge page, as all are here."""
        if folio.phase != k.phase:
            k.folio_begins(folio)
        ns = k.head_ns(folio)
        if ns:
            task = k.current
            task.planned_ns += ns  # as Task.work(), without a call
            task.time_by["bookkeeping"] += ns
        k.cache.read = folio
        return True

    def folio_test_hugetlb_vmemmap_optimized(k, folio: Folio) -> bool:
        """Whether the vmemmap pages of a folio were freed."""
        if folio.phase != k.phase:
            k.folio_begins(folio)
        k.cache.folio = folio
        return folio.hugetlb_vmemmap_optimized

    def folio_set_hugetlb_vmemmap_optimized(k, folio: Folio) -> None:
        """Set HPageVmemmapOptimized."""
        folio.hugetlb_vmemmap_optimized = True

    def folio_clear_hugetlb_vmemmap_optimized(k, folio: Folio) -> None:
        """Clear HPageVmemmapOptimized."""
        folio.hugetlb_vmemmap_optimized = False

    # --- lists of folios ---------------------------------------------------------------

    def freelist_add(k, h: Hstate, folio: Folio) -> None:
        """Put a folio at the head of its node's free list."""
        task = k.current
        if k.hugetlb_lock.owner is not task:
            k.lock_not_held(k.hugetlb_lock, "freelist_add")
        task.work("bookkeeping", k.cost.pool_add.each_ns + k.head_ns(folio))
        h.hugepage_freelists[folio.nid].append(folio)

    def freelist_del(k, h: Hstate, nid: int) -> Folio:
        """Take the folio at the head of a node's free list."""
        task = k.current
        if k.hugetlb_lock.owner is not task:
            k.lock_not_held(k.hugetlb_lock, "freelist_del")
        folio = h.hugepage_freelists[nid].pop()
        task.work("bookkeeping", k.cost.pool_remove.each_ns + k.head_ns(folio))
        return folio

    def unlink_folio(k, folio: Folio) -> None:
        """Take a folio off the list of those in use; its last user has just touched it."""
        task = k.current
        if k.hugetlb_lock.owner is not task:
            k.lock_not_held(k.hugetlb_lock, "unlink_folio")
        task.work("bookkeeping", k.cost.pool_remove.each_ns)

    def clear_hugetlb_flags(k, folios: Sequence[Folio]) -> None:
        """Clear the hugetlb flag of all folios of a list."""
        task = k.current
        if k.hugetlb_lock.owner is not task:
            k.lock_not_held(k.hugetlb_lock, "clear_hugetlb_flags")
        ns = sum([k.head_ns(folio) for folio in folios])
        task.work("bookkeeping", ns + k.cost.clear_hugetlb.times[len(folios)])

    def list_move(k, folio: Folio, folio_list: list[Folio]) -> None:
        """Put a folio at the head of a list, which is the end of ours."""
        if k.cache.read is not folio:
            k.current.work("bookkeeping", k.head_ns(folio))
        folio_list.append(folio)
