# SPDX-License-Identifier: MIT
"""
include/linux/pgtable.h: page tables of the vmemmap
---------------------------------------------------

Modelled: one walk down to the PMDs for a range; a PMD that is a leaf of 2 MB or a
table of 512 PTEs; page-table stores as runs, never per PTE.  The first look at a PMD on
a way down costs, the second finds it cached.  ``smp_wmb()`` costs ``costs.smp_wmb``,
nothing on x86.

Not modelled: what PTEs hold; levels above the PMD, which never change here.

Sources: mm/hugetlb_vmemmap.c and arch/x86/include/asm/pgtable.h of v6.1 to v6.12.
"""

from __future__ import annotations

from simulator.engine.task import ATOMIC
from simulator.kernel.page_alloc import PageAlloc
from simulator.kernel.structs import PMD_SHIFT

__all__ = ("Pgtable",)


class Pgtable(PageAlloc):
    """PMDs and PTEs; addresses are those of the vmemmap, a PMD is its number there."""

    def pmd_offset(k, addr: int) -> int:
        """Walk down from the top to the PMD of an address."""
        task, ns = k.current, k.cost.vmemmap_walk.each_ns
        task.planned_ns += ns  # as Task.work(), without a call
        task.time_by["remap"] += ns
        k.cache.pmd = -1
        return addr >> PMD_SHIFT

    def pmd_leaf(k, pmd: int) -> bool:
        """Whether a PMD maps 2 MB."""
        cache = k.cache
        if cache.pmd != pmd:
            cache.pmd = pmd
            task, ns = k.current, k.cost.pmd_check.each_ns
            task.planned_ns += ns  # as Task.work(), without a call
            task.time_by["split"] += ns
        if pmd in k.split_pmds:
            cache.folio.pte_mapped = True
            return False
        return True

    def pte_alloc_one_kernel(k) -> int:
        """Take a page for a page table; 0 if there is none."""
        if k.current.holds >= ATOMIC:
            k.sleeps_in_atomic("pte_alloc_one_kernel")
        return k.alloc_pages("pte_page", category="pte_page_alloc")

    def pte_free_kernel(k, pgtable: int) -> None:
        """Give a page-table page back."""
        k.free_pages(pgtable, category="pte_page_alloc")

    def set_ptes_of_leaf(k, pgtable: int, pmd: int) -> None:
        """Fill a new page table with the 512 PTEs that map what the leaf does."""
        k.current.work("pte_page_fill", k.cost.pte_page_fill.each_ns)

    def pmd_populate_kernel(k, pmd: int, pgtable: int) -> None:
        """Store a page table into a PMD."""
        k.split_pmds.add(pmd)
        k.cache.folio.pte_mapped = True
        k.counts["pmd_splits"] += 1
        k.current.work("split", k.cost.pmd_split.each_ns)

    def pte_page(k, addr: int) -> int:
        """The page that a PTE maps."""
        return 1

    def set_ptes(k, addr: int, nr: int, category: str) -> None:
        """Store ``nr`` PTEs from an address on: a ``remap``, or a ``restore``."""
        task, ns = k.current, k.cost.set_pte.times[nr]
        task.planned_ns += ns  # as Task.work(), without a call
        task.time_by[category] += ns

    def ptep_set_wrprotect(k, addr: int, nr: int, category: str) -> None:
        """Make ``nr`` PTEs from an address on read-only: they map what they mapped."""
        k.current.work(category, k.cost.set_pte.times[nr])

    def smp_wmb(k, nr: int = 1) -> None:
        """Order earlier stores before later ones, ``nr`` times over."""
        k.orders_stores()
        if k.cost.smp_wmb.each_ns:
            k.current.work("barrier", k.cost.smp_wmb.times[nr])
