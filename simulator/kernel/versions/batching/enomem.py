# SPDX-License-Identifier: MIT
"""
v6.7 with the other answers to ENOMEM
-------------------------------------

What hugetlb_vmemmap_optimize_folios() should do when a PMD cannot be split for
want of a PTE page was half of the discussion of "batch PMD split for bulk vmemmap
dedup".  v6.7 itself is the answer that was merged: stop splitting, remap all, and
where a late split fails flush, free what has accumulated and try that folio once
more.  The classes below are the other answers, each on top of v6.7, so that
nothing but the answer differs.  None of them was merged.

Modelled: what each answer does with the folios that can and cannot be split.

Not modelled: the posted versions as a whole, which differ from v6.7 in more than
this; reclaim, and the OOM killer, which in a real kernel come before the failure.

Sources: replies to 20230905214412.89152-10-mike.kravetz@oracle.com (v2 9/11):
Muchun Song on 6 Sep 2023, 16:24 and 17:11 (+8), Joao Martins at 10:26 (+1);
20230905214412.89152-10 and 20230918230202.254631-7-mike.kravetz@oracle.com for
what v2, and v3 and v4, did.
"""

from __future__ import annotations

from simulator.kernel.structs import ENOMEM, Folio, Hstate, VmemmapPages
from simulator.kernel.versions.v6_7 import V6_7

__all__ = ("EnomemAbort", "EnomemGoOn", "EnomemIgnore", "EnomemRetry")

_V2 = "20230905214412.89152-10-mike.kravetz@oracle.com"
_V4 = "20230918230202.254631-7-mike.kravetz@oracle.com"


class SplitAll(V6_7):
    """The split pass of v2 to v4: a failure is ignored, the next folio tries again."""

    def hugetlb_vmemmap_split_folio(k, h: Hstate, folio: Folio) -> int:
        """Split the PMDs of a folio that is going to be optimised; tells nobody of a failure."""
        super().hugetlb_vmemmap_split_folio(h, folio)
        return 0


class RemapOnce(V6_7):
    """A remap pass that frees nothing before its end."""

    def enomem_retries(k, vmemmap_pages: VmemmapPages) -> bool:
        """Whether a folio that ran out of memory is tried once more."""
        return False


class EnomemAbort(RemapOnce):
    """Out of memory: no sense to go on, neither to split nor to remap."""

    name = "v6.7+enomem-abort"
    base = "v6.7"
    subject = "ENOMEM at a split: optimise nothing"
    commit = ""
    summary = "leave the whole list as it is (Muchun Song, 6 Sep 2023, 16:24 +8)"
    proposed_in = f"a reply to {_V2}"

    def hugetlb_vmemmap_optimize_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Split all, flush once; remap all unless a split failed."""
        ret = 0
        for folio in folio_list:
            ret = k.hugetlb_vmemmap_split_folio(h, folio)
            if ret == -ENOMEM:
                break
        k.flush_batch("batch_split")
        if not ret:
            k.remap_folios(h, folio_list)


class EnomemIgnore(SplitAll, RemapOnce):
    """Errors are ignored in both passes; nothing is freed before the end."""

    name = "v6.7+enomem-ignore"
    base = "v6.7"
    subject = "ENOMEM at a split: ignore it, in both passes"
    commit = ""
    summary = "try the next folio; late splits have no memory to gain (as v2)"
    proposed_in = _V2


class EnomemGoOn(SplitAll):
    """Go on splitting; the remap pass flushes, frees and tries again, as in v6.7."""

    name = "v6.7+enomem-go-on"
    base = "v6.7"
    subject = "ENOMEM at a split: split on, retry at the remap"
    commit = ""
    summary = "try the next folio; retry late splits once memory is freed (as v4)"
    proposed_in = _V4


class EnomemRetry(RemapOnce):
    """Remap what is split, which frees memory for more splits."""

    name = "v6.7+enomem-retry"
    base = "v6.7"
    subject = "ENOMEM at a split: remap, free, then split on"
    commit = ""
    summary = "remap and free what is split, go on (Muchun Song, 6 Sep 2023, 17:11 +8)"
    proposed_in = f"a reply to {_V2}"

    def hugetlb_vmemmap_optimize_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Split until memory runs out, remap and free what is split, and so on."""
        split: list[Folio] = []
        for folio in folio_list:
            ret = k.hugetlb_vmemmap_split_folio(h, folio)
            if ret == -ENOMEM and split:
                # Each folio gives back seven pages net: enough for as many splits.
                k.flush_batch("batch_split")
                k.remap_folios(h, split, "enomem")
                split = []
                ret = k.hugetlb_vmemmap_split_folio(h, folio)
            # With nothing left to free, this folio stays as it is.
            if not ret:
                split.append(folio)
        k.flush_batch("batch_split")
        k.remap_folios(h, split)
