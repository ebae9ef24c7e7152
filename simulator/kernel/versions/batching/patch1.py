# SPDX-License-Identifier: MIT
"""
v6.6+1: optimize update_and_free_pages_bulk to avoid lock cycles
----------------------------------------------------------------

Source: commit d2cf88c27f51 ("hugetlb: optimize update_and_free_pages_bulk to
avoid lock cycles") (in v6.7).
"""

from __future__ import annotations

from simulator.kernel.structs import Folio, Hstate
from simulator.kernel.versions.v6_6 import V6_6

__all__ = ("V6_6_1",)


class V6_6_1(V6_6):
    """Bulk free: restore all, one lock cycle, free all."""

    name = "v6.6+1"
    base = "v6.6"
    subject = "hugetlb: optimize update_and_free_pages_bulk to avoid lock cycles"
    commit = "d2cf88c27f51"
    summary = "bulk free takes hugetlb_lock once for all folios"

    def update_and_free_pages_bulk(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Restore all folios of a list, then give them back."""
        restored = []
        clear_dtor = False
        for folio in folio_list:
            optimized = k.folio_test_hugetlb_vmemmap_optimized(folio)
            if k.hugetlb_vmemmap_restore(h, folio):
                k.restore_failed(h, folio)
                continue
            restored.append(folio)
            clear_dtor |= optimized
        if clear_dtor:
            k.clear_hugetlb_destructor(h, restored)
        for folio in restored:
            k.update_and_free_hugetlb_folio(h, folio)
            k.cond_resched()
