# SPDX-License-Identifier: MIT
"""
Linux v6.11
-----------

Since v6.7: a grace period of RCU before the struct pages of a batch are remapped and
before they are restored, and one for every folio that is worked on alone, so that the
demotion of one page of 1 GB waits for 513; mmap_lock is taken for each walk and
released before the flush; at boot two tasks for each memory node allocate.

Modelled: grace periods as v6.12 has them, with HVO off none, since c2a967f6ab0e
("mm/hugetlb_vmemmap: don't synchronize_rcu() without HVO") (in v6.12).

Not modelled: GFP flags, and so the difference between __GFP_NORETRY (the head
page) and __GFP_RETRY_MAYFAIL (the pages to restore).

Sources: "hugetlb: parallelize 2M hugetlb allocation and initialization" (in v6.9);
bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers") (in v6.11);
20231127084645.27017-1-songmuchun@bytedance.com, whose "mm: hugetlb_vmemmap: use
walk_page_range_novma() to simplify the code" (in v6.8) moved the flush out of mmap_lock;
counted in Linux 6.12.107, but for demotion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from simulator.engine import Engine
from simulator.engine.locks import NoLock
from simulator.kernel.placement import HugeMemory
from simulator.kernel.rcu import Rcu
from simulator.kernel.structs import (
    PMD_MASK,
    Folio,
    Hstate,
    KernelConfig,
    VmemmapRemapWalk,
    pmd_addr_end,
)
from simulator.kernel.versions.batching.patch7 import VMEMMAP_REMAP_NO_TLB_FLUSH
from simulator.kernel.versions.renamed import calls
from simulator.kernel.versions.v6_7 import V6_7

if TYPE_CHECKING:
    from simulator.machine import Platform

__all__ = ("VMEMMAP_SYNCHRONIZE_RCU", "V6_11")

#: Wait for a grace period, so that nobody writes to struct pages by page_ref_add_unless().
VMEMMAP_SYNCHRONIZE_RCU: Final = 1 << 2


class V6_11(V6_7, Rcu):
    """v6.7 and synchronize_rcu(): once to a batch, once to a folio alone."""

    name = "v6.11"
    base = "v6.11"
    subject = "Linux 6.11"
    commit = "98f7e32f20d2"
    summary = "v6.7, and synchronize_rcu() before the remaps and restores of a batch"
    # As counted in 6.12.107.
    TUNABLES = V6_7.TUNABLES | {
        "static_key_sites": (687, 0, 10**6, "code sites patched when HVO's static key flips")
    }
    FLAGS_ALONE: ClassVar[int] = VMEMMAP_SYNCHRONIZE_RCU
    RENAMED: ClassVar[dict[str, str]] = V6_7.RENAMED | {
        "split_vmemmap_huge_pmd": "vmemmap_pmd_entry",
        "_split_vmemmap_huge_pmd": "vmemmap_split_pmd",
        "vmemmap_pmd_range": "walk_page_range_novma",
        "vmemmap_pte_range": "vmemmap_pte_entry",
    }

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        super().__init__(engine, platform, memory, config)
        # mmap_lock is taken in vmemmap_remap_range(), for each walk.
        k.remap_lock = NoLock()

    # --- the walk -------------------------------------------------------------------

    vmemmap_split_pmd = V6_7._split_vmemmap_huge_pmd
    _split_vmemmap_huge_pmd = calls("vmemmap_split_pmd")
    vmemmap_pte_entry = V6_7.vmemmap_pte_range
    vmemmap_pte_range = calls("vmemmap_pte_entry")

    def vmemmap_pmd_entry(k, pmd: int, addr: int, walk: VmemmapRemapWalk) -> int:
        """Split a PMD that is a leaf; 0 or -ENOMEM."""
        k.page_table_lock.lock()
        head = k.pmd_leaf(pmd)
        k.page_table_lock.unlock()
        if not head:
            return 0
        return k.vmemmap_split_pmd(pmd, addr & PMD_MASK, k.split_flushes(walk))

    def walk_page_range_novma(k, start: int, end: int, walk: VmemmapRemapWalk) -> int:
        """Go through PMDs and, unless the walk only splits, their PTEs; 0 or -ENOMEM."""
        pmd, addr = k.pmd_offset(start), start
        while addr != end:
            next_addr = pmd_addr_end(addr, end)
            ret = k.vmemmap_pmd_entry(pmd, addr, walk)
            if ret:
                return ret
            if walk.remap_pte is not None:
                k.vmemmap_pte_entry(pmd, addr, next_addr, walk)
            pmd, addr = pmd + 1, next_addr
        return 0

    def vmemmap_remap_range(k, start: int, end: int, walk: VmemmapRemapWalk) -> int:
        """Walk a range of the vmemmap, then flush; 0 or -ENOMEM."""
        k.mmap_lock.down_read()
        ret = k.walk_page_range_novma(start, end, walk)
        k.mmap_lock.up_read()
        if ret:
            return ret
        if k.remap_flushes(walk):
            k.flush_tlb_kernel_range(start, end, walk.reason)
        return 0

    # --- boot ---------------------------------------------------------------------------

    def boot_threads(k, nr_cpus: int, nr_nodes: int) -> int:
        """How many tasks allocate 2 MB pages at boot: two for each memory node."""
        return 2 * nr_nodes

    # --- optimise and restore ---------------------------------------------------------

    def remap_begins(k, folio: Folio, flags: int) -> None:
        """What comes before the remap of a folio."""
        if flags & VMEMMAP_SYNCHRONIZE_RCU:
            k.synchronize_rcu()
        super().remap_begins(folio, flags)

    def remap_flags(k, first: bool) -> int:
        """The flags of the walks of a list: only synchronize_rcu() once for each batch."""
        return VMEMMAP_REMAP_NO_TLB_FLUSH | (VMEMMAP_SYNCHRONIZE_RCU if first else 0)

    def restore_flags(k, first: bool) -> int:
        """The same for a list that is restored."""
        return VMEMMAP_REMAP_NO_TLB_FLUSH | (VMEMMAP_SYNCHRONIZE_RCU if first else 0)

    def _hugetlb_vmemmap_restore_folio(k, h: Hstate, folio: Folio, flags: int) -> int:
        """Give a folio its vmemmap pages back; 0 or -ENOMEM."""
        if k.folio_test_hugetlb_vmemmap_optimized(folio) and flags & VMEMMAP_SYNCHRONIZE_RCU:
            k.synchronize_rcu()
        return super()._hugetlb_vmemmap_restore_folio(h, folio, flags)
