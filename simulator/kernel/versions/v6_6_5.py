# SPDX-License-Identifier: MIT
"""
v6.6+5: batch freeing of vmemmap pages
--------------------------------------

Source: commit 91f386bf0772 ("hugetlb: batch freeing of vmemmap pages") (in v6.7).
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import ENOMEM, Folio, VmemmapPages
from simulator.kernel.versions.v6_6_4 import V6_6_4

__all__ = ("V6_6_5",)


class V6_6_5(V6_6_4):
    """Vmemmap pages of the whole list are given back at its end."""

    name = "v6.6+5"
    base = "v6.6"
    subject = "hugetlb: batch freeing of vmemmap pages"
    commit = "91f386bf0772"
    summary = "free the vmemmap pages of the whole list at the end"

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Free the vmemmap pages of the folios of a list, all at the end; generator."""
        vmemmap_pages = VmemmapPages()
        for folio in folio_list:
            ret = yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages)
            # Pages to be freed may have been accumulated: free them and try once more.
            if ret == -ENOMEM and vmemmap_pages.nr_pages:
                yield from k.free_vmemmap_page_list(task, vmemmap_pages)
                yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages)
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)
