# SPDX-License-Identifier: MIT
"""
Linux v6.12
-----------

6.12.107, as its calls were counted.  Since v6.11: pages of 1 GB are demoted as one
batch for each node, with one list that is restored and one that is optimised.  Gigantic
pages come from the contiguous allocator and go back to it as one page.

Modelled: a new head page that cannot be had is done without, as in v6.7; 6.12.117
fails the folio with -ENOMEM instead, see :mod:`simulator.kernel.versions.v6_12_117`.

Not modelled: split_page_owner() and what else the split of a huge page costs beside its
struct pages.

Sources: cf54f310d0d3 ("mm/hugetlb: use __GFP_COMP for gigantic folios") (in v6.12, as the
mail 20240814035451.773331-1-yuzhao@google.com has it); c0f398c3b2cf ("mm/hugetlb_vmemmap:
batch HVO work when demoting") (in v6.12); mm/hugetlb.c of v6.12; counted in Linux 6.12.107.
"""

from __future__ import annotations

from collections import deque

from simulator.kernel.structs import Folio, Hstate
from simulator.kernel.versions.v6_11 import V6_11

__all__ = ("V6_12",)


class V6_12(V6_11):
    """Demotion in batches: two grace periods and three flushes to a node."""

    name = "v6.12"
    base = "v6.12"
    subject = "Linux 6.12"
    commit = "adc218676eef"
    summary = "v6.11, and pages are demoted as one batch for each node"

    def prep_compound_gigantic_folio(k, folio: Folio) -> None:
        """Nothing: it comes as one page, __GFP_COMP."""

    def free_contig_range(k, folio: Folio) -> None:
        """Nothing: it goes back as one page."""

    def demote_pool_huge_page(k, src: Hstate, nid: int | None, nr_to_demote: int) -> int:
        """Demote free pages, node by node; how many it were, or -ENOMEM if none was."""
        nr_demoted = 0
        ret = 0
        for node in k.nodes_to_free(src, nid):
            src_list: list[Folio] = []
            while src.hugepage_freelists[node] and nr_demoted < nr_to_demote:
                src_list.append(k.freelist_del(src, node))
                src.account(node, -1)
                nr_demoted += 1
            src_list.reverse()  # list_add() puts each at the head
            k.hugetlb_lock.unlock_irq()
            ret = k.demote_free_hugetlb_folios(src, k.hstate("2M"), src_list)
            k.hugetlb_lock.lock_irq()
            for folio in src_list:
                k.enqueue_hugetlb_folio(src, folio)
                src.account(node, 1)
                nr_demoted -= 1
            if ret < 0 or nr_demoted == nr_to_demote:
                break
        return ret if ret < 0 and not nr_demoted else nr_demoted

    def demote_free_hugetlb_folios(k, src: Hstate, dst: Hstate, src_list: list[Folio]) -> int:
        """Restore a list and make smaller pages of it; what could not be, stays on the list."""
        src_folios = deque(src_list)
        restored: list[Folio] = []
        rc = k.hugetlb_vmemmap_restore_folios(src, src_folios, restored)
        src_list[:] = src_folios
        dst.resize_lock.lock()
        dst_list: list[Folio] = []
        for folio in reversed(restored):
            k.folio_demoted(folio)
            # The first part leads: where only it is optimised, one grace period was counted.
            dst_list += k.split_hugetlb_folio(src, dst, folio)
        k.prep_and_add_allocated_folios(dst, dst_list)
        dst.resize_lock.unlock()
        return min(rc, 0)
