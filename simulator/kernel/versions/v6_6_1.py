# SPDX-License-Identifier: MIT
"""
v6.6+1: optimize update_and_free_pages_bulk to avoid lock cycles
----------------------------------------------------------------

Source: commit d2cf88c27f51 ("hugetlb: optimize update_and_free_pages_bulk to
avoid lock cycles") (in v6.7).
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio
from simulator.kernel.versions.v6_6 import V6_6

__all__ = ("V6_6_1",)


class V6_6_1(V6_6):
    """Bulk free: restore all, one lock cycle, free all."""

    name = "v6.6+1"
    base = "v6.6"
    subject = "hugetlb: optimize update_and_free_pages_bulk to avoid lock cycles"
    commit = "d2cf88c27f51"
    summary = "bulk free takes hugetlb_lock once for all folios"

    def update_and_free_pages_bulk(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Restore all folios of a list, then give them back; generator."""
        restored = []
        clear_dtor = False
        for folio in folio_list:
            optimized = folio.hugetlb_vmemmap_optimized
            yield from k.free_begins(task, folio)
            if (yield from k.hugetlb_vmemmap_restore(task, folio)):
                yield from k.keep_as_surplus(task, folio)
                continue
            restored.append(folio)
            clear_dtor |= optimized
        if clear_dtor:
            yield from k.clear_hugetlb_destructor(task, restored)
        for folio in restored:
            yield from k.update_and_free_hugetlb_folio(task, folio)
            task.work("bookkeeping", k.cost.cond_resched.each_ns)
