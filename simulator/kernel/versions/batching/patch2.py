# SPDX-License-Identifier: MIT
"""
v6.6+2: restructure pool allocations
------------------------------------

Source: commit d67e32f26713 ("hugetlb: restructure pool allocations") (in v6.7).
"""

from __future__ import annotations

from simulator.kernel.structs import Folio, Hstate, NodeRound, Nodes
from simulator.kernel.versions.batching.patch1 import V6_6_1

__all__ = ("V6_6_2",)


class V6_6_2(V6_6_1):
    """Allocate folios to a list, then add the list to the pool in one lock cycle."""

    name = "v6.6+2"
    base = "v6.6"
    subject = "hugetlb: restructure pool allocations"
    commit = "d67e32f26713"
    summary = "allocate to a list, add the list to the pool in one lock cycle"

    def increase_pool(k, h: Hstate, count: int, nodes: Nodes) -> bool:
        """The first loop of set_max_huge_pages(), with hugetlb_lock."""
        page_list: list[Folio] = []
        while count > h.persistent_huge_pages + len(page_list):
            k.hugetlb_lock.unlock_irq()
            k.cond_resched()
            folio = k.alloc_pool_huge_folio(h, nodes)
            if folio is None:
                page_list.reverse()
                # Even an empty list is optimised and flushed.
                k.prep_and_add_allocated_folios(h, page_list)
                k.hugetlb_lock.lock_irq()
                return False
            page_list.append(folio)
            k.hugetlb_lock.lock_irq()
        if page_list:
            k.hugetlb_lock.unlock_irq()
            page_list.reverse()  # list_add() puts each at the head
            k.prep_and_add_allocated_folios(h, page_list)
            k.hugetlb_lock.lock_irq()
        return True

    def gather_bootmem_prealloc_node(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Make huge pages of what memblock reserved on a node, as one list."""
        if folio_list:
            folio_list.reverse()
            k.prep_and_add_bootmem_folios(h, folio_list)

    def prep_and_add_bootmem_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Optimise folios of memblock and add them to the pool."""
        k.prep_and_add_allocated_folios(h, folio_list)

    def hugetlb_pages_alloc_boot_node(k, h: Hstate, nr: int) -> None:
        """One pinned thread's share of the allocation at boot."""
        k.alloc_boot_list(h, nr, NodeRound(k.platform.nr_nodes))

    def alloc_boot_list(k, h: Hstate, nr: int, nodes: Nodes) -> int:
        """Allocate up to ``nr`` folios and add them to the pool as one list; how many."""
        page_list: list[Folio] = []
        for _ in range(nr):
            folio = k.alloc_pool_huge_folio(h, nodes)
            if folio is None:
                break
            page_list.append(folio)
            k.cond_resched()
        page_list.reverse()
        k.prep_and_add_allocated_folios(h, page_list)
        return len(page_list)

    def alloc_pool_huge_folio(k, h: Hstate, nodes: Nodes) -> Folio | None:
        """Allocate a folio that is added to the pool later; the folio or None."""
        return k.only_alloc_fresh_hugetlb_folio(h, nodes)

    def only_alloc_fresh_hugetlb_folio(k, h: Hstate, nodes: Nodes) -> Folio | None:
        """Allocate a folio and optimise it; the folio or None."""
        folio = k.alloc_huge_folio_of(h, nodes)
        if folio is not None:
            k.hugetlb_vmemmap_optimize(h, folio)
        return folio

    def prep_and_add_allocated_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Add folios to the pool in one lock cycle."""
        k.hugetlb_lock.lock_irq()
        for folio in folio_list:
            k.enqueue_hugetlb_folio(h, folio)
            h.account(folio.nid, 1)
        k.hugetlb_lock.unlock_irq()
