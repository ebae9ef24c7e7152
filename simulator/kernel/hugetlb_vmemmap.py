# SPDX-License-Identifier: MIT
"""
mm/hugetlb_vmemmap.c: HVO, as of v6.1
-------------------------------------

Optimising a huge page: split the vmemmap PMD that maps its struct pages if it is
still a leaf, point all its PTEs but the first at the first page, flush, give the
pages back.  Restoring it: take pages, copy, point the PTEs at them, flush.
Later versions replace functions of this class; the parameters that they add
(a caller's list of pages, flags) are there from the start.  What begins with two
underscores in C begins with one here.

Modelled: page_table_lock taken to test the PMD and again to split it, held across
the flush of the split; the race of two tasks that both see a leaf; mmap_lock for
reading around the walk; ENOMEM of the PTE page and the restore pages, and the
walk back after a failure in the middle of a folio.

Not modelled: what struct pages contain; memory hotplug, and so split_page(), which
is for vmemmap from buddy; free_bootmem_page() for pages from memblock.

Sources: mm/hugetlb_vmemmap.c of v6.1; counted in Linux 6.1.176.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.engine import Steps, Task
from simulator.kernel.jump_label import JumpLabel
from simulator.kernel.page_alloc import PageAlloc
from simulator.kernel.structs import (
    ENOMEM,
    PFNS_PER_PMD,
    PTRS_PER_PTE,
    Folio,
    VmemmapPages,
    VmemmapRemapWalk,
)
from simulator.kernel.tlb import Tlb

__all__ = ("HugetlbVmemmap",)


class HugetlbVmemmap(Tlb, PageAlloc, JumpLabel):
    """hugetlb_vmemmap_optimize(), hugetlb_vmemmap_restore() and what they call."""

    # --- the walk -------------------------------------------------------------------

    def split_vmemmap_huge_pmd(k, task: Task, folio: Folio, pmd: int) -> Steps:
        """Replace a PMD leaf by a page of 512 PTEs; returns 0 or -ENOMEM; generator."""
        begin = task.met_ns, task.broadcast_ns
        yield from k.page_table_lock.cycle(task, "split", k.cost.pmd_check.each_ns)
        if not k.pmd_is_leaf(pmd):  # as seen under the lock
            folio.pte_mapped = True
            return 0
        if not (yield from k.alloc_pages(task, "pte_page", category="pte_page_alloc")):
            return -ENOMEM
        task.work("pte_page_fill", k.cost.pte_page_fill.each_ns)

        yield from k.page_table_lock.acquire(task)
        if k.pmd_is_leaf(pmd):
            k.smp_wmb(task)  # make the PTEs visible before the PMD
            k.pmd_populate_kernel(task, pmd)
            yield from k.flush_tlb_kernel_range(task, PTRS_PER_PTE, "split")
        else:
            yield from k.pte_free_kernel(task)  # another task split it first
        yield from k.page_table_lock.release(task)
        folio.pte_mapped = True
        folio.split_ns += k.time_since(task, begin)
        return 0

    def pte_free_kernel(k, task: Task) -> Steps:
        """Give a page-table page back; generator."""
        yield from k.free_pages(task, 1, category="pte_page_alloc")

    def vmemmap_remap_pte(k, task: Task, walk: VmemmapRemapWalk, nr: int) -> None:
        """Point PTEs at the reuse page, and put the pages they mapped on the list."""
        k.set_pte_range(task, "remap", walk.folio, walk.nr_walked, nr)
        task.work("remap", k.list_pages_ns(task, walk.folio, walk.vmemmap_pages, nr))
        k.hold(nr)

    def vmemmap_restore_pte(k, task: Task, walk: VmemmapRemapWalk, nr: int) -> None:
        """Copy the reuse page to pages of the list, and point PTEs at them."""
        k.copy_page(task, walk.folio, nr)
        k.smp_wmb(task, nr)  # the copies become visible before the PTEs
        k.set_pte_range(task, "restore", walk.folio, walk.nr_walked, nr)
        k.hold(-k.take_from_list(task, walk.folio, walk.vmemmap_pages, nr))

    def vmemmap_pte_range(k, task: Task, walk: VmemmapRemapWalk, nr: int) -> None:
        """Walk ``nr`` PTEs, as one run."""
        if not walk.reuse_page:
            # The first one maps the page that the others are going to share.
            walk.reuse_page = True
            walk.nr_walked += 1
            nr -= 1
        if walk.remap_pte is not None:
            walk.remap_pte(task, walk, nr)
        walk.nr_walked += nr

    def vmemmap_pmd_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk the PMDs of a range of vmemmap pages; returns 0 or -ENOMEM; generator."""
        for pmd, nr in k.pmds_of(walk.folio, nr_pages):
            ret = yield from k.split_vmemmap_huge_pmd(task, walk.folio, pmd)
            if ret:
                return ret
            k.vmemmap_pte_range(task, walk, nr)
        return 0

    def vmemmap_remap_range(k, task: Task, walk: VmemmapRemapWalk, nr_pages: int) -> Steps:
        """Walk ``nr_pages`` of a folio's vmemmap and flush; returns 0 or -ENOMEM; generator."""
        task.work("remap", k.cost.vmemmap_walk.each_ns)
        ret = yield from k.vmemmap_pmd_range(task, walk, nr_pages)
        if ret:
            return ret
        # The first page keeps its mapping.
        yield from k.flush_tlb_kernel_range(task, nr_pages - 1, walk.reason)
        return 0

    def pmds_of(k, folio: Folio, nr_pages: int) -> Sequence[tuple[int, int]]:
        """Return the PMDs of the first ``nr_pages`` of a folio's vmemmap, and their PTEs."""
        if nr_pages <= PTRS_PER_PTE:
            return ((folio.pfn // PFNS_PER_PMD, nr_pages),)
        pmd = folio.pfn // PFNS_PER_PMD
        return [
            (pmd + i, min(nr_pages - first, PTRS_PER_PTE))
            for i, first in enumerate(range(0, nr_pages, PTRS_PER_PTE))
        ]

    # --- optimise -------------------------------------------------------------------

    def hugetlb_vmemmap_optimize(k, task: Task, folio: Folio) -> Steps:
        """Free the vmemmap pages of one folio; generator."""
        vmemmap_pages = VmemmapPages()
        yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages)
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)
        folio.end_ns = yield from k.clock(task)

    def _hugetlb_vmemmap_optimize_folio(
        k, task: Task, folio: Folio, vmemmap_pages: VmemmapPages, flags: int = 0
    ) -> Steps:
        """Move the vmemmap pages of a folio to a list; returns 0 or -ENOMEM; generator."""
        task.work("bookkeeping", k.head_ns(task, folio))
        if not k.vmemmap_should_optimize(folio):
            return 0
        yield from k.static_branch_inc(task, k.hugetlb_optimize_vmemmap_key)
        ret = yield from k.vmemmap_remap_free(task, folio, vmemmap_pages, flags)
        if ret:
            yield from k.static_branch_dec(task, k.hugetlb_optimize_vmemmap_key)
        else:
            k.set_vmemmap_optimized(folio, True)
        return ret

    def vmemmap_should_optimize(k, folio: Folio) -> bool:
        """Whether HVO is on and the folio is not optimised yet."""
        return k.config.hvo and not folio.hugetlb_vmemmap_optimized

    def vmemmap_remap_free(
        k, task: Task, folio: Folio, vmemmap_pages: VmemmapPages, flags: int
    ) -> Steps:
        """Remap a folio's vmemmap to its first page; returns 0 or -ENOMEM; generator."""
        walk = VmemmapRemapWalk(folio, k.vmemmap_remap_pte, vmemmap_pages, flags)
        return k.vmemmap_remap_and_undo(task, walk)

    def vmemmap_remap_and_undo(k, task: Task, walk: VmemmapRemapWalk) -> Steps:
        """The walk of vmemmap_remap_free() and, if it fails, the way back; generator."""
        folio = walk.folio
        begin = task.met_ns, task.broadcast_ns
        split_ns = folio.split_ns
        yield from k.mmap_lock.down_read(task)
        ret = yield from k.vmemmap_remap_range(task, walk, k.h.nr_vmemmap_pages)
        if ret and walk.nr_walked:
            # Pages of the list go back to the PTEs that were rewritten before the failure.
            back = VmemmapRemapWalk(
                folio, k.vmemmap_restore_pte, walk.vmemmap_pages, reason="enomem"
            )
            yield from k.vmemmap_remap_range(task, back, walk.nr_walked)
        if not task.ready():
            yield from task.meet()
        folio.remap_ns += k.work_ends(task, folio, begin) - (folio.split_ns - split_ns)
        return ret

    def free_vmemmap_page_list(k, task: Task, vmemmap_pages: VmemmapPages) -> Steps:
        """Give the pages of a list back, one by one, and empty it; generator."""
        if not vmemmap_pages.nr_pages:
            return
        task.work("page_free", k.unlist_pages_ns(task, vmemmap_pages))
        yield from k.free_pages(task, vmemmap_pages.nr_pages)
        k.counts["vmemmap_pages_freed"] += vmemmap_pages.nr_pages
        k.hold(-vmemmap_pages.nr_old)
        vmemmap_pages.nr_pages = 0
        vmemmap_pages.nr_old = 0

    # --- restore --------------------------------------------------------------------

    def hugetlb_vmemmap_restore(k, task: Task, folio: Folio, flags: int = 0) -> Steps:
        """Give one folio its vmemmap pages back; returns 0 or -ENOMEM; generator."""
        task.work("bookkeeping", k.head_ns(task, folio))
        if not folio.hugetlb_vmemmap_optimized:
            return 0
        ret = yield from k.vmemmap_remap_alloc(task, folio, flags)
        if not ret:
            k.set_vmemmap_optimized(folio, False)
            yield from k.static_branch_dec(task, k.hugetlb_optimize_vmemmap_key)
        return ret

    def vmemmap_remap_alloc(k, task: Task, folio: Folio, flags: int) -> Steps:
        """Allocate a folio's vmemmap pages and remap; returns 0 or -ENOMEM; generator."""
        begin = task.met_ns, task.broadcast_ns
        vmemmap_pages = VmemmapPages(nid=folio.nid)
        ret = yield from k.alloc_vmemmap_page_list(task, vmemmap_pages)
        if not ret:
            walk = VmemmapRemapWalk(folio, k.vmemmap_restore_pte, vmemmap_pages, flags, "restore")
            yield from k.mmap_lock.down_read(task)
            yield from k.vmemmap_remap_range(task, walk, k.h.nr_vmemmap_pages)
        if not task.ready():
            yield from task.meet()
        folio.restore_ns += k.work_ends(task, folio, begin)
        return ret

    def alloc_vmemmap_page_list(k, task: Task, vmemmap_pages: VmemmapPages) -> Steps:
        """Take all pages but one of a folio's vmemmap; returns 0 or -ENOMEM; generator."""
        nr_pages = k.h.nr_vmemmap_pages - 1
        got = yield from k.alloc_pages(task, "restore_page", nr_pages, nid=vmemmap_pages.nid)
        k.counts["vmemmap_pages_allocated_restore"] += got
        if got < nr_pages:
            yield from k.free_pages(task, got)
            return -ENOMEM
        vmemmap_pages.nr_pages += got
        return 0

    # --- records --------------------------------------------------------------------

    def time_since(k, task: Task, begin: tuple[int, int]) -> int:
        """Return the time since a meeting without broadcasts, of both of which ``begin`` tells."""
        begin_ns, broadcast_ns = begin
        return task.met_ns - begin_ns - (task.broadcast_ns - broadcast_ns)

    def work_ends(k, task: Task, folio: Folio, begin: tuple[int, int]) -> int:
        """Record the end and the flushes of work on a folio; return its time; it has met."""
        begin_ns, broadcast_ns = begin
        folio.end_ns = end_ns = task.met_ns
        flush_ns = task.broadcast_ns - broadcast_ns
        folio.flush_ns += flush_ns
        return end_ns - begin_ns - flush_ns
