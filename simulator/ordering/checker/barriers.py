# SPDX-License-Identifier: MIT
"""
Write barriers
--------------

The two places of smp_wmb(): what a new page table holds becomes visible before the PMD that
points to it, and what a new page holds before the PTE that maps it.  Stores of one CPU are
visible in their order on x86 (TSO), so that only weakly ordered machines can tell.

Modelled: smp_wmb() orders all stores of its CPU.

Not modelled: what else orders stores, such as a release of a lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.ordering.checker.report import Reporter

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("Barriers",)

Function = Callable[..., Any]


class Barriers:
    """
    Stores of each CPU that no barrier came after so far.

    Each method takes a function of the kernel and returns one that also checks.
    """

    def __init__(self, k: Hugetlb, report: Reporter) -> None:
        self._timeline = k.engine.timeline
        self._report = report
        self._tables: dict[int, int] = {}  # by CPU, the page table that was filled last
        self._copies: dict[int, int] = {}  # by CPU, what was copied last

    def filled(self, function: Function) -> Function:
        """set_ptes_of_leaf()."""
        timeline, tables = self._timeline, self._tables

        def fill(pgtable: int, pmd: int) -> None:
            function(pgtable, pmd)
            tables[timeline.current.cpu.number] = pmd

        return fill

    def copied(self, function: Function) -> Function:
        """copy_page()."""
        timeline, copies = self._timeline, self._copies

        def copy(to: int, _from: int) -> None:
            function(to, _from)
            copies[timeline.current.cpu.number] = _from

        return copy

    def ordered(self, function: Function) -> Function:
        """smp_wmb(), and whatever else is a barrier."""
        timeline, tables, copies = self._timeline, self._tables, self._copies

        def order() -> None:
            function()
            cpu = timeline.current.cpu.number
            tables.pop(cpu, None)
            copies.pop(cpu, None)

        return order

    def populated(self, function: Function) -> Function:
        """pmd_populate_kernel()."""
        timeline, tables = self._timeline, self._tables

        def populate(pmd: int, pgtable: int) -> None:
            if tables.pop(timeline.current.cpu.number, None) == pmd:
                self._report(
                    "pte-before-pmd", f"PMD {pmd}", "a page table was filled, then stored into it",
                    "smp_wmb() between",
                )  # fmt: skip
            function(pmd, pgtable)

        return populate

    def stored(self, function: Function) -> Function:
        """set_ptes()."""
        timeline, copies = self._timeline, self._copies

        def store(addr: int, nr: int, category: str) -> None:
            cpu = timeline.current.cpu.number
            # A remap stores the first PTE only if it maps the copy; a restore only copies.
            if cpu in copies and (copies[cpu] == addr or category == "restore"):
                del copies[cpu]
                self._report(
                    "contents-before-pte", f"vmemmap at {addr:#x}",
                    "a page was copied, then the PTE stored that maps it", "smp_wmb() between",
                )  # fmt: skip
            function(addr, nr, category)

        return store
