# SPDX-License-Identifier: MIT
"""
v6.6+3: perform vmemmap optimization on a list of pages
-------------------------------------------------------

Source: commit 79359d6d24df ("hugetlb: perform vmemmap optimization on a list of
pages") (in v6.7).
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import Folio, Nodes
from simulator.kernel.versions.v6_6_2 import V6_6_2

__all__ = ("V6_6_3",)


class V6_6_3(V6_6_2):
    """Optimise the folios of a list, after all of them were allocated."""

    name = "v6.6+3"
    base = "v6.6"
    subject = "hugetlb: perform vmemmap optimization on a list of pages"
    commit = "79359d6d24df"
    summary = "optimise a list of folios, still one by one"

    def only_alloc_fresh_hugetlb_folio(k, task: Task, nodes: Nodes) -> Steps:
        """Allocate a folio, and leave its vmemmap alone; returns it or None; generator."""
        return k.alloc_huge_page(task, nodes)

    def prep_and_add_allocated_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Optimise folios and add them to the pool; generator."""
        yield from k.hugetlb_vmemmap_optimize_folios(task, folio_list)
        yield from super().prep_and_add_allocated_folios(task, folio_list)

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Free the vmemmap pages of the folios of a list; generator."""
        for folio in folio_list:
            yield from k.hugetlb_vmemmap_optimize(task, folio)
