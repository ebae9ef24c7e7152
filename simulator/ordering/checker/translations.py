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
    found = []
    while first < last:
        pmd, at = divmod(first, PTRS_PER_PTE)
        nr = min(last - first, PTRS_PER_PTE - at)
        found.append((pmd, ((1 << nr) - 1) << at))
        first += nr
    return found


class StaleRanges:
    """PTEs whose former translation a CPU may hold, by PMD: the epoch of a store, and its bits."""

    def __init__(self) -> None:
        self._of: dict[int, dict[int, int]] = {}

    def add(self, pmd: int, mask: int, epoch: int) -> None:
        """Note that PTEs were changed."""
        of = self._of.get(pmd)
        if of is None:
            self._of[pmd] = {epoch: mask}
        else:
            of[epoch] = of.get(epoch, 0) | mask

    def stale(self, pmd: int, mask: int) -> int:
        """Return which of some PTEs are stale."""
        of = self._of.get(pmd)
        if of is None:
            return 0
        bits = 0
        for some in of.values():
            bits |= some
        return bits & mask

    def forget(self, pmd: int, mask: int, before: int) -> None:
        """Drop PTEs of stores that came before an epoch."""
        of = self._of.get(pmd)
        if of is None:
            return
        for epoch in [epoch for epoch in of if epoch < before]:
            left = of.pop(epoch) & ~mask
            if left:
                of[epoch] = left
        if not of:
            del self._of[pmd]

    def forget_all(self, before: int) -> None:
        """Drop all stores that came before an epoch."""
        if self._of:
            kept = (
                (pmd, {e: m for e, m in of.items() if e >= before}) for pmd, of in self._of.items()
            )
            self._of = {pmd: of for pmd, of in kept if of}


class Splits:
    """PMDs that were split and not flushed since, with the epoch of the split."""

    def __init__(self) -> None:
        self._epoch_of: dict[int, int] = {}

    def add(self, pmd: int, epoch: int) -> None:
        """Note a split."""
        self._epoch_of[pmd] = epoch

    def take(self, pmd: int) -> bool:
        """Return whether a PMD's split was not flushed; it counts once."""
        return self._epoch_of.pop(pmd, None) is not None

    def forget(self, first: int, last: int, before: int) -> None:
        """Drop the splits of PMDs, both included, that came before an epoch."""
        epoch_of = self._epoch_of
        if not epoch_of:
            return
        for pmd in range(first, last + 1) if last - first < len(epoch_of) else list(epoch_of):
            if first <= pmd <= last and epoch_of.get(pmd, before) < before:
                del epoch_of[pmd]

    def forget_all(self, before: int) -> None:
        """Drop all that came before an epoch."""
        if self._epoch_of:
            self._epoch_of = {pmd: e for pmd, e in self._epoch_of.items() if e >= before}
