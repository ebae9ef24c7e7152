# SPDX-License-Identifier: MIT
"""
v6.6+4: perform vmemmap restoration on a list of pages
------------------------------------------------------

Source: commit cfb8c75099db ("hugetlb: perform vmemmap restoration on a list of
pages") (in v6.7).
"""

from __future__ import annotations

from collections import deque

from simulator.kernel.structs import Folio, Hstate
from simulator.kernel.versions.batching.patch3 import V6_6_3

__all__ = ("V6_6_4",)


class V6_6_4(V6_6_3):
    """Restore the folios of a list; on ENOMEM free what was restored and retry."""

    name = "v6.6+4"
    base = "v6.6"
    subject = "hugetlb: perform vmemmap restoration on a list of pages"
    commit = "cfb8c75099db"
    summary = "restore a list of folios, still one by one; forward progress on ENOMEM"

    def update_and_free_pages_bulk(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Restore all folios of a list, then give them back."""
        hvo_folios = deque(folio_list)
        non_hvo_folios: list[Folio] = []  # its head is the end of ours
        while True:
            ret = k.hugetlb_vmemmap_restore_folios(h, hvo_folios, non_hvo_folios)
            if ret >= 0:
                break
            k.bulk_vmemmap_restore_error(h, hvo_folios, non_hvo_folios)
        if non_hvo_folios and ret:
            k.clear_hugetlb_destructor(h, non_hvo_folios)
        for folio in reversed(non_hvo_folios):
            k.update_and_free_hugetlb_folio(h, folio)
            k.cond_resched()

    def hugetlb_vmemmap_restore_folios(
        k, h: Hstate, folio_list: deque[Folio], non_hvo_folios: list[Folio]
    ) -> int:
        """Move folios to ``non_hvo_folios``; how many were restored, or -ENOMEM."""
        restored = 0
        ret = 0
        while folio_list:
            folio = folio_list[0]
            if k.folio_test_hugetlb_vmemmap_optimized(folio):
                ret = k._hugetlb_vmemmap_restore(h, folio, k.restore_flags(first=not restored))
                if ret:
                    break
                restored += 1
            # Folios that were never optimised go to the other list, too.
            k.list_move(folio_list.popleft(), non_hvo_folios)
        k.restore_ended(restored)
        return ret or restored

    def restore_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is restored."""
        return k.FLAGS_ALONE

    def restore_ended(k, restored: int) -> None:
        """What comes after the restores of a list: nothing yet."""

    def bulk_vmemmap_restore_error(
        k, h: Hstate, folio_list: deque[Folio], non_hvo_folios: list[Folio]
    ) -> None:
        """Free what can be freed, so that the rest can be tried again."""
        if non_hvo_folios:
            for folio in reversed(non_hvo_folios):
                k.clear_and_free(h, folio)
            non_hvo_folios.clear()
            return
        # Nothing to free: try one by one, in the hope that memory was freed elsewhere.
        while folio_list:
            folio = folio_list.popleft()
            if k.hugetlb_vmemmap_restore(h, folio):
                k.restore_failed(h, folio)
            else:
                k.clear_and_free(h, folio)
                return

    def clear_and_free(k, h: Hstate, folio: Folio) -> None:
        """Give back one restored folio."""
        k.clear_hugetlb_destructor(h, [folio])
        k.update_and_free_hugetlb_folio(h, folio)
        k.cond_resched()
