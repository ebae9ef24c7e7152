# SPDX-License-Identifier: MIT
"""
v6.6+5@v2 to v6.6+7@v2: batching as posted the second time
----------------------------------------------------------

[PATCH v2 08/11] hugetlb: batch freeing of vmemmap pages, with what came before it in
that series.  Against ``v6.6+5``: nobody is told of an allocation that failed, neither
while optimising (no second try) nor while restoring (a folio that failed is tried once
more when it is given back), and bulk free has no lock cycle of its own for the
destructors, as patch 1/8 of the merged series came with v3 only.  The first posting
([PATCH 08/12] and 09/12) counts and frees the same.

[PATCH v2 09/11] hugetlb: batch PMD split for bulk vmemmap dedup, the form that the seed
thread discusses: no flag at all.  ``walk->remap_pte`` says whether to go down to the
PTEs, and with it whether the split of a PMD is flushed: a walk that only splits never
flushes, a split met during a remap always does.  Against the merged form, a split that
fails is ignored: the split pass goes on, the remap pass splits late and flushes.

[PATCH v2 10/11] hugetlb: batch TLB flushes when freeing vmemmap: the only flag of that
posting, for the flush of a remap.  The answers to it led to two flags: one for splits,
one for remaps.

Not modelled: 09/12 of the first posting sets HPageVmemmapOptimized before the
remap, here it is set after it; nothing in between looks at it.

Sources: 20230905214412.89152-8-mike.kravetz@oracle.com (07/11), -9 (08/11), -10 (09/11)
and -11 (10/11), and the answers to 09/11 on 6 September 2023.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final

from simulator.kernel.structs import Folio, Hstate, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.batching.patch5 import V6_6_5
from simulator.kernel.versions.batching.patch6 import V6_6_6
from simulator.kernel.versions.batching.patch7 import V6_6_7

__all__ = ("VMEMMAP_NO_TLB_FLUSH", "V6_6_5_V2", "V6_6_6_V2", "V6_6_7_V2")

#: Skip the TLB flush after a remap; that of a split hangs on remap_pte alone.
VMEMMAP_NO_TLB_FLUSH: Final = 1 << 0


class V6_6_5_V2(V6_6_5):
    """As v6.6+5, but errors are not passed on."""

    name = "v6.6+5@v2"
    base = "v6.6"
    subject = "[PATCH v2 08/11] hugetlb: batch freeing of vmemmap pages"
    commit = ""
    summary = "as v6.6+5, but nothing is tried again on ENOMEM"
    proposed_in = "20230905214412.89152-9-mike.kravetz@oracle.com"

    def enomem_retries(k, vmemmap_pages: VmemmapPages) -> bool:
        """Whether a folio that ran out of memory is tried once more."""
        return False

    def update_and_free_pages_bulk(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Restore the folios of a list, then give them back one after another."""
        k.hugetlb_vmemmap_restore_folios(h, deque(folio_list), [])
        for folio in folio_list:
            k.update_and_free_hugetlb_folio(h, folio)
            k.cond_resched()

    def hugetlb_vmemmap_restore_folios(
        k, h: Hstate, folio_list: deque[Folio], non_hvo_folios: list[Folio]
    ) -> int:
        """Restore the folios of a list; there is no feedback."""
        for folio in folio_list:
            k.hugetlb_vmemmap_restore(h, folio)
        return 0


class V6_6_6_V2(V6_6_6, V6_6_5_V2):
    """walk->remap_pte decides on the flush of a split."""

    name = "v6.6+6@v2"
    base = "v6.6"
    subject = "[PATCH v2 09/11] hugetlb: batch PMD split for bulk vmemmap dedup"
    commit = ""
    summary = "as v6.6+6, but remap_pte decides on the flush; split errors ignored"
    proposed_in = "20230905214412.89152-10-mike.kravetz@oracle.com"
    SPLIT_FLAGS: ClassVar[int] = 0

    def split_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a PMD that a walk splits is flushed."""
        return walk.remap_pte is not None

    def hugetlb_vmemmap_split(k, h: Hstate, folio: Folio) -> int:
        """Split the PMDs of a folio that is going to be optimised; tells nobody of a failure."""
        super().hugetlb_vmemmap_split(h, folio)
        return 0


class V6_6_7_V2(V6_6_7, V6_6_6_V2):
    """One flag beside remap_pte."""

    name = "v6.6+7@v2"
    base = "v6.6"
    subject = "[PATCH v2 10/11] hugetlb: batch TLB flushes when freeing vmemmap"
    commit = ""
    summary = "v6.6+6@v2, then one flush for all remaps; errors ignored"
    proposed_in = "20230905214412.89152-11-mike.kravetz@oracle.com"

    def remap_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is optimised."""
        return VMEMMAP_NO_TLB_FLUSH

    def remap_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a walk flushes what it has remapped."""
        return walk.remap_pte is not None and not walk.flags & VMEMMAP_NO_TLB_FLUSH
