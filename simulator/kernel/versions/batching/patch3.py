# SPDX-License-Identifier: MIT
"""
v6.6+3: perform vmemmap optimization on a list of pages
-------------------------------------------------------

Source: commit 79359d6d24df ("hugetlb: perform vmemmap optimization on a list of
pages") (in v6.7).
"""

from __future__ import annotations

from simulator.kernel.structs import Folio, Hstate, Nodes
from simulator.kernel.versions.batching.patch2 import V6_6_2

__all__ = ("V6_6_3",)


class V6_6_3(V6_6_2):
    """Optimise the folios of a list, after all of them were allocated."""

    name = "v6.6+3"
    base = "v6.6"
    subject = "hugetlb: perform vmemmap optimization on a list of pages"
    commit = "79359d6d24df"
    summary = "optimise a list of folios, still one by one"

    def only_alloc_fresh_hugetlb_folio(k, h: Hstate, nodes: Nodes) -> Folio | None:
        """Allocate a folio, and leave its vmemmap alone; the folio or None."""
        return k.alloc_huge_folio_of(h, nodes)

    def prep_and_add_allocated_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Optimise folios and add them to the pool."""
        k.hugetlb_vmemmap_optimize_folios(h, folio_list)
        super().prep_and_add_allocated_folios(h, folio_list)

    def hugetlb_vmemmap_optimize_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Free the vmemmap pages of the folios of a list."""
        for folio in folio_list:
            k.hugetlb_vmemmap_optimize(h, folio)
