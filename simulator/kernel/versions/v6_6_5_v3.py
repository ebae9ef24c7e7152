# SPDX-License-Identifier: MIT
"""
v6.6+5@v3: what the third posting of the PMD split was posted against
----------------------------------------------------------------------

[PATCH v3 09/12] hugetlb: batch freeing of vmemmap pages.  Against ``v6.6+5``: a
folio that ran out of memory is tried once more even if there was nothing to free
in between.

Not modelled: what v3 did otherwise after a failed restore; here it is as merged.

Source: 20230915221548.552084-10-mike.kravetz@oracle.com.
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.structs import ENOMEM, Folio, VmemmapPages
from simulator.kernel.versions.v6_6_5 import V6_6_5

__all__ = ("V6_6_5_V3",)


class V6_6_5_V3(V6_6_5):
    """As v6.6+5, but a folio is tried again whatever the list holds."""

    name = "v6.6+5@v3"
    base = "v6.6"
    subject = "[PATCH v3 09/12] hugetlb: batch freeing of vmemmap pages"
    commit = ""
    summary = "as v6.6+5, but tried again on ENOMEM even if nothing was freed"
    proposed_in = "20230915221548.552084-10-mike.kravetz@oracle.com"

    def hugetlb_vmemmap_optimize_folios(k, task: Task, folio_list: list[Folio]) -> Steps:
        """Free the vmemmap pages of the folios of a list, all at the end; generator."""
        vmemmap_pages = VmemmapPages()
        for folio in folio_list:
            ret = yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages)
            if ret == -ENOMEM:
                yield from k.free_vmemmap_page_list(task, vmemmap_pages)
                yield from k._hugetlb_vmemmap_optimize_folio(task, folio, vmemmap_pages)
        yield from k.free_vmemmap_page_list(task, vmemmap_pages)
