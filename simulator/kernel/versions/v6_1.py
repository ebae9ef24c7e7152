# SPDX-License-Identifier: MIT
"""
Linux v6.1
----------

The code of :mod:`simulator.kernel.hugetlb` and
:mod:`simulator.kernel.hugetlb_vmemmap` as it stands there.
"""

from __future__ import annotations

from typing import ClassVar

from simulator.kernel.hugetlb import Hugetlb

__all__ = ("V6_1",)


class V6_1(Hugetlb):
    """HVO without batching; the head vmemmap page stays where it is."""

    name = "v6.1"
    base = "v6.1"
    #: With arm64 from v5.19 until v6.6, where it is wrong (060a2c92d1b6).
    HVO_ON: ClassVar[tuple[str, ...]] = ("x86-64", "arm64")
    subject = "Linux 6.1"
    commit = "830b3c68c1fb"
    summary = "per folio: split, flush 512, remap 7 PTEs, flush 7, free 7 pages"
