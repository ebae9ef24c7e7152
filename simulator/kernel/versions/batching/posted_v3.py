# SPDX-License-Identifier: MIT
"""
v6.6+5@v3 to v6.6+7@v3: batching as posted the third time, with its inverted flag
---------------------------------------------------------------------------------

[PATCH v3 09/12] hugetlb: batch freeing of vmemmap pages.  Against ``v6.6+5``: a folio
that ran out of memory is tried once more even if there was nothing to free in between.

[PATCH v3 10/12] hugetlb: batch PMD split for bulk vmemmap dedup: the first form with
VMEMMAP_SPLIT_NO_TLB_FLUSH, which goes unnegated where split_vmemmap_huge_pmd() expects
whether to flush.  So the split pass flushes every PMD, and a split met during a remap,
late or of a single folio, none.  v4 has it too; it was found on 19 September 2023 and
put right in v5.  Against the merged form, a split that fails is ignored, too: the split
pass goes on.

[PATCH v3 11/12] hugetlb: batch TLB flushes when freeing vmemmap: the first form with
VMEMMAP_REMAP_NO_TLB_FLUSH.  Where the merged series makes two flushes, this one makes
two and one for each PMD.

Not modelled: what v3 did otherwise after a failed restore; here it is as merged.

Sources: 20230915221548.552084-10-mike.kravetz@oracle.com (09/12), -11 (10/12) and
-12 (11/12).
"""

from __future__ import annotations

from simulator.kernel.structs import Folio, Hstate, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.batching.patch5 import V6_6_5
from simulator.kernel.versions.batching.patch6 import V6_6_6, VMEMMAP_SPLIT_NO_TLB_FLUSH
from simulator.kernel.versions.batching.patch7 import V6_6_7

__all__ = ("V6_6_5_V3", "V6_6_6_V3", "V6_6_7_V3")


class V6_6_5_V3(V6_6_5):
    """As v6.6+5, but a folio is tried again whatever the list holds."""

    name = "v6.6+5@v3"
    base = "v6.6"
    subject = "[PATCH v3 09/12] hugetlb: batch freeing of vmemmap pages"
    commit = ""
    summary = "as v6.6+5, but tried again on ENOMEM even if nothing was freed"
    proposed_in = "20230915221548.552084-10-mike.kravetz@oracle.com"

    def enomem_retries(k, vmemmap_pages: VmemmapPages) -> bool:
        """Whether a folio that ran out of memory is tried once more."""
        return True


class V6_6_6_V3(V6_6_6, V6_6_5_V3):
    """Flushes the splits that it should not, and not those that it should."""

    name = "v6.6+6@v3"
    base = "v6.6"
    subject = "[PATCH v3 10/12] hugetlb: batch PMD split for bulk vmemmap dedup"
    commit = ""
    summary = "as v6.6+6, but with the flag inverted; split errors ignored"
    proposed_in = "20230915221548.552084-11-mike.kravetz@oracle.com"

    def split_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a PMD that a walk splits is flushed."""
        # Wrong: the flag says not to flush.
        return bool(walk.flags & VMEMMAP_SPLIT_NO_TLB_FLUSH)

    def hugetlb_vmemmap_split(k, h: Hstate, folio: Folio) -> int:
        """Split the PMDs of a folio that is going to be optimised; tells nobody of a failure."""
        super().hugetlb_vmemmap_split(h, folio)
        return 0


class V6_6_7_V3(V6_6_7, V6_6_6_V3):
    """Two flags, one of them inverted."""

    name = "v6.6+7@v3"
    base = "v6.6"
    subject = "[PATCH v3 11/12] hugetlb: batch TLB flushes when freeing vmemmap"
    commit = ""
    summary = "v6.6+6@v3, then one flush for all remaps"
    proposed_in = "20230915221548.552084-12-mike.kravetz@oracle.com"
