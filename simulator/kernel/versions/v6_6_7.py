# SPDX-License-Identifier: MIT
"""
v6.6+7: batch TLB flushes when freeing vmemmap
----------------------------------------------

Source: commit f13b83fdd996 ("hugetlb: batch TLB flushes when freeing vmemmap")
(in v6.7).
"""

from __future__ import annotations

from typing import Final

from simulator.engine import Steps, Task
from simulator.kernel.structs import ENOMEM, Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.v6_6_6 import V6_6_6

__all__ = ("VMEMMAP_REMAP_NO_TLB_FLUSH", "V6_6_7")

#: Skip the TLB flush when PTEs are remapped.
VMEMMAP_REMAP_NO_TLB_FLUSH: Final = 1 << 1


class V6_6_7(V6_6_6):
    """One flush after all remaps of a list, before its pages are given back."""

    name = "v6.6+7"
    base = "v6.6"
    subject = "hugetlb: batch TLB flushes when freeing vmemmap"
    commit = "f13b83fdd996"
    summary = "remap all folios of the list, one flush_tlb_all(), then free"

    def vmemmap_remap_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk ``nr_pages`` of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        task.work("remap", k.cost.vmemmap_walk.each_ns)
        ret = yield from k.vmemmap_pmd_range(task, walk, nr_pages)
        if ret:
            return ret
        if walk.remap_pte is not None and not walk.flags & VMEMMAP_REMAP_NO_TLB_FLUSH:
            yield from k.flush_tlb_kernel_range(task, nr_pages, walk.reason)
        return 0

    def _hugetlb_vmemmap_optimize_folio(
        k, task: Task, folio: Folio, vmemmap_pages: VmemmapPages, flags: int = 0
    ) -> Steps:
        """Move the vmemmap pages of a folio to a list; returns 0 or -ENOMEM; generator."""
        task.work("bookkeeping", k.head_ns(task, folio))
        if not k.vmemmap_should_optimize(folio):
            return 0
        yield from k.static_branch_inc(task, k.hugetlb_optimize_vmemmap_key)
        # Very subtle: without the flush, writes to struct pages may still reach the old
        # head page, so the flag must be set before that page is copied.
        k.set_vmemmap_optimized(folio, True)
        ret = yield from k.vmemmap_remap_free(task, folio, vmemmap_pages, flags)
        if ret:
            yield from k.static_branch_dec(task, k.hugetlb_optimize_vmemmap_key)
            k.set_vmemmap_optimized(folio, False)
        return ret

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split all, flush once, remap all, flush once, free all; generator."""
        flags = VMEMMAP_REMAP_NO_TLB_FLUSH
        vmemmap_pages = VmemmapPages()
        yield from k.split_folios(task, folio_list)
        for folio in folio_list:
            ret = yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
            # Pages to be freed may have been accumulated: free them and try once more.
            if ret == -ENOMEM and vmemmap_pages.nr_pages:
                yield from k.flush_tlb_all(task, "enomem")
                yield from k.free_vmemmap_page_list(task, vmemmap_pages)
                yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
        yield from k.flush_tlb_all(task, "batch_remap")
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)
