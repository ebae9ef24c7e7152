# SPDX-License-Identifier: MIT
"""
v6.6+6@v1 and v6.6+7@v1: batching as first posted
-------------------------------------------------

"batch PMD split for bulk vmemmap dedup" against the merged form: one flag says both
that the walk only splits and that it does not flush; the flush of the batch is a range
that ends at TLB_FLUSH_ALL, which only x86 has; the split of each folio counts in the
static key as if it were optimised, so that the key never gets back to 0 (answered in
the thread: a copy-and-paste error); a split that fails is left to the remap pass, and
the split pass goes on.

"batch TLB flushes when freeing vmemmap" on top of it: a second flag for walks whose
flush the caller makes.

Sources: 20230825190436.55045-11-mike.kravetz@oracle.com (10/12) and -12 (11/12);
kernel test robot, 202308261325.ipTttZHZ-lkp@intel.com.
"""

from __future__ import annotations

from typing import ClassVar, Final

from simulator.kernel.structs import Folio, Hstate, VmemmapRemapWalk
from simulator.kernel.tlb import TLB_FLUSH_ALL
from simulator.kernel.versions.batching.patch6 import V6_6_6
from simulator.kernel.versions.batching.patch7 import V6_6_7
from simulator.kernel.versions.batching.posted_v2 import V6_6_5_V2

__all__ = ("VMEMMAP_REMAP_BULK_PAGES", "VMEMMAP_REMAP_ONLY_SPLIT", "V6_6_6_V1", "V6_6_7_V1")

#: Split PMDs without a flush, and do not remap.
VMEMMAP_REMAP_ONLY_SPLIT: Final = 1 << 0
#: Remap without a flush.
VMEMMAP_REMAP_BULK_PAGES: Final = 1 << 1


class V6_6_6_V1(V6_6_6, V6_6_5_V2):
    """One flag for a walk that only splits and does not flush."""

    name = "v6.6+6@v1"
    base = "v6.6"
    subject = "[PATCH 10/12] hugetlb: batch PMD split for bulk vmemmap dedup"
    commit = ""
    summary = "as v6.6+6, but the flush is a range; static key leaks; split errors ignored"
    proposed_in = "20230825190436.55045-11-mike.kravetz@oracle.com"
    SPLIT_FLAGS: ClassVar[int] = VMEMMAP_REMAP_ONLY_SPLIT

    def split_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a PMD that a walk splits is flushed."""
        return not walk.flags & VMEMMAP_REMAP_ONLY_SPLIT

    def remap_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a walk flushes what it has remapped."""
        return not walk.flags & VMEMMAP_REMAP_ONLY_SPLIT

    def hugetlb_vmemmap_split(k, h: Hstate, folio: Folio) -> int:
        """Split the PMDs of a folio that is going to be optimised; tells nobody of a failure."""
        if not k.vmemmap_should_optimize(h, folio):
            return 0
        # Wrong: nothing is optimised yet, and nobody takes this one back.
        k.static_branch_inc(k.hugetlb_optimize_vmemmap_key)
        vmemmap_start = folio.page
        if k.vmemmap_remap_split(vmemmap_start, vmemmap_start + k.hugetlb_vmemmap_size(h)):
            k.static_branch_dec(k.hugetlb_optimize_vmemmap_key)
        return 0

    def flush_batch(k, reason: str) -> None:
        """The flush after a pass over a list of folios."""
        k.flush_tlb_kernel_range(0, TLB_FLUSH_ALL, reason)


class V6_6_7_V1(V6_6_7, V6_6_6_V1):
    """A flag for folios that are remapped in bulk."""

    name = "v6.6+7@v1"
    base = "v6.6"
    subject = "[PATCH 11/12] hugetlb: batch TLB flushes when freeing vmemmap"
    commit = ""
    summary = "v6.6+6@v1, then one flush for all remaps; errors ignored"
    proposed_in = "20230825190436.55045-12-mike.kravetz@oracle.com"

    def remap_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is optimised."""
        return VMEMMAP_REMAP_BULK_PAGES

    def remap_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a walk flushes what it has remapped."""
        return not walk.flags & (VMEMMAP_REMAP_ONLY_SPLIT | VMEMMAP_REMAP_BULK_PAGES)
