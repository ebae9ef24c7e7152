# SPDX-License-Identifier: MIT
"""
PMDs that are split and not flushed
-----------------------------------

:func:`watch_splits` makes a kernel that behaves as another one, and notes each PMD
for which no flush of its whole range came between its split and the moment when
vmemmap pages are next given back: until then another CPU may use the 2 MB entry and
entries of 4 KB for the same addresses, and reach pages that are no longer vmemmap.

Modelled: a flush counts for a PMD if it began after the split and is one of
everything, or of 512 pages or more.  The INVLPGs of a remap, 8 of the 512 pages, do
not count.

Not modelled: what the TLB of a CPU really held.
"""

from __future__ import annotations

from simulator.engine import Engine
from simulator.geometry import PTRS_PER_PTE
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import PAGE_SIZE, KernelConfig, VmemmapPages
from simulator.machine import Platform

__all__ = ("watch_splits",)


def watch_splits(kernel: type[Hugetlb]) -> tuple[type[Hugetlb], list[tuple[int, int]]]:
    """
    Return a kernel that behaves as the given one, and what it will note.

    That is a list of (phase, PMD), the phases counted from 0; it fills while the
    kernel runs, so use it for one simulation.
    """
    noted: list[tuple[int, int]] = []

    class Watched(kernel):  # type: ignore[misc, valid-type]
        def __init__(
            k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
        ) -> None:
            super().__init__(engine, platform, memory, config)
            k.unflushed: set[int] = set()

        def pmd_populate_kernel(k, pmd: int, pgtable: int) -> None:
            super().pmd_populate_kernel(pmd, pgtable)
            k.unflushed.add(pmd)

        def flush_tlb_all(k, reason: str) -> None:
            before = k.unflushed.copy()
            super().flush_tlb_all(reason)
            k.unflushed -= before

        def flush_tlb_kernel_range(k, start: int, end: int, reason: str) -> None:
            before = k.unflushed.copy()
            super().flush_tlb_kernel_range(start, end, reason)
            nr_pages = (end - start) // PAGE_SIZE
            ceiling = k.config.tunables["tlb_single_page_flush_ceiling"]
            if nr_pages > ceiling or nr_pages >= PTRS_PER_PTE:
                k.unflushed -= before

        def free_page_list(k, vmemmap_pages: VmemmapPages) -> None:
            noted.extend((k.phase, pmd) for pmd in sorted(k.unflushed))
            k.unflushed.clear()
            super().free_page_list(vmemmap_pages)

    return Watched, noted
