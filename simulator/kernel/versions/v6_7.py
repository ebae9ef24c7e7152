# SPDX-License-Identifier: MIT
"""
Linux v6.7
----------

v6.6 with the whole series, and the functions under the names that they got with it.  New
heads and pages to restore are taken of any node (6a898c2757af); of the patches before, that
of their own tree is not known.

Source: c5ad3233ead5 ("hugetlb_vmemmap: use folio argument for hugetlb_vmemmap_*
functions") (in v6.7).
"""

from __future__ import annotations

from typing import ClassVar

from simulator.kernel.versions.batching.patch8 import V6_6_8
from simulator.kernel.versions.renamed import calls

__all__ = ("V6_7",)


class V6_7(V6_6_8):
    """The whole series: two flushes to a fill, one to a free."""

    name = "v6.7"
    base = "v6.7"
    subject = "Linux 6.7"
    commit = "0dd3ee311255"
    summary = "the batching series as released: 2 flushes to a fill, 1 to a free"
    VMEMMAP_THISNODE = False
    RENAMED: ClassVar[dict[str, str]] = {
        "hugetlb_vmemmap_optimize": "hugetlb_vmemmap_optimize_folio",
        "_hugetlb_vmemmap_optimize": "_hugetlb_vmemmap_optimize_folio",
        "hugetlb_vmemmap_restore": "hugetlb_vmemmap_restore_folio",
        "_hugetlb_vmemmap_restore": "_hugetlb_vmemmap_restore_folio",
        "hugetlb_vmemmap_split": "hugetlb_vmemmap_split_folio",
        "vmemmap_should_optimize": "vmemmap_should_optimize_folio",
    }

    hugetlb_vmemmap_optimize_folio = V6_6_8.hugetlb_vmemmap_optimize
    _hugetlb_vmemmap_optimize_folio = V6_6_8._hugetlb_vmemmap_optimize
    hugetlb_vmemmap_restore_folio = V6_6_8.hugetlb_vmemmap_restore
    _hugetlb_vmemmap_restore_folio = V6_6_8._hugetlb_vmemmap_restore
    hugetlb_vmemmap_split_folio = V6_6_8.hugetlb_vmemmap_split
    vmemmap_should_optimize_folio = V6_6_8.vmemmap_should_optimize

    hugetlb_vmemmap_optimize = calls("hugetlb_vmemmap_optimize_folio")
    _hugetlb_vmemmap_optimize = calls("_hugetlb_vmemmap_optimize_folio")
    hugetlb_vmemmap_restore = calls("hugetlb_vmemmap_restore_folio")
    _hugetlb_vmemmap_restore = calls("_hugetlb_vmemmap_restore_folio")
    hugetlb_vmemmap_split = calls("hugetlb_vmemmap_split_folio")
    vmemmap_should_optimize = calls("vmemmap_should_optimize_folio")
