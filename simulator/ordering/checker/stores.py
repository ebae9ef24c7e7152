# SPDX-License-Identifier: MIT
"""
Stores to page tables against flushes
-------------------------------------

Wraps what splits, remaps, restores, copies and frees, and the flushes between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.geometry import BASE_PAGE_BYTES, PAGE_SHIFT, PTRS_PER_PTE, STRUCT_PAGE_BYTES
from simulator.kernel.tlb import TLB_FLUSH_ALL
from simulator.ordering.checker.report import Reporter
from simulator.ordering.checker.translations import (
    NR_BITS,
    Splits,
    StaleRanges,
    masks_of,
    masks_of_runs,
    without,
)

if TYPE_CHECKING:
    from simulator.engine.calls import Call
    from simulator.kernel.hugetlb import Hugetlb
    from simulator.kernel.structs import Folio, Hstate, VmemmapPages

__all__ = ("Stores",)

Function = Callable[..., Any]
Masks = dict[int, int]  # by PMD, the bits of PTEs

_PMD_BYTES = PTRS_PER_PTE * BASE_PAGE_BYTES


class Stores:
    """
    What the kernel's stores leave behind.

    Each method takes a function of the kernel and returns one that also checks.
    """

    def __init__(self, k: Hugetlb, report: Reporter, check_flush: Callable[[Call], None]) -> None:
        self._check_flush = check_flush
        self._k = k
        self._report = report
        self._timeline = k.engine.timeline
        self._epoch = 0  # flushes begun so far
        # By CPU: ranges that it asked hardware to flush and has not waited for, with epochs.
        self._asked: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        self._splits = Splits()
        self._remapped = StaleRanges()
        self._restored = StaleRanges()
        # By CPU: the PTEs that mapped what is restored.
        self._taken_from: dict[int, list[int]] = {}
        # Heads of folios that were remapped without their flag, or restored while any was stale.
        self._unflagged: set[int] = set()
        #: Pages that PTEs map now and did not before, less those that they mapped before only.
        self.nr_mapped = 0
        self.nr_tables = 0
        self.nr_pfns_returned = 0  # of huge pages

    # --- splits -----------------------------------------------------------------------

    def populated(self, function: Function) -> Function:
        """pmd_populate_kernel()."""
        k, timeline = self._k, self._timeline
        page_table_lock = k.page_table_lock

        def populate(pmd: int, pgtable: int) -> None:
            if page_table_lock.owner is not timeline.current:
                self._report.without(page_table_lock, "pmd_populate_kernel")
            if pmd in k.split_pmds:
                self._report(
                    "lost-split", f"PMD {pmd}", "a page table stored over another one",
                    "pmd_leaf() tested again under page_table_lock",
                )  # fmt: skip
            function(pmd, pgtable)
            self._splits[pmd] = self._epoch
            self.nr_tables += 1

        return populate

    # --- PTEs -------------------------------------------------------------------------

    def stored(self, function: Function) -> Function:
        """set_ptes()."""
        k, timeline = self._k, self._timeline
        remapped, restored, splits = self._remapped, self._restored, self._splits
        mmap_lock, unflagged, taken_from = k.mmap_lock, self._unflagged, self._taken_from

        def store(addr: int, nr: int, category: str) -> None:
            function(addr, nr, category)
            task, cache = timeline.current, k.cache
            if task is not mmap_lock.owner and task not in mmap_lock.others:
                self._report.without(mmap_lock, "set_ptes")
            run = addr >> PAGE_SHIFT << NR_BITS | nr  # as run_of(), without a call
            if splits:
                self._check_splits(addr, nr)
            if category == "restore":
                self.nr_mapped += nr
                stale = restored
                if remapped.fresh or remapped.sorted:
                    unflagged.add(cache.folio.page)
                if taken_from:
                    self._back_from_list(task.cpu.number, addr, nr)
            else:
                stale = remapped
                cache.unlisted.append(run)
                folio = cache.folio
                if addr != folio.pfn * STRUCT_PAGE_BYTES:  # as folio.page, without a call
                    self.nr_mapped -= nr
                else:
                    # A new page is mapped, which was copied before.
                    self.nr_mapped -= nr - 1
                    if not folio.hugetlb_vmemmap_optimized:
                        unflagged.add(addr)
                    elif not cache.flag_at_copy:
                        self._flag_lost(folio, "copied")
            if stale.epoch != self._epoch:
                if stale.fresh:
                    stale.sort()
                stale.epoch = self._epoch
            stale.fresh.append(run)
            stale.start, stale.end = addr, addr + nr * BASE_PAGE_BYTES

        return store

    def _check_splits(self, addr: int, nr: int) -> None:
        for pmd, _ in masks_of(addr, addr + nr * BASE_PAGE_BYTES):
            if self._splits.pop(pmd, None) is not None:
                self._report(
                    "size-and-frame", f"PMD {pmd}", "split, and PTEs of it stored",
                    "a flush of the PMD between",
                )  # fmt: skip

    def _back_from_list(self, cpu: int, addr: int, nr: int) -> None:
        of_list = self._taken_from.pop(cpu, None)
        if of_list is not None:
            first = addr // BASE_PAGE_BYTES
            of_list[:] = without(of_list, first, first + nr)

    # --- lists of pages ----------------------------------------------------------------

    def listed(self, function: Function) -> Function:
        """list_add_pages()."""
        k = self._k

        def add(nr: int, vmemmap_pages: VmemmapPages) -> None:
            function(nr, vmemmap_pages)
            cache = k.cache
            if vmemmap_pages.runs is None:
                vmemmap_pages.runs, cache.unlisted = cache.unlisted, []
            else:
                vmemmap_pages.runs += cache.unlisted
                cache.unlisted.clear()

        return add

    def unlisted(self, function: Function) -> Function:
        """list_del_pages()."""
        timeline, taken_from = self._timeline, self._taken_from

        def take(nr: int, vmemmap_pages: VmemmapPages) -> Any:
            pages = function(nr, vmemmap_pages)
            if vmemmap_pages.runs is not None:
                taken_from[timeline.current.cpu.number] = vmemmap_pages.runs
                if not vmemmap_pages.nr_pages:
                    vmemmap_pages.runs = None
            return pages

        return take

    def list_freed(self, function: Function) -> Function:
        """free_page_list()."""
        remapped = self._remapped

        def free(vmemmap_pages: VmemmapPages) -> None:
            # It meets: what others flushed until the pages are free is known afterwards.
            function(vmemmap_pages)
            runs, vmemmap_pages.runs = vmemmap_pages.runs, None
            if not (remapped.fresh or remapped.sorted):
                return
            stale = {}
            for pmd, mask in masks_of_runs(runs or ()).items():
                bits = remapped.stale(pmd, mask)
                if bits:
                    stale[pmd] = bits
                    remapped.forget(pmd, bits, self._epoch + 1)
            for pfn in self._pfns(stale):
                self._report(
                    "freed-while-held", f"folio of pfn {pfn}", "its vmemmap pages given back",
                    "a flush since its PTEs were remapped",
                )  # fmt: skip

        return free

    def _pfns(self, masks: Masks) -> list[int]:
        # The first page frames of the folios whose vmemmap has one of these PTEs.
        nr = self._k.h.nr_pfns
        pfns: dict[int, None] = {}
        for pmd, mask in masks.items():
            at, bits = pmd * PTRS_PER_PTE, mask
            while bits:
                low = (bits & -bits).bit_length() - 1
                pfn = (at + low) * BASE_PAGE_BYTES // STRUCT_PAGE_BYTES // nr * nr
                pfns[pfn] = None
                end = (pfn + nr) * STRUCT_PAGE_BYTES // BASE_PAGE_BYTES - at
                bits = bits >> end << end if end < PTRS_PER_PTE else 0
        return list(pfns)

    # --- struct pages ------------------------------------------------------------------

    def flagged(self, function: Function) -> Function:
        """folio_set_hugetlb_vmemmap_optimized()."""
        remapped, unflagged = self._remapped, self._unflagged

        def flag(folio: Folio) -> None:
            function(folio)
            if not unflagged:
                return
            unflagged.discard(folio.page)
            if remapped.fresh or remapped.sorted:
                pmd, at = divmod(folio.page // BASE_PAGE_BYTES, PTRS_PER_PTE)
                if remapped.stale(pmd, 1 << at):
                    self._flag_lost(folio, "remapped")

        return flag

    def _flag_lost(self, folio: Folio, after: str) -> None:
        self._report(
            "flag-before-copy", f"folio of pfn {folio.pfn}",
            f"the flag was set after its head page had been {after}",
            "the flag set before the copy, or a flush between",
        )  # fmt: skip

    def returned(self, function: Function) -> Function:
        """free_huge_page(), which writes all struct pages of a folio."""
        restored = self._restored

        def free(h: Hstate, folio: Folio) -> None:
            self.nr_pfns_returned += h.nr_pfns
            if restored.fresh or restored.sorted:
                self._check_return(h, folio)
            function(h, folio)

        return free

    def _check_return(self, h: Hstate, folio: Folio) -> None:
        end = folio.page + h.nr_pfns * STRUCT_PAGE_BYTES
        if any(self._restored.stale(pmd, mask) for pmd, mask in masks_of(folio.page, end)):
            self._report(
                "used-while-stale", f"folio of pfn {folio.pfn}",
                "its struct pages were written, as it goes back",
                "a flush since they were restored",
            )  # fmt: skip

    # --- flushes -----------------------------------------------------------------------

    def flushed(self, function: Function) -> Function:
        """on_each_cpu(), for a flush of a range of addresses."""
        timeline, splits = self._timeline, self._splits
        stale = self._remapped, self._restored

        def flush(call: Call, start: int, end: int) -> None:
            task = timeline.current
            if task.cpu.irqs_off:
                self._check_flush(call)
            # As it does itself: what came before came before the flush.
            if task.planned_ns < task.clear_ns:
                task.met_ns = task.planned_ns  # as Task.meet(), without a call
            else:
                task.meet()
            epoch = self._epoch = self._epoch + 1
            function(call, start, end)
            if splits or call.kind == "all":
                self._forget(start, TLB_FLUSH_ALL if call.kind == "all" else end, epoch)
                return
            for ranges in stale:
                if ranges.fresh or ranges.sorted:
                    ranges.forget_range(start, end, epoch)

        return flush

    def _forget(self, start: int, end: int, epoch: int) -> None:
        # A flush that began with an epoch has ended.
        splits, remapped, restored = self._splits, self._remapped, self._restored
        if end == TLB_FLUSH_ALL:
            if splits:
                splits.forget_all(epoch)
            remapped.forget_all(epoch)
            restored.forget_all(epoch)
            return
        if splits and end > start:
            splits.forget(start // _PMD_BYTES, (end - 1) // _PMD_BYTES, epoch)
        if remapped.fresh or remapped.sorted:
            remapped.forget_range(start, end, epoch)
        if restored.fresh or restored.sorted:
            restored.forget_range(start, end, epoch)

    def broadcast(self, function: Function) -> Function:
        """INVLPGB, TLBI and their like: a flush asked for, not waited for."""
        timeline, asked = self._timeline, self._asked

        def invalidate(start: int, end: int, *how: Any) -> None:
            timeline.current.meet()  # as it does itself: what came before came before the flush
            self._epoch += 1
            asked[timeline.current.cpu.number].append((start, end, self._epoch))
            function(start, end, *how)

        return invalidate

    def synchronized(self, function: Function) -> Function:
        """TLBSYNC, DSB and their like: wait for what their own CPU asked for, and no other."""
        asked, hardware = self._asked, self._k.hardware

        def synchronize(cpu: int, *how: Any) -> None:
            function(cpu, *how)
            if hardware.unfinished:
                return  # it came back too early
            for start, end, epoch in asked.pop(cpu, ()):
                self._forget(start, end, epoch)

        return synchronize
