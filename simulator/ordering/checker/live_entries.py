# SPDX-License-Identifier: MIT
"""
Break-before-make
-----------------

On arm64 the output address of a live entry may not simply change: the entry is made invalid,
that is flushed, then comes the new one.  Until then a walk of it faults, which is why HVO is off
there.

Modelled: every run of PTEs that changes what it maps needs it; of the kernels here only those
with the posted pause of all other CPUs do it.  A kernel that assumes FEAT_BBM level 2 to allow
it (``ASSUMES_BBM``) is not held to it.

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
    """
    Entries that a walker may read at any time.

    A kernel that breaks before it makes has ``make_entries()`` after its flush; what it stores
    before only makes the old entries invalid.
    """

    def __init__(self, k: Hugetlb, report: Reporter) -> None:
        self._k = k
        self._report = report
        self._breaks = hasattr(k, "make_entries")
        self._unflushed: dict[int, int] = {}  # by CPU, the first address of what it broke

    def stored(self, function: Function) -> Function:
        """set_ptes()."""
        k, unflushed = self._k, self._unflushed

        def store(addr: int, nr: int, category: str) -> None:
            if not self._breaks:
                self._live(nr)
            function(addr, nr, category)
            unflushed[k.current.cpu.number] = addr

        return store

    def flushed(self, function: Function) -> Function:
        """DSB, after TLBI of what this CPU broke."""

        def synchronize(cpu: int) -> None:
            function(cpu)
            self._unflushed.pop(cpu, None)

        return synchronize

    def made(self, function: Function) -> Function:
        """make_entries(), if there are any."""

        def make(addr: int, nr: int) -> None:
            if self._unflushed.pop(self._k.current.cpu.number, None) == addr:
                self._live(nr)
            function(addr, nr)

        return make

    def _live(self, nr: int) -> None:
        self._report(
            "needs-bbm", f"folio of pfn {self._k.cache.folio.pfn}",
            f"{nr} live PTEs map other pages", "their entries made invalid and flushed",
        )  # fmt: skip
