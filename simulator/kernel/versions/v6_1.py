# SPDX-License-Identifier: MIT
"""
Linux v6.1
----------

The code of :mod:`simulator.kernel.hugetlb` and
:mod:`simulator.kernel.hugetlb_vmemmap` as it stands there.
"""

from __future__ import annotations

from simulator.kernel.hugetlb import Hugetlb

__all__ = ("V6_1",)


class V6_1(Hugetlb):
    """HVO without batching; the head vmemmap page stays where it is."""

    name = "v6.1"
    base = "v6.1"
    subject = "Linux 6.1"
    commit = "830b3c68c1fb"
    summary = "per folio: split, flush 512, remap 7 PTEs, flush 7, free 7 pages"
