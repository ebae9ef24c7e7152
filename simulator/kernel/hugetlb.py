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

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulator.engine import Engine
from simulator.kernel.hugetlb_vmemmap import HugetlbVmemmap
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import (
    ENOMEM,
    Folio,
    Hstate,
    KernelConfig,
    LocalFirst,
    NodeRound,
    Nodes,
    OneNode,
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
        k.hpage_freelist: list[tuple[Hstate, Folio]] = []  # its head is the end
        k.free_hpage_work = WorkStruct("free_hpage_workfn")

    # --- entry points: each is the body of a task --------------------------------------

    def set_max_huge_pages(k, h: Hstate, nr_more: int) -> None:
        """
        Write nr_hugepages: grow the pool by ``nr_more`` folios, or shrink it.

        With several writers each one asks for its share on top of what it finds.
        """
        h.resize_lock.lock()
        k.hugetlb_lock.lock_irq()
        k.resize_pool(h, max(0, h.persistent_huge_pages + nr_more), None)
        k.hugetlb_lock.unlock_irq()
        h.resize_lock.unlock()

    def nr_hugepages_store(k, h: Hstate, count: int, nid: int | None = None) -> None:
        """Write ``count`` to nr_hugepages, or to the file of one node."""
        h.resize_lock.lock()
        k.hugetlb_lock.lock_irq()
        if nid is not None:
            # A request for one node: the count of all nodes is adjusted.
            persistent = h.nr_huge_pages_node[nid] - h.surplus_huge_pages_node[nid]
            count += h.persistent_huge_pages - persistent
        k.resize_pool(h, count, nid)
        k.hugetlb_lock.unlock_irq()
        h.resize_lock.unlock()

    def resize_pool(k, h: Hstate, count: int, nid: int | None) -> None:
        """What set_max_huge_pages() does under its locks; ``nid`` is the node, if only one."""
        while count > h.persistent_huge_pages and k.adjust_pool_surplus(h, -1, nid):
            pass
        if k.increase_pool(
            h, count, h.round_to_alloc if nid is None else h.round_to_alloc.only(nid)
        ):
            k.decrease_pool(h, count, nid)

    def alloc_hugetlb_folio(k, h: Hstate) -> Folio | None:
        """A fault takes a page of the pool or, where it has none, a surplus page; or None."""
        near = LocalFirst(k.numa_node_id(), k.platform.nr_nodes)
        k.hugetlb_lock.lock_irq()
        folio = k.dequeue_hugetlb_folio(h, near)
        k.hugetlb_lock.unlock_irq()
        return k.alloc_surplus_hugetlb_folio(h) if folio is None else folio

    def dequeue_hugetlb_folio(k, h: Hstate, nodes: Nodes) -> Folio | None:
        """Take a free page out of the pool for a user; under hugetlb_lock."""
        for nid in nodes.nodes():
            if h.hugepage_freelists[nid]:
                return k.freelist_del(h, nid)
        return None

    def alloc_surplus_hugetlb_folio(k, h: Hstate) -> Folio | None:
        """A fault takes a page beyond the pool; the folio or None."""
        k.hugetlb_lock.lock_irq()
        k.hugetlb_lock.unlock_irq()
        near = LocalFirst(k.numa_node_id(), k.platform.nr_nodes)
        folio = k.alloc_fresh_hugetlb_folio(h, near)
        if folio is None:
            return None
        k.hugetlb_lock.lock_irq()
        h.account(folio.nid, 1)
        h.account_surplus(folio.nid, 1)
        k.hugetlb_lock.unlock_irq()
        return folio

    def free_huge_folio(k, h: Hstate, folio: Folio) -> None:
        """Free a page whose last user has gone: into the pool, or for good if it is beyond it."""
        k.hugetlb_lock.lock_irq()
        temporary = folio.hugetlb_temporary
        if not (temporary or h.surplus_huge_pages_node[folio.nid]):
            k.enqueue_hugetlb_folio(h, folio)
            k.hugetlb_lock.unlock_irq()
            return
        h.account(folio.nid, -1)
        if not temporary:
            h.account_surplus(folio.nid, -1)
        k.unlink_folio(folio)
        k.hugetlb_lock.unlock_irq()
        if not k.folio_test_hugetlb_vmemmap_optimized(folio):
            k.update_and_free_hugetlb_folio(h, folio)
            return
        # Restoring takes memory, and this may be an interrupt: leave it to a kworker.
        k.atomic_op("bookkeeping")
        was_empty = not k.hpage_freelist
        k.hpage_freelist.append((h, folio))  # llist_add() puts it at the head
        if was_empty:
            k.schedule_work(k.free_hpage_work)

    def free_hpage_workfn(k, work: WorkStruct) -> None:
        """Free the surplus pages that were given up."""
        folios, k.hpage_freelist = k.hpage_freelist, []  # llist_del_all()
        for h, folio in reversed(folios):
            k.update_and_free_hugetlb_folio(h, folio)
            k.cond_resched()

    def unreserve(k, h: Hstate) -> None:
        """The last mapping of a process goes with pages reserved that it never touched."""
        k.hugetlb_lock.lock_irq()
        k.return_unused_surplus_pages(h)
        k.hugetlb_lock.unlock_irq()

    def return_unused_surplus_pages(k, h: Hstate) -> None:
        """None of the pages reserved was surplus: an empty list; under hugetlb_lock."""
        k.hugetlb_lock.unlock_irq()
        k.update_and_free_pages_bulk(h, [])
        k.hugetlb_lock.lock_irq()

    # --- migration ----------------------------------------------------------------------

    def alloc_hugetlb_folio_nodemask(k, h: Hstate, nid: int) -> Folio | None:
        """Take a page of a node to move another one to: of the pool, or a temporary one."""
        k.hugetlb_lock.lock_irq()
        folio = k.dequeue_hugetlb_folio(h, OneNode(nid))
        k.hugetlb_lock.unlock_irq()
        return k.alloc_migrate_hugetlb_folio(h, nid) if folio is None else folio

    def alloc_migrate_hugetlb_folio(k, h: Hstate, nid: int) -> Folio | None:
        """Take a temporary page of a node, optimised alone; the folio or None."""
        folio = k.alloc_fresh_hugetlb_folio(h, OneNode(nid))
        if folio is None:
            return None
        k.hugetlb_lock.lock_irq()
        h.account(nid, 1)
        k.hugetlb_lock.unlock_irq()
        folio.hugetlb_temporary = True
        return folio

    def unmap_and_move_huge_page(k, h: Hstate, old_folio: Folio, nid: int) -> Folio:
        """Move a page in use to a node; the folio that is in use now."""
        new_folio = k.alloc_hugetlb_folio_nodemask(h, nid)
        if new_folio is None:
            return old_folio
        k.copy_huge_page(h, new_folio, old_folio)
        k.move_hugetlb_state(h, old_folio, new_folio)
        k.free_huge_folio(h, old_folio)
        return new_folio

    def move_hugetlb_state(k, h: Hstate, old_folio: Folio, new_folio: Folio) -> None:
        """A page that was temporary takes the place of the other one in the pool."""
        if not new_folio.hugetlb_temporary:
            return
        old_folio.hugetlb_temporary = True
        new_folio.hugetlb_temporary = False
        k.hugetlb_lock.lock_irq()
        if h.surplus_huge_pages_node[old_folio.nid]:
            h.account_surplus(old_folio.nid, -1)
            h.account_surplus(new_folio.nid, 1)
        k.hugetlb_lock.unlock_irq()

    # --- demotion -----------------------------------------------------------------------

    def demote_store(k, h: Hstate, nr_demote: int, nid: int | None = None) -> None:
        """Write to ``demote`` of 1 GB pages: make 2 MB pages of so many free ones."""
        h.resize_lock.lock()
        k.hugetlb_lock.lock_irq()
        while nr_demote > 0:
            nr_available = h.free_huge_pages if nid is None else len(h.hugepage_freelists[nid])
            if not nr_available:
                break
            nr_demoted = k.demote_pool_huge_page(h, nid, nr_demote)
            if nr_demoted <= 0:
                break
            nr_demote -= nr_demoted
        k.hugetlb_lock.unlock_irq()
        h.resize_lock.unlock()

    def demote_pool_huge_page(k, src: Hstate, nid: int | None, nr_to_demote: int) -> int:
        """Demote the first free page of the next node; how many it were, or -ENOMEM."""
        for node in k.nodes_to_free(src, nid):
            if src.hugepage_freelists[node]:
                ret = k.demote_free_hugetlb_folio(src, k.freelist_del(src, node))
                return ret or 1
        return 0

    def demote_free_hugetlb_folio(k, src: Hstate, folio: Folio) -> int:
        """Restore a page and make the pages of the smaller pool of it; 0 or -ENOMEM."""
        dst = k.hstate("2M")
        src.account(folio.nid, -1)
        k.hugetlb_lock.unlock_irq()
        if k.hugetlb_vmemmap_restore(src, folio):
            k.hugetlb_lock.lock_irq()
            k.enqueue_hugetlb_folio(src, folio)
            src.account(folio.nid, 1)
            return -ENOMEM
        k.folio_demoted(folio)
        dst.resize_lock.lock()
        for part in k.split_hugetlb_folio(src, dst, folio):
            k.prep_new_hugetlb_folio(dst, part)
            k.free_new_hugetlb_folio(dst, part)
        dst.resize_lock.unlock()
        k.hugetlb_lock.lock_irq()
        return 0

    def folio_demoted(k, folio: Folio) -> None:
        """A huge page is none any more: smaller ones have its memory."""

    def free_new_hugetlb_folio(k, h: Hstate, folio: Folio) -> None:
        """Free a folio that was just made into the pool."""
        k.hugetlb_lock.lock_irq()
        k.enqueue_hugetlb_folio(h, folio)
        h.account(folio.nid, 1)
        k.hugetlb_lock.unlock_irq()

    # --- boot ---------------------------------------------------------------------------

    def boot_threads(k, nr_cpus: int, nr_nodes: int) -> int:
        """How many tasks allocate 2 MB pages at boot: one, before padata (v6.9)."""
        return 1

    def hugetlb_pages_alloc_boot_node(k, h: Hstate, nr: int) -> None:
        """One pinned thread's share of the allocation at boot."""
        nodes = NodeRound(k.platform.nr_nodes)
        for _ in range(nr):
            if k.alloc_pool_huge_folio(h, nodes) is None:
                break

    def alloc_bootmem_huge_pages(k, h: Hstate, nr: int) -> list[list[Folio]]:
        """Reserve huge pages in memblock before there is an allocator; a list for each node."""
        found: list[list[Folio]] = [[] for _ in range(k.platform.nr_nodes)]
        for _ in range(nr):
            folio = k.alloc_bootmem_huge_page(h)
            if folio is None:
                break
            found[folio.nid].append(folio)
        return found

    def alloc_bootmem_huge_page(k, h: Hstate) -> Folio | None:
        """Reserve one; the folio or None."""
        for nid in h.round_to_alloc.nodes():
            folio = k.memblock_alloc_huge_page(h, nid)
            if folio is not None:
                return folio
        return None

    def gather_bootmem_prealloc(k, h: Hstate, nr: int) -> None:
        """Make huge pages of what memblock reserved, node by node."""
        for folio_list in k.alloc_bootmem_huge_pages(h, nr):
            k.gather_bootmem_prealloc_node(h, folio_list)

    def gather_bootmem_prealloc_node(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Make huge pages of what memblock reserved on a node, one by one."""
        for folio in folio_list:
            k.prep_new_hugetlb_folio(h, folio)
            k.free_new_hugetlb_folio(h, folio)
            k.cond_resched()

    # --- grow -----------------------------------------------------------------------

    def increase_pool(k, h: Hstate, count: int, nodes: Nodes) -> bool:
        """
        The first loop of set_max_huge_pages(), with hugetlb_lock.

        Returns whether it got all it wanted; if not, the kernel goes to the end.
        """
        while count > h.persistent_huge_pages:
            k.hugetlb_lock.unlock_irq()
            k.cond_resched()
            folio = k.alloc_pool_huge_folio(h, nodes)
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
        h.account(folio.nid, 1)
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

    def decrease_pool(k, h: Hstate, count: int, nid: int | None) -> None:
        """The second loop of set_max_huge_pages(), to which growing comes too."""
        page_list: list[Folio] = []
        # Pages in use cannot be freed.
        min_count = max(count, h.nr_huge_pages - h.free_huge_pages)
        while min_count < h.persistent_huge_pages:
            folio = k.remove_pool_hugetlb_folio(h, nid)
            if folio is None:
                break
            page_list.append(folio)
        page_list.reverse()  # list_add() puts each at the head
        k.hugetlb_lock.unlock_irq()
        k.update_and_free_pages_bulk(h, page_list)
        k.hugetlb_lock.lock_irq()
        while count < h.persistent_huge_pages and k.adjust_pool_surplus(h, 1, nid):
            pass

    def nodes_to_free(k, h: Hstate, nid: int | None) -> Iterator[int]:
        """for_each_node_mask_to_free()."""
        return h.round_to_free.nodes() if nid is None else h.round_to_free.only(nid).nodes()

    def remove_pool_hugetlb_folio(k, h: Hstate, nid: int | None) -> Folio | None:
        """Take a folio out of the pool, the next node's first; under hugetlb_lock."""
        for node in k.nodes_to_free(h, nid):
            if h.hugepage_freelists[node]:
                folio = k.freelist_del(h, node)
                h.account(node, -1)
                return folio
        return None

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
        h.account(folio.nid, 1)
        h.account_surplus(folio.nid, 1)
        k.enqueue_hugetlb_folio(h, folio)

    def adjust_pool_surplus(k, h: Hstate, delta: int, nid: int | None) -> bool:
        """Count a page of the pool as surplus, or no longer; whether there is one."""
        for node in range(k.platform.nr_nodes) if nid is None else (nid,):
            surplus = h.surplus_huge_pages_node[node]
            if surplus if delta < 0 else surplus < h.nr_huge_pages_node[node]:
                h.account_surplus(node, delta)
                return True
        return False
