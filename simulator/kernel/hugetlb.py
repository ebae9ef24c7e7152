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

from simulator.engine import DONE, Engine, Steps, Task
from simulator.kernel.hugetlb_vmemmap import HugetlbVmemmap
from simulator.kernel.memory import HugeMemory
from simulator.kernel.structs import (
    Folio,
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
        k.free_hpage_work = WorkStruct(type(k).free_hpage_workfn)

    # --- entry points: each is the body of a task --------------------------------------

    def set_max_huge_pages(k, task: Task, nr_more: int) -> Steps:
        """
        Write nr_hugepages: grow the pool by ``nr_more`` folios, or shrink it; generator.

        With several writers each one asks for its share on top of what it finds.
        """
        yield from k.resize_lock.acquire(task)
        yield from k.hugetlb_lock.acquire(task)
        count = max(0, k.h.persistent_huge_pages + nr_more)
        while k.h.surplus_huge_pages and count > k.h.persistent_huge_pages:
            k.h.surplus_huge_pages -= 1  # adjust_pool_surplus()
        if (yield from k.increase_pool(task, count)):
            yield from k.decrease_pool(task, count)
        yield from k.hugetlb_lock.release(task)
        yield from k.resize_lock.release(task)

    def hugetlb_pages_alloc_boot_node(k, task: Task, nr: int) -> Steps:
        """One pinned thread's share of the allocation at boot; generator."""
        nodes = NodeRound(k.platform.nr_nodes)
        for _ in range(nr):
            if not (yield from k.alloc_pool_huge_folio(task, nodes)):
                break

    def alloc_surplus_hugetlb_folio(k, task: Task) -> Steps:
        """A fault takes a page beyond the pool; returns the folio or None; generator."""
        yield from k.hugetlb_lock.cycle(task, "bookkeeping", 0)
        near = LocalFirst(k.config.node_of[task.cpu.number], k.platform.nr_nodes)
        folio = yield from k.alloc_fresh_hugetlb_folio(task, near)
        if folio is not None:
            yield from k.hugetlb_lock.acquire(task)
            k.h.nr_huge_pages += 1
            k.h.surplus_huge_pages += 1
            yield from k.hugetlb_lock.release(task)
            k.folio_ready(task, folio)
        return folio

    def free_surplus_hugetlb_folio(k, task: Task, folio: Folio) -> Steps:
        """free_huge_folio() of a surplus page, and the work it leaves behind; generator."""
        yield from k.hugetlb_lock.acquire(task)
        k.h.nr_huge_pages -= 1
        k.h.surplus_huge_pages -= 1
        task.work("bookkeeping", k.cost.pool_remove.each_ns)
        yield from k.hugetlb_lock.release(task)
        if not folio.hugetlb_vmemmap_optimized:
            yield from k.update_and_free_hugetlb_folio(task, folio)
            return
        # Restoring takes memory, and this may be an interrupt: leave it to a kworker.
        yield from k.free_begins(task, folio)
        yield from k.clock(task)
        task.work("bookkeeping", k.cost.atomic.each_ns)
        was_empty = not k.hpage_freelist
        k.hpage_freelist.append(folio)  # llist_add() puts it at the head
        if was_empty:
            k.schedule_work(task, k.free_hpage_work)

    def free_hpage_workfn(k, task: Task) -> Steps:
        """Free the surplus pages that were given up; generator."""
        folios, k.hpage_freelist = k.hpage_freelist, []  # llist_del_all()
        for folio in reversed(folios):
            folio.task = task.number
            yield from k.update_and_free_hugetlb_folio(task, folio)
            task.work("bookkeeping", k.cost.cond_resched.each_ns)

    # --- grow -----------------------------------------------------------------------

    def increase_pool(k, task: Task, count: int) -> Steps:
        """
        The first loop of set_max_huge_pages(), with hugetlb_lock; generator.

        Returns whether it got all it wanted; if not, the kernel goes to the end.
        """
        while count > k.h.persistent_huge_pages:
            yield from k.hugetlb_lock.release(task)
            task.work("bookkeeping", k.cost.cond_resched.each_ns)
            folio = yield from k.alloc_pool_huge_folio(task, k.h.round_to_alloc)
            yield from k.hugetlb_lock.acquire(task)
            if folio is None:
                return False
        return True

    def alloc_pool_huge_folio(k, task: Task, nodes: Nodes) -> Steps:
        """Allocate a folio and free it into the pool; returns it or None; generator."""
        folio = yield from k.alloc_fresh_hugetlb_folio(task, nodes)
        if folio is not None:
            yield from k.hugetlb_lock.acquire(task)
            k.enqueue_hugetlb_folio(task, folio)
            yield from k.hugetlb_lock.release(task)
            k.folio_ready(task, folio)
        return folio

    def alloc_fresh_hugetlb_folio(k, task: Task, nodes: Nodes) -> Steps:
        """Allocate and prepare a folio; returns it or None; generator."""
        folio = yield from k.alloc_huge_page(task, nodes)
        if folio is not None:
            yield from k.prep_new_hugetlb_folio(task, folio)
        return folio

    def prep_new_hugetlb_folio(k, task: Task, folio: Folio) -> Steps:
        """Optimise a folio, and account for it; generator."""
        yield from k.hugetlb_vmemmap_optimize(task, folio)
        yield from k.hugetlb_lock.cycle(task, "bookkeeping", 0)

    def enqueue_hugetlb_folio(k, task: Task, folio: Folio) -> None:
        """Put a folio into the pool; under hugetlb_lock."""
        task.work("bookkeeping", k.cost.pool_add.each_ns + k.head_ns(task, folio))
        k.h.hugepage_freelists[folio.nid].append(folio)
        k.h.nr_huge_pages += 1

    # --- shrink ---------------------------------------------------------------------

    def decrease_pool(k, task: Task, count: int) -> Steps:
        """The second loop of set_max_huge_pages(), to which growing comes too; generator."""
        page_list: list[Folio] = []
        while count < k.h.persistent_huge_pages:
            page_list.append(k.remove_pool_hugetlb_folio(task))
        page_list.reverse()  # list_add() puts each at the head
        yield from k.hugetlb_lock.release(task)
        yield from k.update_and_free_pages_bulk(task, page_list)
        yield from k.hugetlb_lock.acquire(task)

    def remove_pool_hugetlb_folio(k, task: Task) -> Folio:
        """Take a folio out of the pool, the next node's first; under hugetlb_lock."""
        for nid in k.h.round_to_free.nodes():
            if k.h.hugepage_freelists[nid]:
                folio = k.h.hugepage_freelists[nid].pop()
                k.h.nr_huge_pages -= 1
                task.work("bookkeeping", k.cost.pool_remove.each_ns + k.head_ns(task, folio))
                return folio
        raise RuntimeError("the pool holds fewer folios than it counts")

    def update_and_free_pages_bulk(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Give back the folios of a list, one after another; generator."""
        for folio in folio_list:
            yield from k.update_and_free_hugetlb_folio(task, folio)
            task.work("bookkeeping", k.cost.cond_resched.each_ns)

    def update_and_free_hugetlb_folio(k, task: Task, folio: Folio) -> Steps:
        """Restore a folio's vmemmap and give it back; generator."""
        yield from k.free_begins(task, folio)
        if (yield from k.hugetlb_vmemmap_restore(task, folio)):
            yield from k.keep_as_surplus(task, folio)
            return
        yield from k.free_huge_page(task, folio)

    def keep_as_surplus(k, task: Task, folio: Folio) -> Steps:
        """Put back a folio that cannot be restored; generator."""
        yield from k.hugetlb_lock.acquire(task)
        k.add_hugetlb_folio(task, folio)
        yield from k.hugetlb_lock.release(task)
        k.record_folio(folio, task.met_ns, "restore_failed")

    def add_hugetlb_folio(k, task: Task, folio: Folio) -> None:
        """Put a folio back into the pool as a surplus page; under hugetlb_lock."""
        k.h.surplus_huge_pages += 1
        k.enqueue_hugetlb_folio(task, folio)

    # --- the buddy allocator's huge pages ---------------------------------------------

    def alloc_huge_page(k, task: Task, nodes: Nodes) -> Steps:
        """Take a huge page from the first node that has one; returns it or None; generator."""
        if not task.ready():
            yield from task.meet()
        start_ns = task.met_ns
        for nid in nodes.nodes():
            pfn = k.memory.take(nid)
            if pfn is not None:
                break
        else:
            return None
        folio = Folio(k.nr_filled, pfn, nid)
        k.nr_filled += 1
        folio.begin(k.phase, task.number, start_ns)
        ns = k.draw(k.huge_alloc, folio) + k.struct_pages_ns(task, folio)
        task.work("huge_page_alloc", ns)
        k.counts["hugepage_allocs"] += 1
        return folio

    def free_huge_page(k, task: Task, folio: Folio) -> Steps:
        """Give a huge page back to the allocator; generator."""
        ns = k.draw(k.huge_free, folio) + k.struct_pages_ns(task, folio)
        task.work("huge_page_free", ns)
        if not task.ready():
            yield from task.meet()
        now_ns = task.met_ns
        k.memory.give_back(folio.nid, folio.pfn)
        folio.end_ns = now_ns
        k.record_folio(folio, now_ns, "freed")

    # --- records --------------------------------------------------------------------

    def free_begins(k, task: Task, folio: Folio) -> Steps:
        """Start the record of a folio that is given back, unless it has one; generator."""
        if folio.phase == k.phase:
            return DONE
        if task.ready():
            folio.begin(k.phase, task.number, task.met_ns)
            return DONE
        return task.meet_and(lambda task: folio.begin(k.phase, task.number, task.met_ns))

    def folio_ready(k, task: Task, folio: Folio) -> None:
        """Record that a folio is in the pool; the task has just met."""
        status = "optimized"
        if not folio.hugetlb_vmemmap_optimized:
            status = "split_failed" if k.config.hvo else "plain"
        k.record_folio(folio, task.met_ns, status)

    def record_folio(k, folio: Folio, ready_ns: int, status: str) -> None:
        """Write the record of a folio."""
        k.recorder.folio_ends(
            (
                folio.phase,
                folio.number,
                folio.task,
                folio.pfn,
                folio.start_ns,
                folio.split_ns,
                folio.remap_ns,
                folio.restore_ns,
                folio.flush_ns,
                folio.end_ns,
                ready_ns,
            ),
            status,
        )
        folio.forget()
