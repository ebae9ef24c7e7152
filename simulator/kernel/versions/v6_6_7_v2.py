# SPDX-License-Identifier: MIT
"""
v6.6+7@v2: batch TLB flushes when freeing vmemmap, as posted the second time
----------------------------------------------------------------------------

On top of ``v6.6+6@v2``: the only flag of that posting, for the flush of a remap.
The answers to it led to two flags: one for splits, one for remaps.

Source: 20230905214412.89152-11-mike.kravetz@oracle.com (10/11).
"""

from __future__ import annotations

from typing import Final

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.v6_6_6_v2 import V6_6_6_V2
from simulator.kernel.versions.v6_6_7 import V6_6_7

__all__ = ("VMEMMAP_NO_TLB_FLUSH", "V6_6_7_V2")

#: Skip the TLB flush after a remap; that of a split hangs on remap_pte alone.
VMEMMAP_NO_TLB_FLUSH: Final = 1 << 0


class V6_6_7_V2(V6_6_7, V6_6_6_V2):
    """One flag beside remap_pte."""

    name = "v6.6+7@v2"
    base = "v6.6"
    subject = "[PATCH v2 10/11] hugetlb: batch TLB flushes when freeing vmemmap"
    commit = ""
    summary = "v6.6+6@v2, then one flush for all remaps; errors ignored"
    proposed_in = "20230905214412.89152-11-mike.kravetz@oracle.com"

    def vmemmap_remap_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk ``nr_pages`` of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        task.work("remap", k.cost.vmemmap_walk.each_ns)
        ret = yield from k.vmemmap_pmd_range(task, walk, nr_pages)
        if ret:
            return ret
        if walk.remap_pte is not None and not walk.flags & VMEMMAP_NO_TLB_FLUSH:
            yield from k.flush_tlb_kernel_range(task, nr_pages, walk.reason)
        return 0

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split all, flush once, remap all, flush once, free all; generator."""
        flags = VMEMMAP_NO_TLB_FLUSH
        vmemmap_pages = VmemmapPages()
        yield from k.split_folios(task, folio_list)
        for folio in folio_list:
            yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
        yield from k.flush_tlb_all(task, "batch_remap")
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)
