# SPDX-License-Identifier: MIT
"""
Linux 6.12.117
--------------

The stable kernel, with the refactored walk and a bug of its own: the vmemmap pages that
a restored folio gets begin with a copy of its head, HPageVmemmapOptimized set.  When
such a page of 1 GB is demoted, 511 of its 512 smaller pages look as if they were
optimised: they are skipped by the batch, and "restored" when they are given back.

Modelled: the flag, and what it leads to; static_branch_dec() of a key that is 0 does
nothing, as the kernel only warns.

Sources: c0b495b91a47 ("mm/hugetlb: refactor code around vmemmap_walk"), backported;
counted in Linux 6.12.117.
"""

from __future__ import annotations

from simulator.engine import Engine
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import Folio, Hstate, KernelConfig
from simulator.kernel.versions.refactored_walk import RefactoredWalk
from simulator.machine import Platform

__all__ = ("V6_12_117",)


class V6_12_117(RefactoredWalk):
    """v6.12 with the walk of v7.1, and demotion that optimises one page of 512."""

    name = "v6.12.117"
    base = "v6.12"
    subject = "Linux 6.12.117"
    commit = "c0b495b91a47"
    summary = "v6.12, head page needed, restore flushes 7; demoted pages look optimised"

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        super().__init__(engine, platform, memory, config)
        #: Folios whose restored struct pages hold copies of the head, by PFN.
        k.copied_heads: set[int] = set()

    def _hugetlb_vmemmap_restore_folio(k, h: Hstate, folio: Folio, flags: int) -> int:
        """Give a folio its vmemmap pages back; 0 or -ENOMEM."""
        optimized = folio.hugetlb_vmemmap_optimized
        ret = super()._hugetlb_vmemmap_restore_folio(h, folio, flags)
        if optimized and not ret:
            k.copied_heads.add(folio.pfn)
        return ret

    def split_hugetlb_folio(k, src: Hstate, dst: Hstate, folio: Folio) -> list[Folio]:
        """Make compound pages of a smaller size of one, with the flags that are there."""
        folios = super().split_hugetlb_folio(src, dst, folio)
        if folio.pfn in k.copied_heads:
            for part in folios[1:]:
                k.folio_set_hugetlb_vmemmap_optimized(part)
        return folios

    def free_huge_page(k, h: Hstate, folio: Folio) -> None:
        """Give a huge page back; whoever gets it next initialises its struct pages."""
        k.copied_heads.discard(folio.pfn)
        super().free_huge_page(h, folio)
