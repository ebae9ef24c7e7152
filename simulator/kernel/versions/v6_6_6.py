# SPDX-License-Identifier: MIT
"""
v6.6+6: batch PMD split for bulk vmemmap dedup
----------------------------------------------

The patch of the seed thread, as merged: a first pass over the list splits every
PMD without a flush, one flush_tlb_all() follows, then the remap pass.  A split
that is met only then (the first pass ran out of memory) flushes as before.

Source: commit f4b7e3efaddb ("hugetlb: batch PMD split for bulk vmemmap dedup")
(in v6.7); 20231019023113.345257-7-mike.kravetz@oracle.com.
"""

from __future__ import annotations

from typing import Final

from simulator.engine import Steps, Task
from simulator.kernel.structs import ENOMEM, PTRS_PER_PTE, Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.v6_6_5 import V6_6_5

__all__ = ("VMEMMAP_SPLIT_NO_TLB_FLUSH", "V6_6_6")

#: Skip the TLB flush when a PMD is split.
VMEMMAP_SPLIT_NO_TLB_FLUSH: Final = 1 << 0


class V6_6_6(V6_6_5):
    """All PMDs of a list are split before one flush."""

    name = "v6.6+6"
    base = "v6.6"
    subject = "hugetlb: batch PMD split for bulk vmemmap dedup"
    commit = "f4b7e3efaddb"
    summary = "split all PMDs of the list, one flush_tlb_all(), then remap"

    def split_vmemmap_huge_pmd(k, task: Task, folio: Folio, pmd: int, flush: bool = True) -> Steps:
        """Replace a PMD leaf by a page of 512 PTEs; returns 0 or -ENOMEM; generator."""
        begin = task.met_ns, task.broadcast_ns
        yield from k.page_table_lock.cycle(task, "split", k.cost.pmd_check.each_ns)
        if not k.pmd_is_leaf(pmd):  # as seen under the lock
            folio.pte_mapped = True
            return 0
        if not (yield from k.alloc_pages(task, "pte_page", category="pte_page_alloc")):
            return -ENOMEM
        task.work("pte_page_fill", k.cost.pte_page_fill.each_ns)

        yield from k.page_table_lock.acquire(task)
        if k.pmd_is_leaf(pmd):
            k.smp_wmb(task)  # make the PTEs visible before the PMD
            k.pmd_populate_kernel(task, pmd)
            if flush:
                yield from k.flush_tlb_kernel_range(task, PTRS_PER_PTE, "split")
        else:
            yield from k.pte_free_kernel(task)  # another task split it first
        yield from k.page_table_lock.release(task)
        folio.pte_mapped = True
        folio.split_ns += k.time_since(task, begin)
        return 0

    def vmemmap_pmd_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk the PMDs of a range of vmemmap pages; returns 0 or -ENOMEM; generator."""
        flush = not walk.flags & VMEMMAP_SPLIT_NO_TLB_FLUSH
        for pmd, nr in k.pmds_of(walk.folio, nr_pages):
            ret = yield from k.split_vmemmap_huge_pmd(task, walk.folio, pmd, flush)
            if ret:
                return ret
            # We may only be splitting, not remapping.
            if walk.remap_pte is None:
                continue
            k.vmemmap_pte_range(task, walk, nr)
        return 0

    def vmemmap_remap_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk ``nr_pages`` of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        task.work("remap", k.cost.vmemmap_walk.each_ns)
        ret = yield from k.vmemmap_pmd_range(task, walk, nr_pages)
        if ret:
            return ret
        if walk.remap_pte is not None:
            yield from k.flush_tlb_kernel_range(task, nr_pages, walk.reason)
        return 0

    def vmemmap_remap_split(k, task: Task, folio: Folio) -> Steps:
        """Split the PMDs of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        walk = VmemmapRemapWalk(folio, None, VmemmapPages(), VMEMMAP_SPLIT_NO_TLB_FLUSH)
        yield from k.mmap_lock.down_read(task)
        return (yield from k.vmemmap_remap_range(task, walk, k.h.nr_vmemmap_pages))

    def hugetlb_vmemmap_split(k, task: Task, folio: Folio) -> Steps:
        """Split the PMDs of a folio that is going to be optimised; generator."""
        task.work("bookkeeping", k.head_ns(task, folio))
        if not k.vmemmap_should_optimize(folio):
            return 0
        return (yield from k.vmemmap_remap_split(task, folio))

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split all, flush once, then remap all; generator."""
        yield from k.split_folios(task, folio_list)
        yield from super().hugetlb_vmemmap_optimize_folios(task, folio_list)

    def split_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """The first loop of hugetlb_vmemmap_optimize_folios(), and its flush; generator."""
        for folio in folio_list:
            ret = yield from k.hugetlb_vmemmap_split(task, folio)
            # No point in retrying: the remap pass splits with the memory that it gains.
            if ret == -ENOMEM:
                break
        yield from k.flush_tlb_all(task, "batch_split")
