# SPDX-License-Identifier: MIT
"""
mm/hugetlb.c: the pool of huge pages, as of v6.1
------------------------------------------------

What ``echo N > nr_hugepages`` does: allocate huge pages one by one, round robin
over the nodes, optimise each, and put it into the pool; or take them out of the
pool, restore each, and give it back.  Also surplus pages of faults, and
allocation at boot.  Functions carry their names of v6.6.

Modelled: resize_lock over the whole write; hugetlb_lock with interrupts off, in
the cycles that the kernel makes; a folio that cannot be restored stays in the
pool as surplus.  An optimised surplus page is given up by one task and freed by
another: free_hpage_workfn() on a kworker, last one first.

Not modelled: node masks, reservations, subpools, hwpoison, CMA, cgroups,
signals.

Sources: mm/hugetlb.c of v6.1 and v6.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.engine import Engine
from simulator.kernel.hugetlb_vmemmap import HugetlbVmemmap
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import (
    Folio,
    Hstate,
    KernelConfig,
    LocalFirst,
    NodeRound,
    Nodes,
    WorkStruct,
)
from simulator.kernel.workqueue import Workqueue

if TYPE_CHECKING:
    from simulator.machine import Platform

__all__ = ("Hugetlb",)


class Hugetlb(HugetlbVmemmap, Workqueue):
    """set_max_huge_pages() and what it calls; surplus pages; boot."""

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        super().__init__(engine, platform, memory, config)
        k.hpage_freelist: list[Folio] = []  # its head is the end
        k.free_hpage_work = WorkStruct("free_hpage_workfn")

    # --- entry points: each is the body of a task --------------------------------------

    def set_max_huge_pages(k, h: Hstate, nr_more: int) -> None:
        """
        Write nr_hugepages: grow the pool by ``nr_more`` folios, or shrink it.

        With several writers each one asks for its share on top of what it finds.
        """
        k.resize_lock.lock()
        k.hugetlb_lock.lock_irq()
        count = max(0, h.persistent_huge_pages + nr_more)
        while h.surplus_huge_pages and count > h.persistent_huge_pages:
            k.adjust_pool_surplus(h, -1)
        if k.increase_pool(h, count):
            k.decrease_pool(h, count)
        k.hugetlb_lock.unlock_irq()
        k.resize_lock.unlock()

    def hugetlb_pages_alloc_boot_node(k, h: Hstate, nr: int) -> None:
        """One pinned thread's share of the allocation at boot."""
        nodes = NodeRound(k.platform.nr_nodes)
        for _ in range(nr):
            if k.alloc_pool_huge_folio(h, nodes) is None:
                break

    def alloc_surplus_hugetlb_folio(k, h: Hstate) -> Folio | None:
        """A fault takes a page beyond the pool; the folio or None."""
        k.hugetlb_lock.lock_irq()
        k.hugetlb_lock.unlock_irq()
        near = LocalFirst(k.numa_node_id(), k.platform.nr_nodes)
        folio = k.alloc_fresh_hugetlb_folio(h, near)
        if folio is None:
            return None
        k.hugetlb_lock.lock_irq()
        h.nr_huge_pages += 1
        h.surplus_huge_pages += 1
        k.hugetlb_lock.unlock_irq()
        return folio

    def free_huge_folio(k, h: Hstate, folio: Folio) -> None:
        """Free a surplus page whose last user has gone."""
        k.hugetlb_lock.lock_irq()
        h.nr_huge_pages -= 1
        h.surplus_huge_pages -= 1
        k.unlink_folio(folio)
        k.hugetlb_lock.unlock_irq()
        if not k.folio_test_hugetlb_vmemmap_optimized(folio):
            k.update_and_free_hugetlb_folio(h, folio)
            return
        # Restoring takes memory, and this may be an interrupt: leave it to a kworker.
        k.atomic_op("bookkeeping")
        was_empty = not k.hpage_freelist
        k.hpage_freelist.append(folio)  # llist_add() puts it at the head
        if was_empty:
            k.schedule_work(k.free_hpage_work)

    def free_hpage_workfn(k, work: WorkStruct) -> None:
        """Free the surplus pages that were given up."""
        folios, k.hpage_freelist = k.hpage_freelist, []  # llist_del_all()
        for folio in reversed(folios):
            k.update_and_free_hugetlb_folio(k.h, folio)
            k.cond_resched()

    # --- grow -----------------------------------------------------------------------

    def increase_pool(k, h: Hstate, count: int) -> bool:
        """
        The first loop of set_max_huge_pages(), with hugetlb_lock.

        Returns whether it got all it wanted; if not, the kernel goes to the end.
        """
        while count > h.persistent_huge_pages:
            k.hugetlb_lock.unlock_irq()
            k.cond_resched()
            folio = k.alloc_pool_huge_folio(h, h.round_to_alloc)
            k.hugetlb_lock.lock_irq()
            if folio is None:
                return False
        return True

    def alloc_pool_huge_folio(k, h: Hstate, nodes: Nodes) -> Folio | None:
        """Allocate a folio and free it into the pool; the folio or None."""
        folio = k.alloc_fresh_hugetlb_folio(h, nodes)
        if folio is None:
            return None
        k.hugetlb_lock.lock_irq()
        k.enqueue_hugetlb_folio(h, folio)
        h.nr_huge_pages += 1
        k.hugetlb_lock.unlock_irq()
        return folio

    def alloc_fresh_hugetlb_folio(k, h: Hstate, nodes: Nodes) -> Folio | None:
        """Allocate and prepare a folio; the folio or None."""
        folio = k.alloc_huge_folio_of(h, nodes)
        if folio is not None:
            k.prep_new_hugetlb_folio(h, folio)
        return folio

    def alloc_huge_folio_of(k, h: Hstate, nodes: Nodes) -> Folio | None:
        """Take a huge page of the first node that has one; the folio or None."""
        for nid in nodes.nodes():
            folio = k.alloc_buddy_hugetlb_folio(h, nid)
            if folio is not None:
                return folio
        return None

    def prep_new_hugetlb_folio(k, h: Hstate, folio: Folio) -> None:
        """Optimise a folio, and account for it."""
        k.hugetlb_vmemmap_optimize(h, folio)
        k.hugetlb_lock.lock_irq()
        k.hugetlb_lock.unlock_irq()

    def enqueue_hugetlb_folio(k, h: Hstate, folio: Folio) -> None:
        """Put a folio on the free list of its node; under hugetlb_lock."""
        k.freelist_add(h, folio)

    # --- shrink ---------------------------------------------------------------------

    def decrease_pool(k, h: Hstate, count: int) -> None:
        """The second loop of set_max_huge_pages(), to which growing comes too."""
        page_list: list[Folio] = []
        while count < h.persistent_huge_pages:
            page_list.append(k.remove_pool_hugetlb_folio(h))
        page_list.reverse()  # list_add() puts each at the head
        k.hugetlb_lock.unlock_irq()
        k.update_and_free_pages_bulk(h, page_list)
        k.hugetlb_lock.lock_irq()

    def remove_pool_hugetlb_folio(k, h: Hstate) -> Folio:
        """Take a folio out of the pool, the next node's first; under hugetlb_lock."""
        for nid in h.round_to_free.nodes():
            if h.hugepage_freelists[nid]:
                folio = k.freelist_del(h, nid)
                h.nr_huge_pages -= 1
                return folio
        raise RuntimeError("the pool holds fewer folios than it counts")

    def update_and_free_pages_bulk(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Give back the folios of a list, one after another."""
        for folio in folio_list:
            k.update_and_free_hugetlb_folio(h, folio)
            k.cond_resched()

    def update_and_free_hugetlb_folio(k, h: Hstate, folio: Folio) -> None:
        """Restore a folio's vmemmap and give it back."""
        if k.hugetlb_vmemmap_restore(h, folio):
            k.restore_failed(h, folio)
            return
        k.free_huge_page(h, folio)

    def restore_failed(k, h: Hstate, folio: Folio) -> None:
        """Put back a folio that cannot be restored."""
        k.hugetlb_lock.lock_irq()
        k.add_hugetlb_folio(h, folio)
        k.hugetlb_lock.unlock_irq()

    def add_hugetlb_folio(k, h: Hstate, folio: Folio) -> None:
        """Put a folio back into the pool as a surplus page; under hugetlb_lock."""
        h.nr_huge_pages += 1
        h.surplus_huge_pages += 1
        k.enqueue_hugetlb_folio(h, folio)

    def adjust_pool_surplus(k, h: Hstate, delta: int) -> None:
        """Count pages of the pool as surplus, or no longer; under hugetlb_lock."""
        h.surplus_huge_pages += delta
