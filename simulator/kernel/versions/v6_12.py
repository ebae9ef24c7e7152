# SPDX-License-Identifier: MIT
"""
Linux v6.12
-----------

6.12.107, as its calls were counted.  Since v6.7: a grace period of RCU before
the struct pages of a batch are remapped and before they are restored, and one
for every folio that is worked on alone; mmap_lock is taken for each walk and
released before the flush.

Modelled: a new head page that cannot be had is done without, as in v6.7.  Linux
6.12.117 fails the folio with -ENOMEM instead; but there the restore of a single
folio flushes 7 pages, and 8 were counted in 6.12.107, so that the later change
of both is taken not to be in it.

Not modelled: GFP flags, and so the difference between __GFP_NORETRY (the head
page) and __GFP_RETRY_MAYFAIL (the pages to restore); batched demotion; bootmem
pages.

Sources: commit bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN
walkers") (in v6.11); 20231127084645.27017-1-songmuchun@bytedance.com, whose "mm:
hugetlb_vmemmap: use walk_page_range_novma() to simplify the code" (in v6.8)
moved the flush out of mmap_lock; counted in Linux 6.12.107.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from simulator.engine import Steps, Task
from simulator.kernel.rcu import Rcu
from simulator.kernel.structs import ENOMEM, Folio, VmemmapPages, VmemmapRemapWalk
from simulator.kernel.versions.v6_6_6 import VMEMMAP_SPLIT_NO_TLB_FLUSH
from simulator.kernel.versions.v6_6_7 import VMEMMAP_REMAP_NO_TLB_FLUSH
from simulator.kernel.versions.v6_7 import V6_7

__all__ = ("VMEMMAP_SYNCHRONIZE_RCU", "V6_12")

#: Wait for a grace period, so that nobody writes to struct pages by page_ref_add_unless().
VMEMMAP_SYNCHRONIZE_RCU: Final = 1 << 2


class V6_12(V6_7, Rcu):
    """v6.7 and synchronize_rcu(): once to a batch, once to a folio alone."""

    name = "v6.12"
    base = "v6.12"
    subject = "Linux 6.12"
    commit = "adc218676eef"
    summary = "v6.7, and synchronize_rcu() before the remaps and restores of a batch"
    # Counted in 6.12.107.
    TUNABLES = V6_7.TUNABLES | {
        "static_key_sites": (687, 0, 10**6, "code sites patched when HVO's static key flips")
    }

    # --- the walk -------------------------------------------------------------------

    def vmemmap_remap_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk ``nr_pages`` of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        # The flush comes after the end of the read section.
        yield from k.mmap_lock.down_read(task)
        return (yield from super().vmemmap_remap_range(task, walk, nr_pages))

    def vmemmap_remap_split(k, task: Task, folio: Folio) -> Steps:
        """Split the PMDs of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        walk = VmemmapRemapWalk(folio, None, VmemmapPages(), VMEMMAP_SPLIT_NO_TLB_FLUSH)
        return k.vmemmap_remap_range(task, walk, k.h.nr_vmemmap_pages)

    def vmemmap_remap_and_undo(k, task: Task, walk: VmemmapRemapWalk) -> Steps:
        """The walk of vmemmap_remap_free() and, if it fails, the way back; generator."""
        folio = walk.folio
        begin = task.met_ns, task.broadcast_ns
        split_ns = folio.split_ns
        ret = yield from k.vmemmap_remap_range(task, walk, k.h.nr_vmemmap_pages)
        if ret and walk.nr_walked:
            back = VmemmapRemapWalk(
                folio, k.vmemmap_restore_pte, walk.vmemmap_pages, reason="enomem"
            )
            yield from k.vmemmap_remap_range(task, back, walk.nr_walked)
        if not task.ready():
            yield from task.meet()
        folio.remap_ns += k.work_ends(task, folio, begin) - (folio.split_ns - split_ns)
        return ret

    def vmemmap_remap_alloc(k, task: Task, folio: Folio, flags: int) -> Steps:
        """Allocate a folio's vmemmap pages and remap; returns 0 or -ENOMEM; generator."""
        begin = task.met_ns, task.broadcast_ns
        vmemmap_pages = VmemmapPages(nid=folio.nid)
        ret = yield from k.alloc_vmemmap_page_list(task, vmemmap_pages)
        if not ret:
            walk = VmemmapRemapWalk(folio, k.vmemmap_restore_pte, vmemmap_pages, flags, "restore")
            yield from k.vmemmap_remap_range(task, walk, k.h.nr_vmemmap_pages)
        if not task.ready():
            yield from task.meet()
        folio.restore_ns += k.work_ends(task, folio, begin)
        return ret

    # --- optimise -------------------------------------------------------------------

    def hugetlb_vmemmap_optimize(k, task: Task, folio: Folio) -> Steps:
        """Free the vmemmap pages of one folio; generator."""
        vmemmap_pages = VmemmapPages()
        flags = VMEMMAP_SYNCHRONIZE_RCU
        yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)
        folio.end_ns = yield from k.clock(task)

    def _hugetlb_vmemmap_optimize_folio(
        k, task: Task, folio: Folio, vmemmap_pages: VmemmapPages, flags: int = 0
    ) -> Steps:
        """Move the vmemmap pages of a folio to a list; returns 0 or -ENOMEM; generator."""
        task.work("bookkeeping", k.head_ns(task, folio))
        if not k.vmemmap_should_optimize(folio):
            return 0
        yield from k.static_branch_inc(task, k.hugetlb_optimize_vmemmap_key)
        if flags & VMEMMAP_SYNCHRONIZE_RCU:
            yield from k.synchronize_rcu(task, folio)
        # Very subtle, as in v6.7.
        k.set_vmemmap_optimized(folio, True)
        ret = yield from k.vmemmap_remap_free(task, folio, vmemmap_pages, flags)
        if ret:
            yield from k.static_branch_dec(task, k.hugetlb_optimize_vmemmap_key)
            k.set_vmemmap_optimized(folio, False)
        return ret

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Split all, flush once, wait once, remap all, flush once, free all; generator."""
        flags = VMEMMAP_REMAP_NO_TLB_FLUSH | VMEMMAP_SYNCHRONIZE_RCU
        vmemmap_pages = VmemmapPages()
        yield from k.split_folios(task, folio_list)
        for folio in folio_list:
            ret = yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
            # Only need to synchronize_rcu() once for each batch.
            flags &= ~VMEMMAP_SYNCHRONIZE_RCU
            # Pages to be freed may have been accumulated: free them and try once more.
            if ret == -ENOMEM and vmemmap_pages.nr_pages:
                yield from k.flush_tlb_all(task, "enomem")
                yield from k.free_vmemmap_page_list(task, vmemmap_pages)
                yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages, flags)
        yield from k.flush_tlb_all(task, "batch_remap")
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)

    # --- restore --------------------------------------------------------------------

    def hugetlb_vmemmap_restore(
        k, task: Task, folio: Folio, flags: int = VMEMMAP_SYNCHRONIZE_RCU
    ) -> Steps:
        """Give one folio its vmemmap pages back; returns 0 or -ENOMEM; generator."""
        if folio.hugetlb_vmemmap_optimized and flags & VMEMMAP_SYNCHRONIZE_RCU:
            yield from k.synchronize_rcu(task, folio)
        return (yield from super().hugetlb_vmemmap_restore(task, folio, flags))

    def hugetlb_vmemmap_restore_folios(
        k, task: Task, folio_list: deque[Folio], non_hvo_folios: list[Folio]
    ) -> Steps:
        """Move folios to ``non_hvo_folios``; returns how many restored, or -ENOMEM; generator."""
        flags = VMEMMAP_REMAP_NO_TLB_FLUSH | VMEMMAP_SYNCHRONIZE_RCU
        restored = 0
        ret = 0
        while folio_list:
            folio = folio_list[0]
            yield from k.free_begins(task, folio)
            if folio.hugetlb_vmemmap_optimized:
                ret = yield from k.hugetlb_vmemmap_restore(task, folio, flags)
                # Only need to synchronize_rcu() once for each batch.
                flags &= ~VMEMMAP_SYNCHRONIZE_RCU
                if ret:
                    break
                restored += 1
            else:
                task.work("bookkeeping", k.head_ns(task, folio))
            non_hvo_folios.append(folio_list.popleft())  # list_move() puts it at the head
        if restored:
            yield from k.flush_tlb_all(task, "batch_restore")
        return ret or restored
