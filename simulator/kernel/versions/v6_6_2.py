# SPDX-License-Identifier: MIT
"""
v6.6+2: restructure pool allocations
------------------------------------

Source: commit d67e32f26713 ("hugetlb: restructure pool allocations") (in v6.7).
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, NodeRound, Nodes
from simulator.kernel.versions.v6_6_1 import V6_6_1

__all__ = ("V6_6_2",)


class V6_6_2(V6_6_1):
    """Allocate folios to a list, then add the list to the pool in one lock cycle."""

    name = "v6.6+2"
    base = "v6.6"
    subject = "hugetlb: restructure pool allocations"
    commit = "d67e32f26713"
    summary = "allocate to a list, add the list to the pool in one lock cycle"

    def increase_pool(k, task: Task, count: int) -> Steps:
        """The first loop of set_max_huge_pages(), with hugetlb_lock; generator."""
        page_list: list[Folio] = []
        while count > k.h.persistent_huge_pages + len(page_list):
            yield from k.hugetlb_lock.release(task)
            task.work("bookkeeping", k.cost.cond_resched.each_ns)
            folio = yield from k.alloc_pool_huge_folio(task, k.h.round_to_alloc)
            if folio is None:
                page_list.reverse()
                # Even an empty list is optimised and flushed.
                yield from k.prep_and_add_allocated_folios(task, page_list)
                yield from k.hugetlb_lock.acquire(task)
                return False
            page_list.append(folio)
            yield from k.hugetlb_lock.acquire(task)
        if page_list:
            yield from k.hugetlb_lock.release(task)
            page_list.reverse()  # list_add() puts each at the head
            yield from k.prep_and_add_allocated_folios(task, page_list)
            yield from k.hugetlb_lock.acquire(task)
        return True

    def hugetlb_pages_alloc_boot_node(k, task: Task, nr: int) -> Steps:
        """One pinned thread's share of the allocation at boot; generator."""
        nodes = NodeRound(k.platform.nr_nodes)
        page_list: list[Folio] = []
        for _ in range(nr):
            folio = yield from k.alloc_pool_huge_folio(task, nodes)
            if folio is None:
                break
            page_list.append(folio)
            task.work("bookkeeping", k.cost.cond_resched.each_ns)
        page_list.reverse()
        yield from k.prep_and_add_allocated_folios(task, page_list)

    def alloc_pool_huge_folio(k, task: Task, nodes: Nodes) -> Steps:
        """Allocate a folio that is added to the pool later; returns it or None; generator."""
        return k.only_alloc_fresh_hugetlb_folio(task, nodes)

    def only_alloc_fresh_hugetlb_folio(k, task: Task, nodes: Nodes) -> Steps:
        """Allocate a folio and optimise it; returns it or None; generator."""
        folio = yield from k.alloc_huge_page(task, nodes)
        if folio is not None:
            yield from k.hugetlb_vmemmap_optimize(task, folio)
        return folio

    def prep_and_add_allocated_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Add folios to the pool in one lock cycle; generator."""
        yield from k.hugetlb_lock.acquire(task)
        for folio in folio_list:
            k.enqueue_hugetlb_folio(task, folio)
        yield from k.hugetlb_lock.release(task)
        for folio in folio_list:
            k.folio_ready(task, folio)
