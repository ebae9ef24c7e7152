# SPDX-License-Identifier: MIT
"""
What the kernel's work on struct pages costs
--------------------------------------------

A struct page is a cache line.  The unbatched kernel does all its work on a folio
while its lines are cached; the batched one comes back to it in one pass over the
list after another, and finds them cold once the passes in between have touched
more than the last-level cache holds.  The functions here stand where the kernel
touches that memory; they work on the folio at hand, whose head the CPU looked at last.

Modelled: the reuse distance.  Every last-level cache counts the lines that the CPUs
below it touch (``cache_cores`` of them, with their siblings); what one of them touched
last is cached for all of them until the count has moved on by more than the cache holds
(``last_level_cache``), and what a CPU below another one touched last is cold.  So tasks
below one cache divide it, and meet there what they left each other.  The heads of
folios lie at the beginnings of pages, for which one set of the cache in 64 has room,
so that a head counts as a page.

The first of the cold lines that lie side by side costs the latency of their node
(``memory_near``, ``memory_far``); so many are under way at once
(``outstanding_lines``), that each further one costs that part of it.  A list is
followed from folio to folio at full latency: what is done to a folio takes locked
operations, over which no CPU looks ahead.

==============================  ==================================================
step                            cold lines
==============================  ==================================================
a list followed to a folio      1, its head; if PTEs map it, 1 of the page table on
                                the task's own node
a folio from or to the buddy    all its struct pages, 512 for 2 MB
vmemmap pages put on the list   their struct pages, 8 for 2 MB
that list given back            the same again
order-0 pages taken             a struct page each
a page copied                   64 to read; ``page_copy_near`` and ``page_copy_far``
                                to a cold page, ``page_copy_hot`` to a cached one
==============================  ==================================================

What a CPU gave back while it was still cached it gets again, up to one batch of a
per-CPU list (63 pages): without batching, the next folio's head page.  With it, and
whenever a folio is restored, pages come from the buddy allocator, cold.

Not modelled: smaller caches; what CPUs without a task touch; how the touches of two
tasks alternate between two meetings, where one's count after the other's; bandwidth, and
lines written back; TLB misses, but for the line of PTEs; a guest's second page walk; a
list of pages of several nodes that is still cached when they are given back, which all
go to the node of the last; buddies met on the way, and what other order-0 pages share
their lists; a huge page taken again while it is cached.

Sources: prep_compound_tail(), free_pages_prepare(), rmqueue_bulk() and
zone_batchsize() in mm/page_alloc.c of v6.6, mm/hugetlb_vmemmap.c and mm/hugetlb.c of
v6.6 and v6.7; the costs are the machine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.engine import Engine, Task
from simulator.geometry import BASE_PAGE_BYTES, LINE_BYTES
from simulator.kernel.base import KernelBase
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import NEVER, Folio, KernelConfig, VmemmapPages
from simulator.machine import LoweredCost, Platform

__all__ = ("Cache", "CpuCache")

LINES_PER_PAGE: Final = BASE_PAGE_BYTES // LINE_BYTES
#: Where no folio was looked at so far.
NO_FOLIO: Final = Folio(-1, -1, -1)
#: zone_batchsize(): pages that a per-CPU list takes from the buddy allocator at a time.
PCP_BATCH: Final = 63


class LineRuns(dict[int, int]):
    """
    The cost of cold lines side by side in nanoseconds, by their number.

    ``first`` is False if they go on from a line that is there already.
    """

    def __init__(self, latency: LoweredCost, outstanding: int, first: bool) -> None:
        self._latency_fp = latency.mean_fp[0]
        self._outstanding = outstanding
        self._first = first

    def __missing__(self, nr_lines: int) -> int:
        # A whole latency for the first line; after that one line comes in for each part.
        parts = nr_lines + self._outstanding - 1 if self._first and nr_lines else nr_lines
        ns = self[nr_lines] = (2 * self._latency_fp * parts // self._outstanding + 1024) // 2048
        return ns


class LastLevelCache:
    """What the CPUs below it have touched."""

    __slots__ = ("touched_lines",)

    def __init__(self) -> None:
        self.touched_lines = 0


class CpuCache:
    """
    The last-level cache above one CPU, and how far away the memory of each node is.

    By node: ``far`` is whether it is another one, ``runs`` what cold lines of its
    memory cost, and ``rests`` those that go on from another line.
    """

    __slots__ = (
        "far", "flag_at_copy", "folio", "free_at", "llc", "nr_cold_pages", "nr_free", "pmd",
        "read", "rests", "runs", "took_pte_page", "unlisted",
    )  # fmt: skip

    def __init__(
        self,
        llc: LastLevelCache,
        nid: int,
        nr_nodes: int,
        runs: Sequence[LineRuns],
        rests: Sequence[LineRuns],
    ) -> None:
        self.llc = llc
        self.far = [node != nid for node in range(nr_nodes)]
        self.runs = [runs[far] for far in self.far]
        self.rests = [rests[far] for far in self.far]
        #: The folio at hand, and the one whose head was read last.
        self.folio = self.read = NO_FOLIO
        #: Whether the folio that was copied last had its Optimized flag then; for the checker.
        self.flag_at_copy = True
        #: PTEs remapped whose pages are on no list so far; for the checker.
        self.unlisted: list[int] = []
        #: Whether the split under way took a PTE page; for records.
        self.took_pte_page = False
        #: The PMD that the walk under way has read; -1 for none.
        self.pmd = -1
        #: Pages taken from the buddy allocator that nothing was written to so far.
        self.nr_cold_pages = 0
        # Pages on the per-CPU list of each node that are still cached, and since when.
        self.nr_free = [0] * nr_nodes
        self.free_at = [0] * nr_nodes


class Cache(KernelBase):
    """Struct pages and page contents: cached, or as far away as their node."""

    __slots__ = ("_pte_line_ns", "cache", "caches", "llc_lines", "runs")

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        super().__init__(engine, platform, memory, config)
        k.runs, rests = (
            [
                LineRuns(latency, platform.outstanding_lines, first)
                for latency in (k.cost.memory_near, k.cost.memory_far)
            ]
            for first in (True, False)
        )
        llcs = [LastLevelCache() for _ in range(max(platform.cache_of) + 1)]
        k.caches = [
            CpuCache(llcs[nth], nid, platform.nr_nodes, k.runs, rests)
            for nth, nid in zip(platform.cache_of, config.node_of, strict=True)
        ]
        #: The cache of the CPU that runs.
        k.cache = k.caches[0]
        k.llc_lines: int = platform.llc_bytes // LINE_BYTES
        k._pte_line_ns = k.runs[False][1]

    def resumes(k, task: Task) -> None:
        """Let a task go on, with the cache of its CPU."""
        k.current = task
        k.cache = k.caches[task.cpu.number]

    def numa_node_id(k) -> int:
        """The node of the CPU that runs."""
        return k.config.node_of[k.current.cpu.number]

    # Each of these touches memory; those in _ns return what that costs beyond a cached
    # access, in nanoseconds, and the caller adds it to the work that it is part of.

    def head_ns(k, folio: Folio) -> int:
        """Follow a list to a folio: read its head, and have it at hand."""
        cache = k.cache
        llc = cache.llc
        cache.folio = folio
        touched = llc.touched_lines
        if folio.cache is llc:
            if touched - folio.head_at <= k.llc_lines:
                folio.head_at = touched
                return 0
        else:
            folio.cache = llc
        # The pages were touched before the head or with it, and are as cold: a number less for
        # each folio of a pool.
        folio.pages_at = NEVER
        folio.head_at = touched
        if folio.pte_mapped:
            llc.touched_lines = touched + LINES_PER_PAGE + 1
            return cache.runs[folio.nid][1] + k._pte_line_ns
        llc.touched_lines = touched + LINES_PER_PAGE
        return cache.runs[folio.nid][1]

    def struct_pages_ns(k, folio: Folio, nr_pfns: int) -> int:
        """Write all struct pages of a folio, one after another."""
        cache = k.cache
        llc = cache.llc
        touched = llc.touched_lines
        ns = 0
        if folio.cache is not llc or touched - folio.pages_at > k.llc_lines:
            head_is_cold = folio.cache is not llc or touched - folio.head_at > k.llc_lines
            ns = (cache.runs if head_is_cold else cache.rests)[folio.nid][nr_pfns]
            folio.cache = llc
        folio.pages_at = folio.head_at = touched
        llc.touched_lines = touched + nr_pfns
        return ns

    def list_pages_ns(k, vmemmap_pages: VmemmapPages, nr: int) -> int:
        """Put ``nr`` vmemmap pages of the folio at hand on a list, by their struct pages."""
        cache = k.cache
        llc = cache.llc
        nid = cache.folio.nid
        if not vmemmap_pages.nr_old:
            vmemmap_pages.listed_at = llc.touched_lines
            vmemmap_pages.nr_far = 0
        if cache.far[nid]:
            vmemmap_pages.nr_far += nr
        vmemmap_pages.nid = nid
        vmemmap_pages.nr_pages += nr
        vmemmap_pages.nr_old += nr
        llc.touched_lines += nr
        return cache.runs[nid][nr]

    def unlist_pages_ns(k, vmemmap_pages: VmemmapPages) -> int:
        """Go through a list of vmemmap pages to give them back."""
        cache = k.cache
        llc = cache.llc
        nr = vmemmap_pages.nr_pages
        touched = llc.touched_lines
        llc.touched_lines = touched + nr
        distance = touched - vmemmap_pages.listed_at
        if distance <= k.llc_lines:
            nid = vmemmap_pages.nid
            cache.nr_free[nid] = min(PCP_BATCH, cache.nr_free[nid] + nr)
            cache.free_at[nid] = touched
            return 0
        # The list is gone through from its newest end, which is still cached.
        nr_cold = nr - nr * k.platform.llc_bytes // (distance * LINE_BYTES)
        nr_far = nr_cold * vmemmap_pages.nr_far // nr
        per_folio = k.h.nr_vmemmap_pages
        near_ns, far_ns = (runs[per_folio] for runs in k.runs)
        return (near_ns * (nr_cold - nr_far) + far_ns * nr_far) // per_folio

    def new_pages_ns(k, nid: int, nr: int) -> int:
        """Take ``nr`` order-0 pages of a node: the newest free ones may be cached."""
        cache = k.cache
        llc = cache.llc
        nr_cold = nr
        nr_free = cache.nr_free[nid]
        if nr_free:
            if llc.touched_lines - cache.free_at[nid] > k.llc_lines:
                cache.nr_free[nid] = 0
            else:
                nr_cold = nr - nr_free if nr > nr_free else 0
                cache.nr_free[nid] = nr_free - (nr - nr_cold)
        cache.nr_cold_pages = nr_cold
        if not nr_cold:
            return 0
        llc.touched_lines += nr_cold
        return cache.runs[nid][nr_cold]

    def copy_cached_page(k, to: int) -> None:
        """Copy a page that all folios share, and that is cached, to ``to`` new pages."""
        k.cache.folio.pages_at = k.cache.llc.touched_lines
        k.copy_page(to, 0)

    def copy_page(k, to: int, _from: int) -> None:
        """Copy the page of vmemmap at an address to ``to`` pages on the folio's node."""
        cache = k.cache
        llc = cache.llc
        folio = cache.folio
        cache.flag_at_copy = folio.hugetlb_vmemmap_optimized
        touched = llc.touched_lines
        ns = 0
        if folio.cache is not llc or touched - folio.pages_at > k.llc_lines:
            ns = cache.rests[folio.nid][LINES_PER_PAGE]
            folio.cache = llc
        nr_cold = cache.nr_cold_pages
        if nr_cold:
            nr_cold = nr_cold if nr_cold < to else to  # min() is slower
            cache.nr_cold_pages -= nr_cold
            cost = "page_copy_far" if cache.far[folio.nid] else "page_copy_near"
            ns += nr_cold * k.draw(cost, folio.number)
        if nr_cold < to:
            ns += k.cost.page_copy_hot.times[to - nr_cold]
        task = k.current
        task.planned_ns += ns  # as Task.work(), without a call
        task.time_by["page_copy"] += ns
        folio.pages_at = folio.head_at = touched
        llc.touched_lines = touched + (to + 1) * LINES_PER_PAGE
