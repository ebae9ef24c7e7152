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

from simulator.engine import Steps, Task
from simulator.kernel.structs import ENOMEM, Folio, VmemmapPages
from simulator.kernel.versions.v6_6_7 import VMEMMAP_REMAP_NO_TLB_FLUSH
from simulator.kernel.versions.v6_7 import V6_7

__all__ = ("EnomemAbort", "EnomemGoOn", "EnomemIgnore", "EnomemRetry")

_V2 = "20230905214412.89152-10-mike.kravetz@oracle.com"
_V4 = "20230918230202.254631-7-mike.kravetz@oracle.com"


class SplitAll(V6_7):
    """The split pass of v2 to v4: a failure is ignored, the next folio tries again."""

    def split_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """The first loop of hugetlb_vmemmap_optimize_folios(), and its flush; generator."""
        for folio in folio_list:
            yield from k.hugetlb_vmemmap_split(task, folio)
        yield from k.flush_tlb_all(task, "batch_split")


class RemapOnce(V6_7):
    """A remap pass that frees nothing before its end."""

    def remap_folios(k, task: Task, folio_list: list[Folio], reason: str = "batch_remap") -> Steps:
        """Remap the folios of a list, flush, free; a folio that fails stays; generator."""
        vmemmap_pages = VmemmapPages()
        for folio in folio_list:
            yield from k._hugetlb_vmemmap_optimize_folio(
                task, folio, vmemmap_pages, VMEMMAP_REMAP_NO_TLB_FLUSH
            )
        yield from k.flush_tlb_all(task, reason)
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)


class EnomemAbort(RemapOnce):
    """Out of memory: no sense to go on, neither to split nor to remap."""

    name = "v6.7+enomem-abort"
    base = "v6.7"
    subject = "ENOMEM at a split: optimise nothing"
    commit = ""
    summary = "leave the whole list as it is (Muchun Song, 6 Sep 2023, 16:24 +8)"
    proposed_in = f"a reply to {_V2}"

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split all, flush once; remap all unless a split failed; generator."""
        ret = 0
        for folio in folio_list:
            ret = yield from k.hugetlb_vmemmap_split(task, folio)
            if ret == -ENOMEM:
                break
        yield from k.flush_tlb_all(task, "batch_split")
        if not ret:
            yield from k.remap_folios(task, folio_list)


class EnomemIgnore(SplitAll, RemapOnce):
    """Errors are ignored in both passes; nothing is freed before the end."""

    name = "v6.7+enomem-ignore"
    base = "v6.7"
    subject = "ENOMEM at a split: ignore it, in both passes"
    commit = ""
    summary = "try the next folio; late splits have no memory to gain (as v2)"
    proposed_in = _V2

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split what can be split, flush once, remap what can be remapped; generator."""
        yield from k.split_folios(task, folio_list)
        yield from k.remap_folios(task, folio_list)


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

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split until memory runs out, remap and free what is split, and so on; generator."""
        split: list[Folio] = []
        for folio in folio_list:
            ret = yield from k.hugetlb_vmemmap_split(task, folio)
            if ret == -ENOMEM and split:
                # Each folio gives back seven pages net: enough for as many splits.
                yield from k.flush_tlb_all(task, "batch_split")
                yield from k.remap_folios(task, split, "enomem")
                split = []
                ret = yield from k.hugetlb_vmemmap_split(task, folio)
            # With nothing left to free, this folio stays as it is.
            if not ret:
                split.append(folio)
        yield from k.flush_tlb_all(task, "batch_split")
        yield from k.remap_folios(task, split)
