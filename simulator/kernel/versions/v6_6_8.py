# SPDX-License-Identifier: MIT
"""
v6.6+8: batch TLB flushes when restoring vmemmap
------------------------------------------------

Source: commit c24f188b2289 ("hugetlb: batch TLB flushes when restoring vmemmap")
(in v6.7).
"""

from __future__ import annotations

from collections import deque

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio
from simulator.kernel.versions.v6_6_7 import V6_6_7, VMEMMAP_REMAP_NO_TLB_FLUSH

__all__ = ("V6_6_8",)


class V6_6_8(V6_6_7):
    """One flush after all restores of a list."""

    name = "v6.6+8"
    base = "v6.6"
    subject = "hugetlb: batch TLB flushes when restoring vmemmap"
    commit = "c24f188b2289"
    summary = "restore all folios of the list, one flush_tlb_all()"

    def hugetlb_vmemmap_restore_folios(
        k, task: Task, folio_list: deque[Folio], non_hvo_folios: list[Folio]
    ) -> Steps:
        """Move folios to ``non_hvo_folios``; returns how many restored, or -ENOMEM; generator."""
        restored = 0
        ret = 0
        while folio_list:
            folio = folio_list[0]
            yield from k.free_begins(task, folio)
            if folio.hugetlb_vmemmap_optimized:
                ret = yield from k.hugetlb_vmemmap_restore(task, folio, VMEMMAP_REMAP_NO_TLB_FLUSH)
                if ret:
                    break
                restored += 1
            else:
                task.work("bookkeeping", k.head_ns(task, folio))
            non_hvo_folios.append(folio_list.popleft())  # list_move() puts it at the head
        if restored:
            yield from k.flush_tlb_all(task, "batch_restore")
        return ret or restored
