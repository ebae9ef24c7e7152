# SPDX-License-Identifier: MIT
"""
What must hold
--------------

The name of each invariant, one sentence, and where it is said.  Whoever checks one, on a run or
over all interleavings, takes its name from here.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("INVARIANTS", "Invariant")


@dataclass(frozen=True, slots=True)
class Invariant:
    """An invariant: its name, what it says, and a reference."""

    name: str
    sentence: str
    reference: str


_ALL = (
    Invariant(
        "freed-while-held",
        "A vmemmap page is not given back, nor reused, while a CPU may hold a translation to it.",
        "Documentation/core-api/cachetlb.rst",
    ),
    Invariant(
        "size-and-frame",
        "Size and frame of an address do not change together without an invalidation between.",
        "Intel SDM vol. 3A, Recommended Invalidation",
    ),
    Invariant(
        "pte-before-pmd",
        "No walker finds an empty PTE below a PMD that points to its table.",
        "mm/hugetlb_vmemmap.c: smp_wmb() before pmd_populate_kernel()",
    ),
    Invariant(
        "contents-before-pte",
        "No CPU reads a new head page before its contents were copied.",
        "mm/hugetlb_vmemmap.c: smp_wmb() before set_pte_at()",
    ),
    Invariant(
        "needs-bbm",
        "The output address of a live entry changes only by break-before-make.",
        "Arm ARM DDI 0487, D8.16: Using break-before-make when updating translation table entries",
    ),
    Invariant(
        "flag-before-copy",
        "The Optimized flag reaches the head page that stays mapped.",
        "mm/hugetlb_vmemmap.c: 'very subtle' in __hugetlb_vmemmap_optimize_folio()",
    ),
    Invariant(
        "used-while-stale",
        "Struct pages are not written while a CPU may hold what was there before their restore.",
        "mm/hugetlb_vmemmap.c: hugetlb_vmemmap_restore_folios()",
    ),
    Invariant(
        "lost-split",
        "A PMD is populated only if it is still a leaf under the lock.",
        "mm/hugetlb_vmemmap.c: vmemmap_split_pmd()",
    ),
    Invariant(
        "write-lost",
        "What another CPU writes to the head struct page meanwhile is not lost.",
        'bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers") (in v6.11)',
    ),
    Invariant(
        "walk-faults",
        "No walk of a mapped kernel address meets an invalid entry.",
        "Arm ARM DDI 0487, D8.16: between break and make an access faults",
    ),
    Invariant(
        "stale-use",
        "Kernel code on a CPU whose flush was deferred uses no translation from before it.",
        "Documentation/core-api/cachetlb.rst",
    ),
    Invariant(
        "lock-not-held",
        "What a lock protects is touched with the lock held.",
        "lockdep_assert_held(&hugetlb_lock) in mm/hugetlb.c",
    ),
    Invariant(
        "lock-order",
        "Two locks are always taken in one order.",
        "Documentation/locking/lockdep-design.rst",
    ),
    Invariant(
        "lock-held-at-end",
        "A task that ends holds no lock.",
        "Documentation/locking/lockdep-design.rst",
    ),
    Invariant(
        "sleep-in-atomic",
        "Nobody sleeps, or may have to, with a spinlock.",
        "Documentation/kernel-hacking/locking.rst",
    ),
    Invariant(
        "irqs-off-flush",
        "Nobody asks other CPUs for a flush with interrupts off.",
        "kernel/smp.c: smp_call_function_many_cond()",
    ),
    Invariant(
        "pages-lost",
        "Every page that is taken is given back, pooled or in use.",
        "Documentation/core-api/memory-allocation.rst",
    ),
    Invariant("deadlock", "Every execution can come to its end.", "-"),
)
INVARIANTS = {invariant.name: invariant for invariant in _ALL}
