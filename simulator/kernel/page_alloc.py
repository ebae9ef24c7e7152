# SPDX-License-Identifier: MIT
"""
mm/page_alloc.c: pages
----------------------

Modelled: a finite number of free base pages, apart from the memory for huge
pages; failures injected by ordinal, as fail_page_alloc does; one cost to take a
page and one to give it back, besides cold struct pages (see
:mod:`simulator.kernel.cache`).  The pages of one folio are taken at one instant.
A huge page is taken from and given back to where the placement has them.  One of 1 GB,
before v6.12, comes as 262,144 pages that are made one, and goes back page by page; its
allocation takes time of every CPU that does not idle, by work that drains its lists.

Not modelled: migration of what lies where a gigantic page is to be; reclaim, the OOM
killer, watermarks, zones; a page of one node where another has none.
"""

from __future__ import annotations

from typing import Final

from simulator.engine.task import ATOMIC
from simulator.kernel.page_flags import PageFlags
from simulator.kernel.structs import Folio, Hstate, VmemmapPages

__all__ = ("PageAlloc",)

#: What the pages of a kind are counted as, where they are.
_COUNT_OF: Final = {
    "head_page": "vmemmap_head_pages_allocated",
    "restore_page": "vmemmap_pages_allocated_restore",
    "tail_page": "shared_tail_pages_allocated",
}


class PageAlloc(PageFlags):
    """Allocation and freeing of order-0 pages and of huge pages."""

    # --- order 0 --------------------------------------------------------------------

    def alloc_pages(
        k, kind: str, nr_pages: int = 1, category: str = "page_alloc", nid: int | None = None
    ) -> int:
        """
        Take pages of a node, the task's own if none is given.

        Returns how many it got: fewer than ``nr_pages`` where memory ran out or a
        failure of this ``kind`` was injected.
        """
        task = k.current
        if task.planned_ns < task.clear_ns:
            task.met_ns = task.planned_ns  # as Task.meet(), without a call
        else:
            task.meet()
        got = nr_pages if nr_pages <= k.nr_free_pages else k.nr_free_pages
        if kind in k.config.faults:
            first = k.nr_allocs[kind] + 1
            for nth in k.config.faults[kind]:
                if first <= nth < first + got:
                    got = nth - first
        # The allocation that failed was tried, and counts.
        k.nr_allocs[kind] += got if got == nr_pages else got + 1
        k.nr_free_pages -= got
        phase = k.recorder.phase
        if k.nr_free_pages < phase.free_pages_min:  # noqa: PLR1730 - min() is slower
            phase.free_pages_min = k.nr_free_pages
        ns = k.cost.page_alloc.times[got]
        if nid is not None:
            ns += k.new_pages_ns(nid, got)
        task.planned_ns += ns  # as Task.work(), without a call
        task.time_by[category] += ns
        return got

    def alloc_pages_node(k, nid: int, kind: str, nr_pages: int = 1) -> int:
        """Take vmemmap pages of a node, for heads or to restore; returns how many it got."""
        if k.current.holds >= ATOMIC:
            k.sleeps_in_atomic("alloc_pages_node")
        got = k.alloc_pages(kind, nr_pages, "page_alloc", nid)
        k.counts[_COUNT_OF[kind]] += got
        return got

    def free_pages(k, nr_pages: int, category: str = "page_free") -> None:
        """Give pages back."""
        task = k.current
        task.meet()
        k.nr_free_pages += nr_pages
        task.work(category, k.cost.page_free.times[nr_pages])

    # --- lists of vmemmap pages -------------------------------------------------------

    def list_add_pages(k, nr: int, vmemmap_pages: VmemmapPages) -> None:
        """Put the ``nr`` pages that PTEs of the folio at hand mapped so far on a list."""
        task = k.current
        ns = k.list_pages_ns(vmemmap_pages, nr)
        task.planned_ns += ns  # as Task.work(), without a call
        task.time_by["remap"] += ns
        k.hold(nr)

    def list_del_pages(k, nr: int, vmemmap_pages: VmemmapPages) -> int:
        """Take ``nr`` pages for the folio at hand from a list, those first that it had."""
        vmemmap_pages.nr_pages -= nr
        if vmemmap_pages.nr_old:
            nr_old = min(nr, vmemmap_pages.nr_old)
            vmemmap_pages.nr_old -= nr_old
            cache = k.cache
            if cache.far[cache.folio.nid]:
                vmemmap_pages.nr_far -= min(nr_old, vmemmap_pages.nr_far)
            k.hold(-nr_old)
        return nr

    def free_page_list(k, vmemmap_pages: VmemmapPages) -> None:
        """Give the pages of a list back, one by one, and empty it."""
        k.current.work("page_free", k.unlist_pages_ns(vmemmap_pages))
        k.free_pages(vmemmap_pages.nr_pages)
        k.counts["vmemmap_pages_freed"] += vmemmap_pages.nr_pages
        k.hold(-vmemmap_pages.nr_old)
        vmemmap_pages.nr_pages = 0
        vmemmap_pages.nr_old = 0

    # --- huge pages -------------------------------------------------------------------

    def alloc_buddy_hugetlb_folio(k, h: Hstate, nid: int) -> Folio | None:
        """Take a huge page of a node, its struct pages ready; None if there is none."""
        task = k.current
        if task.holds >= ATOMIC:
            k.sleeps_in_atomic("alloc_buddy_hugetlb_folio")
        task.meet()
        pfn = h.memory.take(nid)
        if pfn is None:
            return None
        folio = k.new_folio(pfn, nid)
        k.folio_begins(folio)
        ns = k.draw(h.alloc_cost, folio.number) + k.struct_pages_ns(folio, h.nr_pfns)
        task.work("huge_page_alloc", ns)
        if h.gigantic:
            k.lru_cache_disable()
            k.prep_compound_gigantic_folio(folio)
        k.counts["hugepage_allocs"] += 1
        return folio

    def lru_cache_disable(k) -> None:
        """alloc_contig_range() has every CPU drain its lists; the wait is in huge_alloc_1g."""
        k.hardware.disturb(k.cost.lru_drain.each_ns)

    def prep_compound_gigantic_folio(k, folio: Folio) -> None:
        """Make one of 262,144 pages that came one by one."""
        k.current.work("huge_page_alloc", k.draw("gigantic_prep", folio.number))

    def free_contig_range(k, folio: Folio) -> None:
        """Give back a gigantic page, page by page."""
        k.current.work("huge_page_free", k.draw("gigantic_free", folio.number))

    def free_huge_page(k, h: Hstate, folio: Folio) -> None:
        """Give a huge page back: __free_pages() or free_gigantic_page()."""
        task = k.current
        ns = k.draw(h.free_cost, folio.number) + k.struct_pages_ns(folio, h.nr_pfns)
        task.work("huge_page_free", ns)
        if h.gigantic:
            k.free_contig_range(folio)
        task.meet()
        h.memory.give_back(folio.nid, folio.pfn)

    def memblock_alloc_huge_page(k, h: Hstate, nid: int) -> Folio | None:
        """Reserve a huge page of a node at boot, its struct pages ready; None if there is none."""
        task = k.current
        task.meet()
        pfn = h.memory.take(nid)
        if pfn is None:
            return None
        folio = k.new_folio(pfn, nid)
        k.folio_begins(folio)
        task.work("huge_page_alloc", k.struct_pages_ns(folio, h.nr_pfns))
        k.counts["hugepage_allocs"] += 1
        return folio

    def split_hugetlb_folio(k, src: Hstate, dst: Hstate, folio: Folio) -> list[Folio]:
        """Make compound pages of a smaller size of one: prep_compound_page() for each."""
        folios = []
        for pfn in range(folio.pfn, folio.pfn + src.nr_pfns, dst.nr_pfns):
            part = k.new_folio(pfn, folio.nid)
            part.pte_mapped = folio.pte_mapped
            k.current.work("bookkeeping", k.struct_pages_ns(part, dst.nr_pfns))
            folios.append(part)
        return folios

    def copy_huge_page(k, h: Hstate, to: Folio, folio: Folio) -> None:
        """Copy what a huge page holds."""
        cost = "page_copy_near" if to.nid == folio.nid else "page_copy_far"
        k.current.work("page_copy", k.draw(cost, to.number) * h.nr_pfns)

    def new_folio(k, pfn: int, nid: int) -> Folio:
        """Number a folio that was not there before."""
        folio = Folio(k.nr_filled, pfn, nid)
        k.nr_filled += 1
        return folio
