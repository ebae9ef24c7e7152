# SPDX-License-Identifier: MIT
"""
Linux v5.14: HVO as it was first merged
---------------------------------------

"Free some vmemmap pages of HugeTLB page", for which the first figures were
published.  Against v6.1: a folio keeps two vmemmap pages, the head and the one that
the others share, so that 6 of 8 go back; the vmemmap of a kernel with the feature on
is mapped by PTEs, so that nothing is split and nothing fails on the way; there is no
static key.  free_huge_page_vmemmap() and alloc_huge_page_vmemmap() go by their later
names here.

Modelled: the series as it was measured, with a flush of 6 pages for each folio.

Not modelled: what was merged into v5.14 on top of it, the PMD mapping of the vmemmap
and its split, 3bc2b6a72596 ("mm: sparsemem: split the huge PMD mapping of vmemmap
pages").  The walk took no lock; here it enters mmap_lock as a reader, as later.

Sources: f41f2ed43ca5 ("mm: hugetlb: free the vmemmap pages associated with each
HugeTLB page") and ad2fa3717b74 ("mm: hugetlb: alloc the vmemmap pages associated with
each HugeTLB page") (in v5.14); 20210208085013.89436-1-songmuchun@bytedance.com (v15
0/8), with the figures.
"""

from __future__ import annotations

from typing import ClassVar, Final

from simulator.kernel.structs import Hstate, StaticKey, VmemmapRemapWalk, pmd_addr_end
from simulator.kernel.versions.v6_1 import V6_1

__all__ = ("RESERVE_VMEMMAP_NR", "V5_14")

#: The vmemmap pages that a folio keeps: the head page and the one that the others share.
RESERVE_VMEMMAP_NR: Final = 2


class V5_14(V6_1):
    """HVO without splits; 6 pages of a 2 MB folio."""

    name = "v5.14"
    base = "v5.14"
    HVO_ON: ClassVar[tuple[str, ...]] = ("x86-64",)
    subject = "mm: hugetlb: free the vmemmap pages associated with each HugeTLB page"
    commit = "f41f2ed43ca5"
    summary = "per folio: remap 6 PTEs, flush 6, free 6 pages; the vmemmap is mapped by PTEs"
    # demote came with v5.16, the sysctl with v5.19, padata with v6.9.
    ACTIONS: ClassVar[tuple[str, ...]] = tuple(
        action for action in V6_1.ACTIONS if action not in ("demote", "hvo")
    )
    TUNABLES: ClassVar[dict[str, tuple[int, int, int, str]]] = {
        name: value for name, value in V6_1.TUNABLES.items() if not name.startswith("static_key_")
    }

    def new_hstate(k, page_size: str) -> Hstate:
        """Return an empty pool of a page size."""
        h = super().new_hstate(page_size)
        # A walk begins at the last page that is kept, which the others are going to share.
        h.nr_vmemmap_pages -= RESERVE_VMEMMAP_NR - 1
        return h

    def pmd_leaf(k, pmd: int) -> bool:
        """No PMD of the vmemmap maps 2 MB."""
        k.cache.folio.pte_mapped = True
        return False

    def vmemmap_pmd_range(k, addr: int, end: int, walk: VmemmapRemapWalk) -> int:
        """Walk the PMDs of a range, none of them a leaf; 0."""
        pmd = k.pmd_offset(addr)
        while addr != end:
            next_addr = pmd_addr_end(addr, end)
            k.BUG_ON(k.pmd_leaf(pmd), "pmd_leaf(*pmd)")
            k.vmemmap_pte_range(pmd, addr, next_addr, walk)
            pmd, addr = pmd + 1, next_addr
        return 0

    def static_branch_inc(k, key: StaticKey) -> None:
        """There is no hugetlb_optimize_vmemmap_key yet."""

    def static_branch_dec(k, key: StaticKey) -> None:
        """There is no hugetlb_optimize_vmemmap_key yet."""
