# SPDX-License-Identifier: MIT
"""
Huge pages and base pages of one memory
---------------------------------------

With the placement ``one-memory``, base pages (PTE pages, head pages, pages to restore)
come from the memory of which huge pages are made: :func:`attach_one_memory` wraps what
takes and gives back pages of one kernel object.

A base page comes from what is left of a page of 2 MB of its node that was broken up, then
from pages of vmemmap that were given back there; where there is neither, another page of
2 MB of the node is broken up.  If it has none, the next node is asked, but for new heads
and pages to restore up to v6.6, which are taken with __GFP_THISNODE.  The vmemmap of a
PMD is a page of 2 MB itself: once all 512 pages of it were given back, 8 for each of 64
neighbouring folios, it can be a huge page again.  v6.1 keeps one of 8, so that none ever is.

Modelled: a huge page is not taken where less than ``min_free_kbytes`` would be left, to
which base pages go; the struct pages of a node are at its end.

Not modelled: orders between 0 and 9, zones, per-CPU lists; base pages of a page broken up
that become a huge page again, but when all that were broken up are free; reclaim;
compaction; which node a page is of that a folio was restored with, when it is given back
(that of the folio at hand).

Sources: mm/page_alloc.c (the smallest block that will do) of v6.6; 6a898c2757af, which
dropped __GFP_THISNODE (in v6.7); 11aad2631bf7
("mm/hugetlb_vmemmap: remap head page to newly allocated page") (in v6.2);
20250919092353.41671-1-lizhe.67@bytedance.com, on the pages that a batch costs at boot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from simulator.geometry import NR_PFNS, PFNS_PER_PMD, PTRS_PER_PTE

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb
    from simulator.kernel.structs import Folio, Hstate, VmemmapPages

__all__ = ("ONE_MEMORY", "attach_one_memory", "memmap_pfns")

#: The name of the placement.
ONE_MEMORY: Final = "one-memory"
_BLOCK: Final = NR_PFNS["2M"]
_KB_PER_PAGE: Final = 4
_OF_VMEMMAP: Final = ("head_page", "restore_page")

Function = Callable[..., Any]


def memmap_pfns(node_pfns: int) -> int:
    """Return how many pages of a node its struct pages take, whole pages of 2 MB."""
    return -(-node_pfns // PFNS_PER_PMD) * _BLOCK


def attach_one_memory(k: Hugetlb, node_pfns: int, nr_loose: int) -> None:
    """
    Let a kernel take base pages from the memory of its huge pages.

    :param nr_loose: base pages that are free beside whole pages of 2 MB.
    """
    memory = _OneMemory(k, node_pfns, nr_loose)
    k.one_memory = True
    for name, around in (
        ("alloc_pages", memory.taken),
        ("free_pages", memory.given_back),
        ("list_add_pages", memory.listed),
        ("list_del_pages", memory.unlisted),
        ("free_page_list", memory.list_freed),
        ("alloc_buddy_hugetlb_folio", memory.huge_taken),
        ("memblock_alloc_huge_page", memory.huge_taken),
        ("free_huge_page", memory.huge_freed),
    ):
        k.attach(name, around)


class _OneMemory:
    # Each method of a name takes a function of the kernel and returns one that keeps books.

    def __init__(self, k: Hugetlb, node_pfns: int, nr_loose: int) -> None:
        self._k = k
        self._node_pfns = node_pfns
        self._small = k.hstate("2M").memory
        self._min_free = k.config.tunables["min_free_kbytes"] // _KB_PER_PAGE
        nr_nodes = k.platform.nr_nodes
        self._first_loose = [(nr_loose + nid) // nr_nodes for nid in range(nr_nodes)]
        self._loose = [*self._first_loose]  # of pages broken up, by node
        self._broken: list[tuple[int, int]] = []  # node and PFN of these
        # Of the vmemmap of each PMD: pages free now, by node, and given back so far.
        self._free: list[dict[int, int]] = [{} for _ in range(nr_nodes)]
        self._nr_free = [0] * nr_nodes
        self._gone: Counter[int] = Counter()
        # PMDs of the pages on a list. The list itself keeps its id from being reused.
        self._lists: dict[int, tuple[VmemmapPages, Counter[int]]] = {}

    # --- base pages -------------------------------------------------------------------

    def taken(self, function: Function) -> Function:
        k = self._k

        def alloc(
            kind: str, nr_pages: int = 1, category: str = "page_alloc", nid: int | None = None
        ) -> int:
            near = k.numa_node_id() if nid is None else nid
            if k.VMEMMAP_THISNODE and kind in _OF_VMEMMAP:
                k.current.meet()
                nr_pages = min(nr_pages, self._gather(nr_pages, near))
            got: int = function(kind, nr_pages, category, nid)
            self._take(got, near)
            return got

        return alloc

    # See that a node has so many base pages; return how many it has.
    def _gather(self, nr: int, nid: int) -> int:
        while self._loose[nid] + self._nr_free[nid] < nr:
            pfn = self._small.take(nid)
            if pfn is None:
                break
            self._broken.append((nid, pfn))
            self._loose[nid] += _BLOCK
        return self._loose[nid] + self._nr_free[nid]

    def _take(self, nr: int, nid: int) -> None:
        nr_nodes = self._k.platform.nr_nodes
        for near in range(nr_nodes):
            if not nr:
                return
            node = (nid + near) % nr_nodes
            there = min(nr, self._gather(nr, node))
            self._take_there(there, node)
            nr -= there

    def _take_there(self, nr: int, nid: int) -> None:
        part = min(nr, self._loose[nid])
        self._loose[nid] -= part
        nr -= part
        self._nr_free[nid] -= nr
        free = self._free[nid]
        while nr:
            # The smallest piece first.
            pmd = min(free, key=free.__getitem__)
            part = min(nr, free[pmd])
            free[pmd] -= part
            if not free[pmd]:
                del free[pmd]
            nr -= part

    def given_back(self, function: Function) -> Function:
        def free(nr_pages: int, category: str = "page_free") -> None:
            function(nr_pages, category)
            self._give_back(nr_pages)

        return free

    def _give_back(self, nr: int) -> None:
        self._loose[self._node_at_hand()] += nr
        nr_broken = _BLOCK * len(self._broken)
        if nr_broken and sum(self._loose) == sum(self._first_loose) + nr_broken:
            for nid, pfn in self._broken:
                self._small.give_back(nid, pfn)
            self._broken.clear()
            self._loose[:] = self._first_loose

    def _node_at_hand(self) -> int:
        return max(0, self._k.cache.folio.nid)

    # --- vmemmap ------------------------------------------------------------------------

    def listed(self, function: Function) -> Function:
        k, lists = self._k, self._lists

        def add(nr: int, vmemmap_pages: VmemmapPages) -> None:
            function(nr, vmemmap_pages)
            _, of_list = lists.setdefault(id(vmemmap_pages), (vmemmap_pages, Counter()))
            of_list[k.cache.pmd] += nr

        return add

    def unlisted(self, function: Function) -> Function:
        k, lists = self._k, self._lists

        def take(nr: int, vmemmap_pages: VmemmapPages) -> Any:
            found = lists.get(id(vmemmap_pages))
            if found is not None:
                found[1][k.cache.pmd] -= nr
            return function(nr, vmemmap_pages)

        return take

    def list_freed(self, function: Function) -> Function:
        def free(vmemmap_pages: VmemmapPages) -> None:
            _, of_list = self._lists.pop(id(vmemmap_pages), (None, Counter()))
            # Pages that a folio was restored with are not of its PMD's own page.
            own_of = {
                pmd: min(max(nr, 0), PTRS_PER_PTE - self._gone[pmd]) for pmd, nr in of_list.items()
            }
            # free_pages() adds them, too.
            self._loose[self._node_at_hand()] -= sum(own_of.values())
            function(vmemmap_pages)
            for pmd, own in own_of.items():
                if own:
                    self._gone[pmd] += own
                    self._free_vmemmap(pmd, own)

        return free

    def _free_vmemmap(self, pmd: int, nr: int) -> None:
        nid, pfn = self._block_of(pmd)
        free = self._free[nid]
        free[pmd] = free.get(pmd, 0) + nr
        self._nr_free[nid] += nr
        if free[pmd] == _BLOCK:
            del free[pmd]
            self._nr_free[nid] -= _BLOCK
            self._small.give_back(nid, pfn)

    # The node and the PFN of the page that the vmemmap of a PMD lies in.
    def _block_of(self, pmd: int) -> tuple[int, int]:
        nid, pfn = divmod(pmd * PFNS_PER_PMD, self._node_pfns)
        return nid, (nid + 1) * self._node_pfns - (pfn // PFNS_PER_PMD + 1) * _BLOCK

    # --- huge pages ---------------------------------------------------------------------

    def huge_taken(self, function: Function) -> Function:
        k = self._k

        def alloc(h: Hstate, nid: int) -> Folio | None:
            k.current.meet()
            if k.nr_free_pages - h.nr_pfns < self._min_free:
                return None
            folio: Folio | None = function(h, nid)
            if folio is not None:
                k.nr_free_pages -= h.nr_pfns
                phase = k.recorder.phase
                phase.free_pages_min = min(phase.free_pages_min, k.nr_free_pages)
            return folio

        return alloc

    def huge_freed(self, function: Function) -> Function:
        k = self._k

        def free(h: Hstate, folio: Folio) -> None:
            function(h, folio)
            k.nr_free_pages += h.nr_pfns

        return free
