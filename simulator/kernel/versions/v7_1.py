# SPDX-License-Identifier: MIT
"""
Linux v7.1
----------

Since v6.18: the tail pages of all folios of a zone and order share one read-only page of
tail struct pages, so that there are no fake heads, hence no grace periods and no static
key; the refactored walk; an empty list is not flushed.

Modelled: the shared page, taken by the first folio of its zone and order and never given
back; without it the folio fails with -ENOMEM before anything else is done.  A restore
copies it, so that only the new pages are cold.

Not modelled: pte_free_kernel() by a worker.

Sources: c0b495b91a47 ("mm/hugetlb: refactor code around vmemmap_walk"), 622026e87c40
("mm/hugetlb: remove fake head pages"), 01b1d0ffb6f7 ("hugetlb: remove
VMEMMAP_SYNCHRONIZE_RCU"), da3e2d1ca43d ("mm/hugetlb: remove
hugetlb_optimize_vmemmap_key static key") (in v7.1);
20260525025213.2229628-1-songmuchun@bytedance.com, for what a restore copies; counted in
Linux 7.3.4.
"""

from __future__ import annotations

from typing import ClassVar

from simulator.engine import Engine
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import (
    Folio,
    Hstate,
    KernelConfig,
    StaticKey,
    VmemmapRemapWalk,
)
from simulator.kernel.versions.batching.patch7 import VMEMMAP_REMAP_NO_TLB_FLUSH
from simulator.kernel.versions.refactored_walk import RefactoredWalk
from simulator.kernel.versions.v6_18 import V6_18
from simulator.machine import Platform

__all__ = ("V7_1",)


class V7_1(RefactoredWalk, V6_18):
    """One tail page for all; no RCU, no static key."""

    name = "v7.1"
    base = "v7.1"
    subject = "Linux 7.1"
    commit = "622026e87c40"
    summary = "v6.18, one shared tail page for all folios; no grace periods, no static key"
    FLAGS_ALONE: ClassVar[int] = 0
    TUNABLES: ClassVar[dict[str, tuple[int, int, int, str]]] = {
        name: value for name, value in V6_18.TUNABLES.items() if not name.startswith("static_key_")
    }

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        super().__init__(engine, platform, memory, config)
        #: zone->vmemmap_tails[]: which zone and page size has its shared page.
        k.vmemmap_tails: set[tuple[int, str, str]] = set()

    # --- the shared tail page -----------------------------------------------------------

    def vmemmap_get_tail(k, h: Hstate, folio: Folio) -> bool:
        """Find the page that tail PTEs will map, or make it; whether there is one."""
        zone = folio.nid, k.memory.zone_of(folio.pfn), h.page_size
        if zone in k.vmemmap_tails:  # READ_ONCE(): it never changes again
            return True
        if not k.alloc_pages_node(folio.nid, "tail_page"):
            return False
        k.current.work("page_copy", k.cost.page_copy_hot.times[1])  # init_compound_tail()
        k.current.meet()
        if zone in k.vmemmap_tails:
            k.free_pages(1)  # cmpxchg(): another task made one meanwhile
        k.vmemmap_tails.add(zone)
        return True

    def copy_reuse_page(k, pages: int, walk: VmemmapRemapWalk) -> None:
        """Copy the shared tail page, which is cached."""
        k.copy_cached_page(pages)

    # --- lists --------------------------------------------------------------------------

    def hugetlb_vmemmap_optimize_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Free the vmemmap pages of the folios of a list, if there are any."""
        if folio_list:
            super().hugetlb_vmemmap_optimize_folios(h, folio_list)

    def hugetlb_vmemmap_optimize_bootmem_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """The same for folios of memblock."""
        if folio_list:
            super().hugetlb_vmemmap_optimize_bootmem_folios(h, folio_list)

    def remap_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is optimised."""
        return VMEMMAP_REMAP_NO_TLB_FLUSH

    def restore_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is restored."""
        return VMEMMAP_REMAP_NO_TLB_FLUSH

    # --- what is gone -------------------------------------------------------------------

    def static_branch_inc(k, key: StaticKey) -> None:
        """There is no hugetlb_optimize_vmemmap_key any more."""

    def static_branch_dec(k, key: StaticKey) -> None:
        """There is no hugetlb_optimize_vmemmap_key any more."""
