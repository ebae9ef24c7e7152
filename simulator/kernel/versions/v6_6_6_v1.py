# SPDX-License-Identifier: MIT
"""
v6.6+6@v1: batch PMD split for bulk vmemmap dedup, as first posted
------------------------------------------------------------------

Against the merged form: one flag says both that the walk only splits and that it
does not flush; the flush of the batch is a range that ends at TLB_FLUSH_ALL,
which only x86 has; the split of each folio counts in the static key as if it were
optimised, so that the key never gets back to 0 (answered in the thread: a
copy-and-paste error); a split that fails is left to the remap pass, and the split
pass goes on.

Sources: 20230825190436.55045-11-mike.kravetz@oracle.com (10/12); kernel test robot,
202308261325.ipTttZHZ-lkp@intel.com.
"""

from __future__ import annotations

from typing import Final

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.tlb import TLB_FLUSH_ALL
from simulator.kernel.versions.v6_6_5_v2 import V6_6_5_V2
from simulator.kernel.versions.v6_6_6 import V6_6_6

__all__ = ("VMEMMAP_REMAP_ONLY_SPLIT", "V6_6_6_V1")

#: Split PMDs without a flush, and do not remap.
VMEMMAP_REMAP_ONLY_SPLIT: Final = 1 << 0


class V6_6_6_V1(V6_6_6, V6_6_5_V2):
    """One flag for a walk that only splits and does not flush."""

    name = "v6.6+6@v1"
    base = "v6.6"
    subject = "[PATCH 10/12] hugetlb: batch PMD split for bulk vmemmap dedup"
    commit = ""
    summary = "as v6.6+6, but the flush is a range; static key leaks; split errors ignored"
    proposed_in = "20230825190436.55045-11-mike.kravetz@oracle.com"

    def vmemmap_pmd_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk the PMDs of a range of vmemmap pages; returns 0 or -ENOMEM; generator."""
        bulk = bool(walk.flags & VMEMMAP_REMAP_ONLY_SPLIT)
        for pmd, nr in k.pmds_of(walk.folio, nr_pages):
            ret = yield from k.split_vmemmap_huge_pmd(task, walk.folio, pmd, not bulk)
            if ret:
                return ret
            # We are only splitting, not remapping.
            if bulk:
                continue
            k.vmemmap_pte_range(task, walk, nr)
        return 0

    def vmemmap_remap_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk ``nr_pages`` of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        task.work("remap", k.cost.vmemmap_walk.each_ns)
        ret = yield from k.vmemmap_pmd_range(task, walk, nr_pages)
        if ret:
            return ret
        if not walk.flags & VMEMMAP_REMAP_ONLY_SPLIT:
            yield from k.flush_tlb_kernel_range(task, nr_pages, walk.reason)
        return 0

    def vmemmap_remap_split(k, task: Task, folio: Folio) -> Steps:
        """Split the PMDs of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        walk = VmemmapRemapWalk(folio, None, VmemmapPages(), flags=VMEMMAP_REMAP_ONLY_SPLIT)
        yield from k.mmap_lock.down_read(task)
        return (yield from k.vmemmap_remap_range(task, walk, k.h.nr_vmemmap_pages))

    def hugetlb_vmemmap_split(k, task: Task, folio: Folio) -> Steps:
        """Split the PMDs of a folio that is going to be optimised; generator."""
        task.work("bookkeeping", k.head_ns(task, folio))
        if not k.vmemmap_should_optimize(folio):
            return
        # Wrong: nothing is optimised yet, and nobody takes this one back.
        yield from k.static_branch_inc(task, k.hugetlb_optimize_vmemmap_key)
        if (yield from k.vmemmap_remap_split(task, folio)):
            yield from k.static_branch_dec(task, k.hugetlb_optimize_vmemmap_key)

    def split_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """The first loop of hugetlb_vmemmap_optimize_folios(), and its flush; generator."""
        for folio in folio_list:
            yield from k.hugetlb_vmemmap_split(task, folio)
        yield from k.flush_tlb_kernel_range(task, TLB_FLUSH_ALL, "batch_split")
