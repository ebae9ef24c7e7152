# SPDX-License-Identifier: MIT
"""
v6.6+4: perform vmemmap restoration on a list of pages
------------------------------------------------------

Source: commit cfb8c75099db ("hugetlb: perform vmemmap restoration on a list of
pages") (in v6.7).
"""

from __future__ import annotations

from collections import deque

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio
from simulator.kernel.versions.v6_6_3 import V6_6_3

__all__ = ("V6_6_4",)


class V6_6_4(V6_6_3):
    """Restore the folios of a list; on ENOMEM free what was restored and retry."""

    name = "v6.6+4"
    base = "v6.6"
    subject = "hugetlb: perform vmemmap restoration on a list of pages"
    commit = "cfb8c75099db"
    summary = "restore a list of folios, still one by one; forward progress on ENOMEM"

    def update_and_free_pages_bulk(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Restore all folios of a list, then give them back; generator."""
        hvo_folios = deque(folio_list)
        non_hvo_folios: list[Folio] = []  # its head is the end of ours
        while True:
            ret = yield from k.hugetlb_vmemmap_restore_folios(task, hvo_folios, non_hvo_folios)
            if ret >= 0:
                break
            yield from k.bulk_vmemmap_restore_error(task, hvo_folios, non_hvo_folios)
        if non_hvo_folios and ret:
            yield from k.clear_hugetlb_destructor(task, non_hvo_folios)
        for folio in reversed(non_hvo_folios):
            yield from k.update_and_free_hugetlb_folio(task, folio)
            task.work("bookkeeping", k.cost.cond_resched.each_ns)

    def hugetlb_vmemmap_restore_folios(
        k, task: Task, folio_list: deque[Folio], non_hvo_folios: list[Folio]
    ) -> Steps:
        """Move folios to ``non_hvo_folios``; returns how many restored, or -ENOMEM; generator."""
        restored = 0
        while folio_list:
            folio = folio_list[0]
            yield from k.free_begins(task, folio)
            if folio.hugetlb_vmemmap_optimized:
                ret = yield from k.hugetlb_vmemmap_restore(task, folio)
                if ret:
                    return ret
                restored += 1
            else:
                task.work("bookkeeping", k.head_ns(task, folio))
            non_hvo_folios.append(folio_list.popleft())  # list_move() puts it at the head
        return restored

    def bulk_vmemmap_restore_error(
        k, task: Task, folio_list: deque[Folio], non_hvo_folios: list[Folio]
    ) -> Steps:
        """Free what can be freed, so that the rest can be tried again; generator."""
        if non_hvo_folios:
            for folio in reversed(non_hvo_folios):
                yield from k.clear_and_free(task, folio)
            non_hvo_folios.clear()
            return
        # Nothing to free: try one by one, in the hope that memory was freed elsewhere.
        while folio_list:
            folio = folio_list.popleft()
            yield from k.free_begins(task, folio)
            if (yield from k.hugetlb_vmemmap_restore(task, folio)):
                yield from k.keep_as_surplus(task, folio)
            else:
                yield from k.clear_and_free(task, folio)
                return

    def clear_and_free(k, task: Task, folio: Folio) -> Steps:
        """Give back one restored folio; generator."""
        yield from k.clear_hugetlb_destructor(task, [folio])
        yield from k.update_and_free_hugetlb_folio(task, folio)
        task.work("bookkeeping", k.cost.cond_resched.each_ns)
