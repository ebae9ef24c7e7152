# SPDX-License-Identifier: MIT
"""
What TLBs may still hold
------------------------

A store to a page table is forgotten once a flush of its addresses ended that began after it.
Flushes are numbered as they begin; a store belongs to the last one that had begun before it.

A range flush drops the translation of 2 MB too, if any address of it is in the range: INVLPG
(Intel SDM vol. 3A, Operations that Invalidate TLBs) and TLBI by address do so.
"""

from __future__ import annotations

from collections.abc import Iterable

from simulator.geometry import BASE_PAGE_BYTES, PTRS_PER_PTE

__all__ = ("NR_BITS", "Splits", "StaleRanges", "masks_of", "masks_of_runs", "run_of", "without")

#: A run of PTEs is one number: its first page, then how many.
NR_BITS = 32
_NR_MASK = (1 << NR_BITS) - 1
#: So many runs are gone through one by one.
_FEW = 16
_PMD_BYTES = PTRS_PER_PTE * BASE_PAGE_BYTES


def masks_of(start: int, end: int) -> list[tuple[int, int]]:
    """
    Return the PTEs of a range of addresses: a PMD and the bits of its PTEs, for each PMD.

    >>> masks_of(0x3000, 0x5000)
    [(0, 24)]
    """
    first, last = start // BASE_PAGE_BYTES, -(-end // BASE_PAGE_BYTES)
    pmd, at = divmod(first, PTRS_PER_PTE)
    if at + last - first <= PTRS_PER_PTE and last > first:
        return [(pmd, ((1 << last - first) - 1) << at)]
    found = []
    while first < last:
        pmd, at = divmod(first, PTRS_PER_PTE)
        nr = min(last - first, PTRS_PER_PTE - at)
        found.append((pmd, ((1 << nr) - 1) << at))
        first += nr
    return found


def masks_of_runs(runs: Iterable[int]) -> dict[int, int]:
    """Return the PTEs of runs (see :func:`run_of`): by PMD, the bits of its PTEs."""
    found: dict[int, int] = {}
    for run in runs:
        first, nr = run >> NR_BITS, run & _NR_MASK
        for pmd, mask in masks_of(first * BASE_PAGE_BYTES, (first + nr) * BASE_PAGE_BYTES):
            found[pmd] = found.get(pmd, 0) | mask
    return found


def run_of(page: int, nr: int) -> int:
    """Return ``nr`` PTEs from that of a page on as one number, which is all that a store keeps."""
    return page << NR_BITS | nr


def without(runs: Iterable[int], first: int, last: int) -> list[int]:
    """Return runs without the PTEs of some pages, from the first to before the last."""
    left = []
    for run in runs:
        page, nr = run >> NR_BITS, run & _NR_MASK
        if page < first:
            left.append(run_of(page, min(nr, first - page)))
        if page + nr > last:
            begin = max(page, last)
            left.append(run_of(begin, page + nr - begin))
    return left


class StaleRanges:
    """
    PTEs whose former translation a CPU may hold.

    Those of the last epoch are ``fresh``: runs in their order.  Older ones, and many that
    are asked for by address, are ``sorted``: by PMD, the epoch of a store, and its bits.
    ``start`` and ``end`` are the addresses of the run that was stored last.
    """

    __slots__ = ("end", "epoch", "fresh", "sorted", "start")

    def __init__(self) -> None:
        self.fresh: list[int] = []
        self.epoch = 0
        self.sorted: dict[int, dict[int, int]] = {}
        self.start = self.end = 0

    def add(self, pmd: int, mask: int, epoch: int) -> None:
        """Note that PTEs were changed."""
        of = self.sorted.setdefault(pmd, {})
        of[epoch] = of.get(epoch, 0) | mask

    def stale(self, pmd: int, mask: int) -> int:
        """Return which of some PTEs are stale."""
        self.sort()
        bits = 0
        for some in self.sorted.get(pmd, {}).values():
            bits |= some
        return bits & mask

    def forget(self, pmd: int, mask: int, before: int) -> None:
        """Drop PTEs of stores that came before an epoch."""
        self.sort()
        of = self.sorted.get(pmd)
        if of is None:
            return
        for epoch in [epoch for epoch in of if epoch < before]:
            left = of.pop(epoch) & ~mask
            if left:
                of[epoch] = left
        if not of:
            del self.sorted[pmd]

    def forget_range(self, start: int, end: int, before: int) -> None:
        """Drop those of a range of addresses."""
        fresh = self.fresh
        if self.sorted or self.epoch >= before or len(fresh) > _FEW:
            for pmd, mask in masks_of(start, end):
                self.forget(pmd, mask, before)
        elif start <= self.start and self.end <= end and len(fresh) == 1:
            fresh.clear()  # mostly it is the one run that the flush is for
        else:
            self.fresh = without(fresh, start // BASE_PAGE_BYTES, -(-end // BASE_PAGE_BYTES))
            self.start = -1  # what is left is not that run

    def forget_all(self, before: int) -> None:
        """Drop all stores that came before an epoch."""
        if self.epoch < before:
            self.fresh = []
        if self.sorted:
            for pmd in list(self.sorted):
                self.forget(pmd, -1, before)

    def sort(self) -> None:
        """Have nothing fresh: what comes next is of another epoch."""
        if self.fresh:
            fresh, self.fresh = self.fresh, []
            for pmd, mask in masks_of_runs(fresh).items():
                self.add(pmd, mask, self.epoch)


class Splits(dict[int, int]):
    """PMDs that were split and not flushed since, with the epoch of the split."""

    def forget(self, first: int, last: int, before: int) -> None:
        """Drop the splits of PMDs, both included, that came before an epoch."""
        few = last - first < len(self)
        for pmd in range(first, last + 1) if few else list(self):
            if first <= pmd <= last and self.get(pmd, before) < before:
                del self[pmd]

    def forget_all(self, before: int) -> None:
        """Drop all that came before an epoch."""
        for pmd in [pmd for pmd, epoch in self.items() if epoch < before]:
            del self[pmd]
