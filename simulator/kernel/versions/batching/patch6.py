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

from typing import ClassVar, Final

from simulator.kernel.structs import ENOMEM, NO_PAGES, Folio, Hstate, VmemmapRemapWalk
from simulator.kernel.versions.batching.patch5 import V6_6_5

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

    #: The flags of a walk that only splits.
    SPLIT_FLAGS: ClassVar[int] = VMEMMAP_SPLIT_NO_TLB_FLUSH

    def split_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a PMD that a walk splits is flushed."""
        return not walk.flags & VMEMMAP_SPLIT_NO_TLB_FLUSH

    def remap_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a walk flushes what it has remapped."""
        return walk.remap_pte is not None

    def vmemmap_remap_split(k, start: int, end: int) -> int:
        """Split the PMDs of a range of the vmemmap; 0 or -ENOMEM."""
        walk = VmemmapRemapWalk(None, NO_PAGES, 0, k.SPLIT_FLAGS)
        k.remap_lock.down_read()
        ret = k.vmemmap_remap_range(start, end, walk)
        k.remap_lock.up_read()
        return ret

    def hugetlb_vmemmap_split(k, h: Hstate, folio: Folio) -> int:
        """Split the PMDs of a folio that is going to be optimised; 0 or -ENOMEM."""
        if not k.vmemmap_should_optimize(h, folio):
            return 0
        vmemmap_start = folio.page
        return k.vmemmap_remap_split(vmemmap_start, vmemmap_start + k.hugetlb_vmemmap_size(h))

    def hugetlb_vmemmap_optimize_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Split all, flush once, then remap all."""
        k.split_folios(h, folio_list)
        k.remap_folios(h, folio_list)

    def split_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """The first loop of hugetlb_vmemmap_optimize_folios(), and its flush."""
        for folio in folio_list:
            ret = k.hugetlb_vmemmap_split(h, folio)
            # No point in retrying: the remap pass splits with the memory that it gains.
            if ret == -ENOMEM:
                break
        k.split_ended(len(folio_list))

    def split_ended(k, nr_folios: int) -> None:
        """Flush after the splits of a list, even of an empty one."""
        k.flush_batch("batch_split")

    def flush_batch(k, reason: str) -> None:
        """The flush after a pass over a list of folios."""
        k.flush_tlb_all(reason)
