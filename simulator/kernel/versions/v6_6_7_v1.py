# SPDX-License-Identifier: MIT
"""
v6.6+7@v1: batch TLB flushes when freeing vmemmap, as first posted
------------------------------------------------------------------

On top of ``v6.6+6@v1``: a second flag for walks whose flush the caller makes.

Source: 20230825190436.55045-12-mike.kravetz@oracle.com (11/12).
"""

from __future__ import annotations

from typing import Final

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.tlb import TLB_FLUSH_ALL
from simulator.kernel.versions.v6_6_6_v1 import V6_6_6_V1, VMEMMAP_REMAP_ONLY_SPLIT
from simulator.kernel.versions.v6_6_7 import V6_6_7

__all__ = ("VMEMMAP_REMAP_BULK_PAGES", "V6_6_7_V1")

#: Remap without a flush.
VMEMMAP_REMAP_BULK_PAGES: Final = 1 << 1


class V6_6_7_V1(V6_6_7, V6_6_6_V1):
    """A flag for folios that are remapped in bulk."""

    name = "v6.6+7@v1"
    base = "v6.6"
    subject = "[PATCH 11/12] hugetlb: batch TLB flushes when freeing vmemmap"
    commit = ""
    summary = "v6.6+6@v1, then one flush for all remaps; errors ignored"
    proposed_in = "20230825190436.55045-12-mike.kravetz@oracle.com"

    def vmemmap_remap_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk ``nr_pages`` of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        task.work("remap", k.cost.vmemmap_walk.each_ns)
        ret = yield from k.vmemmap_pmd_range(task, walk, nr_pages)
        if ret:
            return ret
        if not walk.flags & (VMEMMAP_REMAP_ONLY_SPLIT | VMEMMAP_REMAP_BULK_PAGES):
            yield from k.flush_tlb_kernel_range(task, nr_pages, walk.reason)
        return 0

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split all, flush once, remap all, flush once, free all; generator."""
        flags = VMEMMAP_REMAP_BULK_PAGES
        vmemmap_pages = VmemmapPages()
        yield from k.split_folios(task, folio_list)
        for folio in folio_list:
            yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
        yield from k.flush_tlb_kernel_range(task, TLB_FLUSH_ALL, "batch_remap")
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)
