# SPDX-License-Identifier: MIT
"""
Huge pages and base pages of one memory
---------------------------------------

With the placement ``one-memory``, base pages (PTE pages, head pages, pages to restore)
come from the memory of which huge pages are made: :func:`attach_one_memory` wraps what
takes and gives back pages of one kernel object.

A base page comes from what is left of a page of 2 MB that was broken up, then from pages
of vmemmap that were given back; where there is neither, another page of 2 MB is broken
up, of the node asked for or, if it has none, of the next.  The vmemmap of a PMD is a page
of 2 MB itself: once all 512 pages of it were given back, 8 for each of 64 neighbouring
folios, it can be a huge page again.  v6.1 keeps one of 8, so that none ever is.

Modelled: a huge page is not taken where less than ``min_free_kbytes`` would be left, to
which base pages go; the struct pages of a node are at its end.

Not modelled: orders between 0 and 9, zones, per-CPU lists; base pages of a page broken up
that become a huge page again, but when all that were broken up are free; reclaim;
compaction; __GFP_THISNODE, so that every request falls back to other nodes.

Sources: mm/page_alloc.c (the smallest block that will do) of v6.6; 11aad2631bf7
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
        self._loose = nr_loose  # of pages broken up
        self._broken: list[tuple[int, int]] = []  # node and PFN of these
        self._nr_first_loose = nr_loose
        # Of the vmemmap of each PMD: pages free now, and given back so far.
        self._free: dict[int, int] = {}
        self._gone: Counter[int] = Counter()
        # PMDs of the pages on a list. The list itself keeps its id from being reused.
        self._lists: dict[int, tuple[VmemmapPages, Counter[int]]] = {}

    # --- base pages -------------------------------------------------------------------

    def taken(self, function: Function) -> Function:
        k = self._k

        def alloc(
            kind: str, nr_pages: int = 1, category: str = "page_alloc", nid: int | None = None
        ) -> int:
            got: int = function(kind, nr_pages, category, nid)
            self._take(got, k.numa_node_id() if nid is None else nid)
            return got

        return alloc

    def _take(self, nr: int, nid: int) -> None:
        while nr:
            if self._loose:
                part = min(nr, self._loose)
                self._loose -= part
            elif self._free:
                # The smallest piece first.
                pmd = min(self._free, key=self._free.__getitem__)
                part = min(nr, self._free[pmd])
                self._free[pmd] -= part
                if not self._free[pmd]:
                    del self._free[pmd]
            elif self._break_up(nid):
                continue
            else:
                return
            nr -= part

    def _break_up(self, nid: int) -> bool:
        nr_nodes = self._k.platform.nr_nodes
        for near in range(nr_nodes):
            node = (nid + near) % nr_nodes
            pfn = self._small.take(node)
            if pfn is not None:
                self._broken.append((node, pfn))
                self._loose += _BLOCK
                return True
        return False

    def given_back(self, function: Function) -> Function:
        def free(nr_pages: int, category: str = "page_free") -> None:
            function(nr_pages, category)
            self._give_back(nr_pages)

        return free

    def _give_back(self, nr: int) -> None:
        self._loose += nr
        if self._broken and self._loose == self._nr_first_loose + _BLOCK * len(self._broken):
            for nid, pfn in self._broken:
                self._small.give_back(nid, pfn)
            self._broken.clear()
            self._loose = self._nr_first_loose

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
            self._loose -= sum(own_of.values())  # free_pages() adds them, too
            function(vmemmap_pages)
            for pmd, own in own_of.items():
                if own:
                    self._gone[pmd] += own
                    self._free[pmd] = self._free.get(pmd, 0) + own
                    if self._free[pmd] == _BLOCK:
                        del self._free[pmd]
                        self._small.give_back(*self._block_of(pmd))

        return free

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
