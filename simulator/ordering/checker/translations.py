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

from simulator.geometry import BASE_PAGE_BYTES, PTRS_PER_PTE

__all__ = ("Splits", "StaleRanges", "masks_of")

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


class StaleRanges(dict[int, dict[int, int]]):
    """PTEs whose former translation a CPU may hold, by PMD: the epoch of a store, and its bits."""

    def add(self, pmd: int, mask: int, epoch: int) -> None:
        """Note that PTEs were changed."""
        of = self.get(pmd)
        if of is None:
            self[pmd] = {epoch: mask}
        else:
            of[epoch] = of.get(epoch, 0) | mask

    def stale(self, pmd: int, mask: int) -> int:
        """Return which of some PTEs are stale."""
        bits = 0
        for some in self.get(pmd, {}).values():
            bits |= some
        return bits & mask

    def forget(self, pmd: int, mask: int, before: int) -> None:
        """Drop PTEs of stores that came before an epoch."""
        of = self.get(pmd)
        if of is None:
            return
        for epoch in [epoch for epoch in of if epoch < before]:
            left = of.pop(epoch) & ~mask
            if left:
                of[epoch] = left
        if not of:
            del self[pmd]

    def forget_all(self, before: int) -> None:
        """Drop all stores that came before an epoch."""
        for pmd in list(self):
            self.forget(pmd, -1, before)


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
