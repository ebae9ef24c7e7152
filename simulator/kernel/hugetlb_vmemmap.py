# SPDX-License-Identifier: MIT
"""
mm/hugetlb_vmemmap.c: HVO, as of v6.1
-------------------------------------

Optimising a huge page: split the vmemmap PMD that maps its struct pages if it is
still a leaf, point all its PTEs but the first at the first page, flush, give the
pages back.  Restoring it: take pages, copy, point the PTEs at them, flush.
Later versions replace functions of this class; flags are there from the start.
What begins with two underscores in C begins with one here; pages of a run are
handled at once, and a page that C has a pointer to is its number in a run.

Modelled: page_table_lock taken to test the PMD and again to split it, held across
the flush of the split; the race of two tasks that both see a leaf; mmap_lock for
reading around the walk; ENOMEM of the PTE page and the restore pages, and the
walk back after a failure in the middle of a folio.

Not modelled: what struct pages contain; memory hotplug, and so split_page(), which
is for vmemmap from buddy; free_bootmem_page() for pages from memblock.

Sources: mm/hugetlb_vmemmap.c of v6.1; counted in Linux 6.1.176.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from simulator.engine import Engine
from simulator.engine.locks import NoLock, RwSemaphore
from simulator.kernel.jump_label import JumpLabel
from simulator.kernel.pgtable import Pgtable
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import (
    ENOMEM,
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_MASK,
    PMD_SIZE,
    Folio,
    Hstate,
    KernelConfig,
    VmemmapPages,
    VmemmapRemapWalk,
    list_add,
    pmd_addr_end,
)
from simulator.kernel.tlb_mm import TlbMm
from simulator.kernel.vmalloc import Vmalloc

if TYPE_CHECKING:
    from simulator.machine import Platform

__all__ = ("HugetlbVmemmap",)


class HugetlbVmemmap(Vmalloc, TlbMm, Pgtable, JumpLabel):
    """hugetlb_vmemmap_optimize(), hugetlb_vmemmap_restore() and what they call."""

    #: The flags of a walk for one folio alone.
    FLAGS_ALONE: ClassVar[int] = 0

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        super().__init__(engine, platform, memory, config)
        #: Of init_mm, around the walks for a folio.
        k.remap_lock: RwSemaphore | NoLock = k.mmap_lock

    # --- the walk -------------------------------------------------------------------

    def split_vmemmap_huge_pmd(k, pmd: int, start: int, flush: bool = True) -> int:
        """Replace a PMD leaf by a page of 512 PTEs; 0 or -ENOMEM."""
        k.page_table_lock.lock()
        leaf = k.pmd_leaf(pmd)
        k.page_table_lock.unlock()
        if not leaf:
            return 0
        return k._split_vmemmap_huge_pmd(pmd, start, flush)

    def _split_vmemmap_huge_pmd(k, pmd: int, start: int, flush: bool) -> int:
        """Split a PMD that was a leaf; 0 or -ENOMEM."""
        pgtable = k.pte_alloc_one_kernel()
        if not pgtable:
            return -ENOMEM
        k.set_ptes_of_leaf(pgtable, pmd)
        k.page_table_lock.lock()
        if k.pmd_leaf(pmd):
            k.smp_wmb()  # make the PTEs visible before the PMD
            k.vmemmap_update_pmd(start, pmd, pgtable)
            if flush:
                k.flush_tlb_kernel_range(start, start + PMD_SIZE, "split")
        else:
            k.pte_free_kernel(pgtable)  # another task split it first
        k.page_table_lock.unlock()
        return 0

    def vmemmap_remap_pte(k, addr: int, nr: int, walk: VmemmapRemapWalk) -> None:
        """Point PTEs at the reuse page, and put the pages they mapped on the list."""
        k.vmemmap_update_pte(addr, nr, "remap")
        k.list_add_pages(nr, walk.vmemmap_pages)

    def vmemmap_restore_pte(k, addr: int, nr: int, walk: VmemmapRemapWalk) -> None:
        """Copy the reuse page to pages of the list, and point PTEs at them."""
        pages = k.list_del_pages(nr, walk.vmemmap_pages)
        k.copy_reuse_page(pages, walk)
        k.smp_wmb(pages)  # the copies become visible before the PTEs
        k.vmemmap_update_pte(addr, nr, "restore")

    # The names are those that the posted pause of arm64 gives to what it replaces.

    def vmemmap_update_pmd(k, start: int, pmd: int, pgtable: int) -> None:
        """Have a PMD point to a page of PTEs."""
        k.pmd_populate_kernel(pmd, pgtable)

    def vmemmap_update_pte(k, addr: int, nr: int, category: str) -> None:
        """Have a run of PTEs map other pages."""
        k.set_ptes(addr, nr, category)

    def copy_reuse_page(k, pages: int, walk: VmemmapRemapWalk) -> None:
        """Fill pages that a folio gets back: with the page that it has."""
        k.copy_page(pages, walk.reuse_addr)

    def vmemmap_pte_range(k, pmd: int, addr: int, end: int, walk: VmemmapRemapWalk) -> None:
        """Walk the PTEs of a range, as one run."""
        if not walk.reuse_page:
            # The reuse page is found first, and skipped.
            walk.reuse_page = k.pte_page(addr)
            addr += PAGE_SIZE
            walk.nr_walked += 1
        if walk.remap_pte is not None:
            nr = (end - addr) >> PAGE_SHIFT
            walk.remap_pte(addr, nr, walk)
            walk.nr_walked += nr

    def vmemmap_pmd_range(k, addr: int, end: int, walk: VmemmapRemapWalk) -> int:
        """Walk the PMDs of a range; 0 or -ENOMEM."""
        pmd = k.pmd_offset(addr)
        while addr != end:
            ret = k.split_vmemmap_huge_pmd(pmd, addr & PMD_MASK, k.split_flushes(walk))
            if ret:
                return ret
            next_addr = pmd_addr_end(addr, end)
            if walk.remap_pte is not None:  # we may only be splitting, not remapping (v6.7)
                k.vmemmap_pte_range(pmd, addr, next_addr, walk)
            pmd += 1
            addr = next_addr
        return 0

    def vmemmap_remap_range(k, start: int, end: int, walk: VmemmapRemapWalk) -> int:
        """Walk a range of the vmemmap and flush; 0 or -ENOMEM."""
        ret = k.vmemmap_pmd_range(start, end, walk)
        if ret:
            return ret
        if k.remap_flushes(walk):
            k.flush_tlb_kernel_range(k.flush_start(start), end, walk.reason)
        return 0

    # What later patches say with the flags of a walk.

    def split_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a PMD that a walk splits is flushed."""
        return True

    def remap_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a walk flushes what it has remapped."""
        return True

    def flush_start(k, start: int) -> int:
        """Where the flush of a walk begins: the first page keeps its mapping."""
        return start + PAGE_SIZE

    # --- optimise -------------------------------------------------------------------

    def hugetlb_vmemmap_optimize(k, h: Hstate, folio: Folio) -> None:
        """Free the vmemmap pages of one folio."""
        vmemmap_pages = VmemmapPages()
        k._hugetlb_vmemmap_optimize(h, folio, vmemmap_pages, k.FLAGS_ALONE)
        k.free_vmemmap_page_list(vmemmap_pages)

    def _hugetlb_vmemmap_optimize(
        k, h: Hstate, folio: Folio, vmemmap_pages: VmemmapPages, flags: int
    ) -> int:
        """Move the vmemmap pages of a folio to a list; 0 or -ENOMEM."""
        if not k.vmemmap_should_optimize(h, folio):
            return 0
        if not k.vmemmap_get_tail(h, folio):
            return -ENOMEM
        k.static_branch_inc(k.hugetlb_optimize_vmemmap_key)
        k.remap_begins(folio, flags)
        vmemmap_start = folio.page
        vmemmap_end = vmemmap_start + k.hugetlb_vmemmap_size(h)
        ret = k.vmemmap_remap_free(vmemmap_start, vmemmap_end, folio.nid, vmemmap_pages, flags)
        if ret:
            k.static_branch_dec(k.hugetlb_optimize_vmemmap_key)
        k.remap_ended(folio, ret)
        return ret

    def vmemmap_get_tail(k, h: Hstate, folio: Folio) -> bool:
        """Whether there is a page for tail PTEs: the folio's own."""
        return True

    def remap_begins(k, folio: Folio, flags: int) -> None:
        """What comes before the remap of a folio: nothing yet."""

    def remap_ended(k, folio: Folio, ret: int) -> None:
        """What comes after it."""
        if not ret:
            k.folio_set_hugetlb_vmemmap_optimized(folio)

    def vmemmap_should_optimize(k, h: Hstate, folio: Folio) -> bool:
        """Whether HVO is on and the folio is not optimised yet."""
        k.folio_test_hugetlb(folio)
        if k.folio_test_hugetlb_vmemmap_optimized(folio):
            return False
        return k.vmemmap_optimize_enabled

    def hugetlb_vmemmap_size(k, h: Hstate) -> int:
        """The bytes of vmemmap that a folio of the pool has."""
        return h.nr_vmemmap_pages * PAGE_SIZE

    def vmemmap_remap_free(
        k, start: int, end: int, nid: int, vmemmap_pages: VmemmapPages, flags: int
    ) -> int:
        """Remap a range of the vmemmap to its first page; 0 or -ENOMEM."""
        walk = VmemmapRemapWalk(k.vmemmap_remap_pte, vmemmap_pages, start, flags)
        return k._vmemmap_remap_free(start, end, walk)

    def _vmemmap_remap_free(k, start: int, end: int, walk: VmemmapRemapWalk) -> int:
        """The walk of vmemmap_remap_free() and, if it fails, the way back; 0 or -ENOMEM."""
        k.remap_lock.down_read()
        ret = k.vmemmap_remap_range(start, end, walk)
        if ret and walk.nr_walked:
            # Pages of the list go back to the PTEs that were rewritten before the failure.
            end = start + walk.nr_walked * PAGE_SIZE
            walk = VmemmapRemapWalk(
                k.vmemmap_restore_pte, walk.vmemmap_pages, reuse_addr=start, reason="enomem"
            )
            k.vmemmap_remap_range(start, end, walk)
        k.remap_lock.up_read()
        return ret

    def free_vmemmap_page_list(k, vmemmap_pages: VmemmapPages) -> None:
        """Give the pages of a list back."""
        if vmemmap_pages.nr_pages:
            k.free_page_list(vmemmap_pages)

    # --- restore --------------------------------------------------------------------

    def hugetlb_vmemmap_restore(k, h: Hstate, folio: Folio) -> int:
        """Give one folio its vmemmap pages back; 0 or -ENOMEM."""
        return k._hugetlb_vmemmap_restore(h, folio, k.FLAGS_ALONE)

    def _hugetlb_vmemmap_restore(k, h: Hstate, folio: Folio, flags: int) -> int:
        """Give a folio its vmemmap pages back; 0 or -ENOMEM."""
        k.folio_test_hugetlb(folio)
        if not k.folio_test_hugetlb_vmemmap_optimized(folio):
            return 0
        vmemmap_start = folio.page
        vmemmap_end = vmemmap_start + k.hugetlb_vmemmap_size(h)
        ret = k.vmemmap_remap_alloc(vmemmap_start, vmemmap_end, folio.nid, flags)
        if not ret:
            k.folio_clear_hugetlb_vmemmap_optimized(folio)
            k.static_branch_dec(k.hugetlb_optimize_vmemmap_key)
        return ret

    def vmemmap_remap_alloc(k, start: int, end: int, nid: int, flags: int) -> int:
        """Allocate vmemmap pages for a range and remap it; 0 or -ENOMEM."""
        vmemmap_pages = VmemmapPages(nid)
        if k.alloc_vmemmap_page_list(start, end, nid, vmemmap_pages):
            return -ENOMEM
        walk = VmemmapRemapWalk(k.vmemmap_restore_pte, vmemmap_pages, start, flags, "restore")
        k._vmemmap_remap_alloc(start, end, walk)
        return 0

    def _vmemmap_remap_alloc(k, start: int, end: int, walk: VmemmapRemapWalk) -> None:
        """The walk of vmemmap_remap_alloc()."""
        k.remap_lock.down_read()
        k.vmemmap_remap_range(start, end, walk)
        k.remap_lock.up_read()

    def alloc_vmemmap_page_list(
        k, start: int, end: int, nid: int, vmemmap_pages: VmemmapPages
    ) -> int:
        """Take a page for each of a range but the first; 0 or -ENOMEM."""
        nr_pages = ((end - start) >> PAGE_SHIFT) - 1
        got = k.alloc_pages_node(nid, "restore_page", nr_pages)
        if got < nr_pages:
            k.free_pages(got)
            return -ENOMEM
        list_add(got, vmemmap_pages)
        return 0
