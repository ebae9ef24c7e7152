# SPDX-License-Identifier: MIT
"""
v6.6+5: batch freeing of vmemmap pages
--------------------------------------

Source: commit 91f386bf0772 ("hugetlb: batch freeing of vmemmap pages") (in v6.7).
"""

from __future__ import annotations

from simulator.kernel.structs import ENOMEM, Folio, Hstate, VmemmapPages
from simulator.kernel.versions.batching.patch4 import V6_6_4

__all__ = ("V6_6_5",)


class V6_6_5(V6_6_4):
    """Vmemmap pages of the whole list are given back at its end."""

    name = "v6.6+5"
    base = "v6.6"
    subject = "hugetlb: batch freeing of vmemmap pages"
    commit = "91f386bf0772"
    summary = "free the vmemmap pages of the whole list at the end"

    def hugetlb_vmemmap_optimize_folios(k, h: Hstate, folio_list: list[Folio]) -> None:
        """Free the vmemmap pages of the folios of a list, all at the end."""
        k.remap_folios(h, folio_list)

    def remap_folios(k, h: Hstate, folio_list: list[Folio], reason: str = "batch_remap") -> None:
        """The loop of hugetlb_vmemmap_optimize_folios() that remaps."""
        vmemmap_pages = VmemmapPages()
        first = True
        for folio in folio_list:
            ret = k._hugetlb_vmemmap_optimize(h, folio, vmemmap_pages, k.remap_flags(first))
            first = False
            # Pages to be freed may have been accumulated: free them and try once more.
            if ret == -ENOMEM and k.enomem_retries(vmemmap_pages):
                k.free_batch(vmemmap_pages, "enomem")
                k._hugetlb_vmemmap_optimize(h, folio, vmemmap_pages, k.remap_flags(first))
        k.free_batch(vmemmap_pages, reason)

    def remap_flags(k, first: bool) -> int:
        """The flags of the walks of a list that is optimised."""
        return 0

    def enomem_retries(k, vmemmap_pages: VmemmapPages) -> bool:
        """Whether a folio that ran out of memory is tried once more."""
        return vmemmap_pages.nr_pages > 0

    def free_batch(k, vmemmap_pages: VmemmapPages, reason: str) -> None:
        """Give back the vmemmap pages of a list of folios."""
        k.free_vmemmap_page_list(vmemmap_pages)
