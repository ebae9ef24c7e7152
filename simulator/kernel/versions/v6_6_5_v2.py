# SPDX-License-Identifier: MIT
"""
v6.6+5@v2: what the first two postings of the PMD split were posted against
----------------------------------------------------------------------------

[PATCH v2 08/11] hugetlb: batch freeing of vmemmap pages, with what came before
it in that series.  Against ``v6.6+5``: nobody is told of an allocation that
failed, neither while optimising (no second try) nor while restoring (a folio
that failed is tried once more when it is given back), and bulk free has no lock
cycle of its own for the destructors, as patch 1/8 of the merged series came with
v3 only.

The first posting ([PATCH 08/12] and 09/12) counts and frees the same.

Not modelled: 09/12 of the first posting sets HPageVmemmapOptimized before the
remap, here it is set after it; nothing in between looks at it.

Sources: 20230905214412.89152-9-mike.kravetz@oracle.com (08/11 of v2);
20230905214412.89152-8-mike.kravetz@oracle.com (07/11 of v2).
"""

from __future__ import annotations

from collections import deque

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, VmemmapPages
from simulator.kernel.versions.v6_6_5 import V6_6_5

__all__ = ("V6_6_5_V2",)


class V6_6_5_V2(V6_6_5):
    """As v6.6+5, but errors are not passed on."""

    name = "v6.6+5@v2"
    base = "v6.6"
    subject = "[PATCH v2 08/11] hugetlb: batch freeing of vmemmap pages"
    commit = ""
    summary = "as v6.6+5, but nothing is tried again on ENOMEM"
    proposed_in = "20230905214412.89152-9-mike.kravetz@oracle.com"

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Free the vmemmap pages of the folios of a list, all at the end; generator."""
        vmemmap_pages = VmemmapPages()
        for folio in folio_list:
            yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages)
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)

    def update_and_free_pages_bulk(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Restore the folios of a list, then give them back one after another; generator."""
        yield from k.hugetlb_vmemmap_restore_folios(task, deque(folio_list), [])
        for folio in folio_list:
            yield from k.update_and_free_hugetlb_folio(task, folio)
            task.work("bookkeeping", k.cost.cond_resched.each_ns)

    def hugetlb_vmemmap_restore_folios(
        k, task: Task, folio_list: deque[Folio], non_hvo_folios: list[Folio]
    ) -> Steps:
        """Restore the folios of a list; there is no feedback; generator."""
        for folio in folio_list:
            yield from k.free_begins(task, folio)
            yield from k.hugetlb_vmemmap_restore(task, folio)
        return 0
