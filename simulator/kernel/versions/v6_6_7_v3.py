# SPDX-License-Identifier: MIT
"""
v6.6+7@v3: batch TLB flushes when freeing vmemmap, as posted the third time
---------------------------------------------------------------------------

On top of ``v6.6+6@v3`` with its inverted flag: the first form with
VMEMMAP_REMAP_NO_TLB_FLUSH.  Where the merged series makes two flushes, this one
makes two and one for each PMD.

Source: 20230915221548.552084-12-mike.kravetz@oracle.com (11/12).
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import ENOMEM, Folio, VmemmapPages
from simulator.kernel.versions.v6_6_6_v3 import V6_6_6_V3
from simulator.kernel.versions.v6_6_7 import V6_6_7, VMEMMAP_REMAP_NO_TLB_FLUSH

__all__ = ("V6_6_7_V3",)


class V6_6_7_V3(V6_6_7, V6_6_6_V3):
    """Two flags, one of them inverted."""

    name = "v6.6+7@v3"
    base = "v6.6"
    subject = "[PATCH v3 11/12] hugetlb: batch TLB flushes when freeing vmemmap"
    commit = ""
    summary = "v6.6+6@v3, then one flush for all remaps"
    proposed_in = "20230915221548.552084-12-mike.kravetz@oracle.com"

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split all, flush once, remap all, flush once, free all; generator."""
        flags = VMEMMAP_REMAP_NO_TLB_FLUSH
        vmemmap_pages = VmemmapPages()
        yield from k.split_folios(task, folio_list)
        for folio in folio_list:
            ret = yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
            if ret == -ENOMEM:
                yield from k.flush_tlb_all(task, "enomem")
                yield from k.free_vmemmap_page_list(task, vmemmap_pages)
                yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
        yield from k.flush_tlb_all(task, "batch_remap")
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)
