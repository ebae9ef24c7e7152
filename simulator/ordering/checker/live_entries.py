# SPDX-License-Identifier: MIT
"""
Break-before-make
-----------------

On arm64 the output address of a live entry may not simply change: the entry is made invalid,
that is flushed, then comes the new one.  Until then a walk of it faults, which is why HVO is off
there.

Modelled: every run of PTEs that changes what it maps needs it; no kernel here does it.

Not modelled: FEAT_BBM level 2, which allows a change of size, and of nothing else.

Sources: Arm ARM DDI 0487, D8.16; 060a2c92d1b6 ("arm64: mm: hugetlb: Disable
HUGETLB_PAGE_OPTIMIZE_VMEMMAP") (in v6.6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb
    from simulator.ordering.checker.report import Reporter

__all__ = ("LiveEntries",)

Function = Callable[..., Any]


class LiveEntries:
    """Entries that a walker may read at any time."""

    def __init__(self, k: Hugetlb, report: Reporter) -> None:
        self._k = k
        self._report = report

    def stored(self, function: Function) -> Function:
        """set_ptes()."""
        k = self._k

        def store(addr: int, nr: int, category: str) -> None:
            self._report(
                "needs-bbm", f"folio of pfn {k.cache.folio.pfn}",
                f"{nr} live PTEs map other pages", "their entries made invalid and flushed",
            )  # fmt: skip
            function(addr, nr, category)

        return store
