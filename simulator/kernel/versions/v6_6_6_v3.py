# SPDX-License-Identifier: MIT
"""
v6.6+6@v3: batch PMD split for bulk vmemmap dedup, with its inverted flag
-------------------------------------------------------------------------

The first form with VMEMMAP_SPLIT_NO_TLB_FLUSH, which goes unnegated where
split_vmemmap_huge_pmd() expects whether to flush.  So the split pass flushes every
PMD, and a split met during a remap, late or of a single folio, none.  v4 has it too;
it was found on 19 September 2023 and put right in v5.  Against the merged form, a
split that fails is ignored, too: the split pass goes on.

Source: 20230915221548.552084-11-mike.kravetz@oracle.com (10/12).
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, VmemmapRemapWalk
from simulator.kernel.versions.v6_6_5_v3 import V6_6_5_V3
from simulator.kernel.versions.v6_6_6 import V6_6_6, VMEMMAP_SPLIT_NO_TLB_FLUSH

__all__ = ("V6_6_6_V3",)


class V6_6_6_V3(V6_6_6, V6_6_5_V3):
    """Flushes the splits that it should not, and not those that it should."""

    name = "v6.6+6@v3"
    base = "v6.6"
    subject = "[PATCH v3 10/12] hugetlb: batch PMD split for bulk vmemmap dedup"
    commit = ""
    summary = "as v6.6+6, but with the flag inverted; split errors ignored"
    proposed_in = "20230915221548.552084-11-mike.kravetz@oracle.com"

    def vmemmap_pmd_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk the PMDs of a range of vmemmap pages; returns 0 or -ENOMEM; generator."""
        # Wrong: the flag says not to flush.
        flush = bool(walk.flags & VMEMMAP_SPLIT_NO_TLB_FLUSH)
        for pmd, nr in k.pmds_of(walk.folio, nr_pages):
            ret = yield from k.split_vmemmap_huge_pmd(task, walk.folio, pmd, flush)
            if ret:
                return ret
            # We are only splitting, not remapping.
            if walk.remap_pte is None:
                continue
            k.vmemmap_pte_range(task, walk, nr)
        return 0

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
