# SPDX-License-Identifier: MIT
"""
Linux v6.15
-----------

Since v6.12: pages of 1 GB from memblock are mapped as HVO wants them before there are
struct pages ("pre-HVO"): nothing is split, remapped or freed.  A list without a folio to
split is not flushed for splits.  Kernel addresses are flushed by INVLPGB where the machine
has it (:mod:`simulator.kernel.invlpgb`).  A quarter of the CPUs allocate at boot, or as many as
``hugepage_alloc_threads=`` says.

Modelled: pre-HVO of every page of 1 GB from memblock while HVO is on; one list of such
pages for each node, an empty one too.

Not modelled: CMA.

Sources: 82378c6c2f43 ("x86/mm: Use INVLPGB for kernel TLB flushes") (in v6.15);
752fe17af693 ("mm/hugetlb: add pre-HVO framework") and b1222550fbf7
("mm/hugetlb: do pre-HVO for bootmem allocated pages") (in v6.15); counted in Linux
6.18.15 and 7.3.4.  That all of this is in v6.15 is what the mails say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.kernel.invlpgb import Invlpgb
from simulator.kernel.structs import PMD_SIZE, Folio, Hstate
from simulator.kernel.versions.v6_12 import V6_12

__all__ = ("V6_15",)


class V6_15(Invlpgb, V6_12):
    """Boot pages are born optimised; an empty list is flushed once; INVLPGB."""

    name = "v6.15"
    base = "v6.15"
    subject = "Linux 6.15"
    commit = "0ff41df1cb26"
    summary = "v6.12; INVLPGB; pre-HVO of 1 GB boot pages; 1 flush to an empty list"
    FLUSHES_BY: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **V6_12.FLUSHES_BY,
        "x86-64": ("invlpgb", "ipi"),
    }
    TUNABLES = V6_12.TUNABLES | {
        "hugepage_alloc_threads": (0, 0, 4096, "tasks that allocate at boot; 0: 25 % of the CPUs")
    }

    def split_ended(k, nr_folios: int) -> None:
        """Flush after the splits of a list, if it was not empty."""
        if nr_folios:
            super().split_ended(nr_folios)

    # --- boot ---------------------------------------------------------------------------

    def boot_threads(k, nr_cpus: int, nr_nodes: int) -> int:
        """How many tasks allocate 2 MB pages at boot: a quarter of the CPUs."""
        return k.config.tunables["hugepage_alloc_threads"] or max(1, nr_cpus // 4)

    def alloc_bootmem_huge_page(k, h: Hstate) -> Folio | None:
        """Reserve a page in memblock; the folio or None."""
        folio = super().alloc_bootmem_huge_page(h)
        if folio is not None and k.vmemmap_optimize_enabled:
            k.hugetlb_vmemmap_init_early(h, folio)
        return folio

    def hugetlb_vmemmap_init_early(k, h: Hstate, folio: Folio) -> None:
        """Have the vmemmap of a page mapped by PTEs from the start, the tail pages mirrored."""
        first = folio.page // PMD_SIZE
        k.split_pmds.update(range(first, first + k.hugetlb_vmemmap_size(h) // PMD_SIZE))
        folio.pte_mapped = True
        k.folio_set_hugetlb_vmemmap_optimized(folio)

    def gather_bootmem_prealloc_node(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Make huge pages of what memblock reserved on a node, as one list."""
        folio_list.reverse()
        k.prep_and_add_bootmem_folios(h, folio_list)

    def prep_and_add_bootmem_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Optimise folios of memblock and add them to the pool, each in a lock cycle."""
        k.hugetlb_vmemmap_optimize_bootmem_folios(h, folio_list)
        for folio in folio_list:
            k.free_new_hugetlb_folio(h, folio)

    def hugetlb_vmemmap_optimize_bootmem_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Free the vmemmap pages of folios of memblock, where they have them."""
        left = []
        for folio in folio_list:
            if k.folio_test_hugetlb_vmemmap_optimized(folio):
                k.vmemmap_wrprotect_hvo(h, folio)
                k.static_branch_inc(k.hugetlb_optimize_vmemmap_key)
            else:
                left.append(folio)
        k.split_folios(h, left)
        k.remap_folios(h, left)

    def vmemmap_wrprotect_hvo(k, h: Hstate, folio: Folio) -> None:
        """Map the mirrored tail pages of a folio read-only."""
        k.current.work("remap", k.cost.vmemmap_walk.each_ns)
        k.ptep_set_wrprotect(folio.page, h.nr_vmemmap_pages - 1, "remap")
