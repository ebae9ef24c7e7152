# SPDX-License-Identifier: MIT
"""
Linux v6.6
----------

The base that the batching series was measured on.  Since v6.1: the head vmemmap
page is moved to a new page, so that all eight old ones go back as one block; the
flush covers the head too; the destructor of a restored folio is cleared under
hugetlb_lock.

Sources: commit 11aad2631bf7 ("mm/hugetlb_vmemmap: remap head page to newly
allocated page") (in v6.2); commit 32c877191e02 ("hugetlb: do not clear hugetlb
dtor until allocating vmemmap") (in v6.6).
"""

from __future__ import annotations

from typing import ClassVar

from simulator.kernel.structs import (
    ENOMEM,
    Folio,
    Hstate,
    VmemmapPages,
    VmemmapRemapWalk,
    list_add,
    list_del,
)
from simulator.kernel.versions.v6_1 import V6_1

__all__ = ("V6_6",)


class V6_6(V6_1):
    """HVO without batching, the head page remapped too."""

    name = "v6.6"
    base = "v6.6"
    HVO_ON: ClassVar[tuple[str, ...]] = ("x86-64", "riscv64")
    subject = "Linux 6.6"
    commit = "ffc253263a13"
    summary = "per folio: split, flush 512, remap 8 PTEs, flush 8, free 8 pages"
    # Assumed: between the counts of 6.1.176 (1107) and 6.12.107 (687).
    TUNABLES = V6_1.TUNABLES | {
        "static_key_sites": (900, 0, 10**6, "code sites patched when HVO's static key flips")
    }

    def vmemmap_remap_free(
        k, start: int, end: int, nid: int, vmemmap_pages: VmemmapPages, flags: int
    ) -> int:
        """Remap a range of the vmemmap to a new first page; 0 or -ENOMEM."""
        walk = VmemmapRemapWalk(k.vmemmap_remap_pte, vmemmap_pages, start, flags)
        # Without a new page the present one is shared, as before v6.2.
        walk.reuse_page = k.alloc_pages_node(nid, "head_page")
        if walk.reuse_page:
            k.copy_page(walk.reuse_page, walk.reuse_addr)
            list_add(walk.reuse_page, vmemmap_pages)
        elif k.head_page_needed():
            return -ENOMEM
        return k._vmemmap_remap_free(start, end, walk)

    def head_page_needed(k) -> bool:
        """Whether a folio that gets no new head page stays as it is."""
        return False

    def vmemmap_remap_pte(k, addr: int, nr: int, walk: VmemmapRemapWalk) -> None:
        """Point PTEs at the reuse page; the head's PTE at the new one."""
        if addr == walk.reuse_addr:
            list_del(walk.reuse_page, walk.vmemmap_pages)
            k.smp_wmb()  # its contents become visible before the PTE
        # Not super(): this runs for every folio, and a name is found faster.
        V6_1.vmemmap_remap_pte(k, addr, nr, walk)

    def flush_start(k, start: int) -> int:
        """Where the flush of a walk begins: the first page is remapped, too."""
        return start

    def update_and_free_hugetlb_folio(k, h: Hstate, folio: Folio) -> None:
        """Restore a folio's vmemmap, clear its destructor and give it back."""
        clear_dtor = k.folio_test_hugetlb_vmemmap_optimized(folio)
        if k.hugetlb_vmemmap_restore(h, folio):
            k.restore_failed(h, folio)
            return
        if clear_dtor:
            k.clear_hugetlb_destructor(h, [folio])
        k.free_huge_page(h, folio)

    def clear_hugetlb_destructor(k, h: Hstate, folios: list[Folio]) -> None:
        """Make folios ordinary compound pages, in one cycle of hugetlb_lock."""
        k.hugetlb_lock.lock_irq()
        k.clear_hugetlb_flags(folios)
        k.hugetlb_lock.unlock_irq()
