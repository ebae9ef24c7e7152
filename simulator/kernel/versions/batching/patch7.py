# SPDX-License-Identifier: MIT
"""
v6.6+7: batch TLB flushes when freeing vmemmap
----------------------------------------------

Source: commit f13b83fdd996 ("hugetlb: batch TLB flushes when freeing vmemmap")
(in v6.7).
"""

from __future__ import annotations

from typing import Final

from simulator.kernel.structs import Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.batching.patch6 import V6_6_6

__all__ = ("VMEMMAP_REMAP_NO_TLB_FLUSH", "V6_6_7")

#: Skip the TLB flush when PTEs are remapped.
VMEMMAP_REMAP_NO_TLB_FLUSH: Final = 1 << 1


class V6_6_7(V6_6_6):
    """One flush after all remaps of a list, before its pages are given back."""

    name = "v6.6+7"
    base = "v6.6"
    subject = "hugetlb: batch TLB flushes when freeing vmemmap"
    commit = "f13b83fdd996"
    summary = "remap all folios of the list, one flush_tlb_all(), then free"

    def remap_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is optimised."""
        return VMEMMAP_REMAP_NO_TLB_FLUSH

    def remap_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a walk flushes what it has remapped."""
        return walk.remap_pte is not None and not walk.flags & VMEMMAP_REMAP_NO_TLB_FLUSH

    def remap_begins(k, folio: Folio, flags: int) -> None:
        """What comes before the remap of a folio."""
        # Very subtle: without the flush, writes to struct pages may still reach the old
        # head page, so the flag must be set before that page is copied.
        k.folio_set_hugetlb_vmemmap_optimized(folio)

    def remap_ended(k, folio: Folio, ret: int) -> None:
        """What comes after it."""
        if ret:
            k.folio_clear_hugetlb_vmemmap_optimized(folio)

    def free_batch(k, vmemmap_pages: VmemmapPages, reason: str) -> None:
        """Flush once, then give back the vmemmap pages of a list of folios."""
        k.flush_batch(reason)
        k.free_vmemmap_page_list(vmemmap_pages)
