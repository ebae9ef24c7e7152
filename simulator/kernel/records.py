# SPDX-License-Identifier: MIT
"""
What is recorded of each folio
------------------------------

:func:`attach_records` wraps functions of one kernel object by name, so that kernel
code itself records nothing.  A folio's record of a phase begins when it is taken from
the allocator, or when the kernel first looks at it to give it back; it is written when
the folio is in the pool, back with the allocator, or kept for want of memory.

===============  ======================================================================
start_ns         before the huge page was taken, or its head first looked at
split_ns         in functions that split a PMD, from the first test for a leaf on
remap_ns         in the walk that remaps, with the way back after ENOMEM, without splits
restore_ns       in vmemmap_remap_alloc()
flush_ns         broadcasts in the last two; the three above are without broadcasts
end_ns           when the last of these ended, or the folio was given back
ready_ns         when the lock under which it went into the pool was released, or as end_ns
===============  ======================================================================

Not recorded: work on a whole list, which belongs to no folio.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb
    from simulator.kernel.structs import Folio, Hstate, VmemmapRemapWalk

__all__ = ("attach_records",)

Function = Callable[..., Any]


def attach_records(k: Hugetlb) -> None:
    """Record what the folios of a kernel take, from now on."""
    records = _Records(k)
    for around, names in (
        (records.made, ["split_hugetlb_folio"]),
        (records.demoted, ["folio_demoted"]),
        (records.split, ["split_vmemmap_huge_pmd", "vmemmap_pmd_entry"]),
        (records.pte_page, ["pte_alloc_one_kernel"]),
        (records.remap, ["_vmemmap_remap_free"]),
        (records.restore, ["vmemmap_remap_alloc"]),
        (records.optimized, ["hugetlb_vmemmap_optimize", "hugetlb_vmemmap_optimize_folio"]),
        (records.enqueued, ["enqueue_hugetlb_folio"]),
        (records.added_back, ["add_hugetlb_folio"]),
        (records.freed, ["free_huge_page"]),
        (records.stored_to, ["nr_hugepages_store", "demote_store"]),
        (records.surplus, ["alloc_surplus_hugetlb_folio"]),
        (records.migrated, ["alloc_migrate_hugetlb_folio"]),
        (
            # They end with the release of hugetlb_lock; the last two for what is left over.
            records.in_pool,
            [
                "alloc_pool_huge_folio",
                "prep_and_add_allocated_folios",
                "restore_failed",
                "prep_and_add_bootmem_folios",
                "free_new_hugetlb_folio",
                "set_max_huge_pages",
                "hugetlb_pages_alloc_boot_node",
            ],
        ),
    ):
        for name in names:
            if hasattr(k, name):  # versions have functions of their own
                k.attach(name, around)


class _Records:
    # Each method takes a function of the kernel and returns one that records, too.

    def __init__(self, k: Hugetlb) -> None:
        self._k = k
        # By CPU: folios put into the pool that are not recorded yet, each before its status (a
        # list may be of half a million, and a tuple of two is no small object); of CPUs that
        # have some.
        self._pooled: dict[int, list[Any]] = defaultdict(list)

    def made(self, function: Function) -> Function:
        k = self._k

        def split(src: Hstate, dst: Hstate, folio: Folio) -> list[Folio]:
            k.current.meet()
            start_ns = k.current.met_ns
            folios: list[Folio] = function(src, dst, folio)
            for part in folios:
                k.folio_begins(part)
                part.start_ns = part.end_ns = start_ns
            return folios

        return split

    def demoted(self, function: Function) -> Function:
        k = self._k

        def demoted(folio: Folio) -> None:
            function(folio)
            folio.end_ns = k.current.met_ns
            k.folio_ends(folio, folio.end_ns, "demoted")

        return demoted

    def split(self, function: Function) -> Function:
        k = self._k

        # Plain arguments: a call with a tuple of them is a C call, whose stack a greenlet copies.
        def split(pmd: int, addr: int, how: Any) -> int:
            if pmd in k.split_pmds:
                return function(pmd, addr, how)  # type: ignore[no-any-return]
            task, cache = k.current, k.cache
            cache.took_pte_page = False
            begin_ns, broadcast_ns = task.met_ns, task.broadcast_ns
            ret: int = function(pmd, addr, how)
            if cache.took_pte_page and not ret:
                flush_ns = task.broadcast_ns - broadcast_ns
                cache.folio.split_ns += task.met_ns - begin_ns - flush_ns
            return ret

        return split

    def pte_page(self, function: Function) -> Function:
        k = self._k

        def alloc() -> int:
            k.cache.took_pte_page = True
            pgtable: int = function()
            return pgtable

        return alloc

    def remap(self, function: Function) -> Function:
        k = self._k

        def remap(start: int, end: int, walk: VmemmapRemapWalk) -> int:
            task = k.current
            folio = k.cache.folio
            begin_ns, broadcast_ns, split_ns = task.met_ns, task.broadcast_ns, folio.split_ns
            ret: int = function(start, end, walk)
            task.meet()
            flush_ns = task.broadcast_ns - broadcast_ns
            folio.end_ns = task.met_ns
            folio.flush_ns += flush_ns
            folio.remap_ns += task.met_ns - begin_ns - flush_ns - (folio.split_ns - split_ns)
            return ret

        return remap

    def restore(self, function: Function) -> Function:
        k = self._k

        def restore(start: int, end: int, nid: int, flags: int) -> int:
            task = k.current
            begin_ns, broadcast_ns = task.met_ns, task.broadcast_ns
            ret: int = function(start, end, nid, flags)
            task.meet()
            folio = k.cache.folio
            flush_ns = task.broadcast_ns - broadcast_ns
            folio.end_ns = task.met_ns
            folio.flush_ns += flush_ns
            folio.restore_ns += task.met_ns - begin_ns - flush_ns
            return ret

        return restore

    def optimized(self, function: Function) -> Function:
        k = self._k

        def optimize(h: Hstate, folio: Folio) -> None:
            function(h, folio)
            task = k.current
            task.meet()
            folio.end_ns = task.met_ns

        return optimize

    def enqueued(self, function: Function) -> Function:
        k, pooled = self._k, self._pooled

        def enqueue(h: Hstate, folio: Folio) -> None:
            function(h, folio)
            # A page that was in use comes back as it was, and is nobody's work.
            if folio.phase == k.phase:
                there = pooled[k.current.cpu.number]
                there.append(folio)
                there.append(k.folio_status(folio))

        return enqueue

    def added_back(self, function: Function) -> Function:
        k, pooled = self._k, self._pooled

        def add(h: Hstate, folio: Folio) -> None:
            function(h, folio)
            pooled[k.current.cpu.number][-1] = "restore_failed"

        return add

    def in_pool(self, function: Function) -> Function:
        pooled = self._pooled

        def add(h: Hstate, what: Any) -> Any:
            result: Any = function(h, what)
            if pooled:
                self._write_pooled()
            return result

        return add

    def stored_to(self, function: Function) -> Function:
        def store(h: Hstate, number: int, nid: int | None = None) -> None:
            function(h, number, nid)
            self._write_pooled()

        return store

    def _write_pooled(self) -> None:
        k = self._k
        task = k.current
        pooled = self._pooled.pop(task.cpu.number, [])
        for i in range(0, len(pooled), 2):
            k.folio_ends(pooled[i], task.met_ns, pooled[i + 1])

    def surplus(self, function: Function) -> Function:
        def alloc(h: Hstate) -> Folio | None:
            return self._ready(function(h))

        return alloc

    def migrated(self, function: Function) -> Function:
        def alloc(h: Hstate, nid: int) -> Folio | None:
            return self._ready(function(h, nid))

        return alloc

    def _ready(self, folio: Folio | None) -> Folio | None:
        if folio is not None:
            k = self._k
            k.folio_ends(folio, k.current.met_ns, k.folio_status(folio))
        return folio

    def freed(self, function: Function) -> Function:
        k = self._k

        def free(h: Hstate, folio: Folio) -> None:
            function(h, folio)
            folio.end_ns = k.current.met_ns
            k.folio_ends(folio, folio.end_ns, "freed")

        return free
