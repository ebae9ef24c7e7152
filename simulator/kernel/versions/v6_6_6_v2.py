# SPDX-License-Identifier: MIT
"""
v6.6+6@v2: batch PMD split for bulk vmemmap dedup, as posted the second time
----------------------------------------------------------------------------

The form that the seed thread discusses: no flag at all.  ``walk->remap_pte`` says
whether to go down to the PTEs, and with it whether the split of a PMD is flushed:
a walk that only splits never flushes, a split met during a remap always does.
Against the merged form, a split that fails is ignored: the split pass goes on, the
remap pass splits late and flushes.

Sources: 20230905214412.89152-10-mike.kravetz@oracle.com (09/11) and the answers to
it on 6 September 2023.
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.v6_6_5_v2 import V6_6_5_V2
from simulator.kernel.versions.v6_6_6 import V6_6_6

__all__ = ("V6_6_6_V2",)


class V6_6_6_V2(V6_6_6, V6_6_5_V2):
    """walk->remap_pte decides on the flush of a split."""

    name = "v6.6+6@v2"
    base = "v6.6"
    subject = "[PATCH v2 09/11] hugetlb: batch PMD split for bulk vmemmap dedup"
    commit = ""
    summary = "as v6.6+6, but remap_pte decides on the flush; split errors ignored"
    proposed_in = "20230905214412.89152-10-mike.kravetz@oracle.com"

    def vmemmap_pmd_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk the PMDs of a range of vmemmap pages; returns 0 or -ENOMEM; generator."""
        for pmd, nr in k.pmds_of(walk.folio, nr_pages):
            ret = yield from k.split_vmemmap_huge_pmd(
                task, walk.folio, pmd, walk.remap_pte is not None
            )
            if ret:
                return ret
            # We are only splitting, not remapping.
            if walk.remap_pte is None:
                continue
            k.vmemmap_pte_range(task, walk, nr)
        return 0

    def vmemmap_remap_split(k, task: Task, folio: Folio) -> Steps:
        """Split the PMDs of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        walk = VmemmapRemapWalk(folio, None, VmemmapPages())
        yield from k.mmap_lock.down_read(task)
        return (yield from k.vmemmap_remap_range(task, walk, k.h.nr_vmemmap_pages))

    def hugetlb_vmemmap_split(k, task: Task, folio: Folio) -> Steps:
        """Split the PMDs of a folio that is going to be optimised; generator."""
        task.work("bookkeeping", k.head_ns(task, folio))
        if not k.vmemmap_should_optimize(folio):
            return
        yield from k.vmemmap_remap_split(task, folio)

    def split_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """The first loop of hugetlb_vmemmap_optimize_folios(), and its flush; generator."""
        for folio in folio_list:
            yield from k.hugetlb_vmemmap_split(task, folio)
        yield from k.flush_tlb_all(task, "batch_split")
