# SPDX-License-Identifier: MIT
"""
Memory of which only counts are known
-------------------------------------

With the placement ``splits=S/P,...`` the folios of each phase lie so that S vmemmap PMDs
are split, and after P pages there are no more (without ``/P`` there are as many as asked
for).  It is what is known of a boot whose calls were counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from simulator.geometry import NR_PFNS, PFNS_PER_PMD
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import PageSource

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("CountedMemory", "attach_counted_splits")

_GIGANTIC = NR_PFNS["1G"]


class CountedMemory(HugeMemory):
    """
    Memory of which only the splits of each phase are known, and where there was too little.

    Every page is one that was never taken before, and shares no PMD of vmemmap with
    another: which of them is a leaf is for who asks (:meth:`splits`).  Of pages of 1 GB
    in use at a time the first is of ZONE_NORMAL, the others of ZONE_DMA32, as counted in
    guests of 4 GB.
    """

    def __init__(self, nr_nodes: int, phases: Iterable[tuple[int, int | None]]) -> None:
        super().__init__([iter(()) for _ in range(nr_nodes)])
        self._phases = iter(phases)
        self._nr_splits = 0
        self._seen: set[int] = set()
        self._gigantic_zones: dict[int, str] = {}
        self._nr_gigantic = 0
        self.left: int | None = None  # pages that this phase finds; None: any number
        self._sources: dict[str, PageSource] = {}

    def begin_phase(self) -> None:
        """Go on to the next phase."""
        self._nr_splits, self.left = next(self._phases)

    def splits(self, pmd: int, split_pmds: set[int]) -> None:
        """Put a PMD among those that are split, unless this phase splits it."""
        if pmd in self._seen or pmd in split_pmds:
            return
        self._seen.add(pmd)
        if self._nr_splits:
            self._nr_splits -= 1
        else:
            split_pmds.add(pmd)

    def of_size(self, page_size: str) -> PageSource:
        """Return where the pages of a size come from."""
        return self._sources.setdefault(page_size, _Counted(self, page_size))

    def zone_of(self, pfn: int) -> str:
        """Return the name of the zone that a page is of."""
        return self._gigantic_zones.get(pfn - pfn % _GIGANTIC, "Normal")

    def take_gigantic(self, pfn: int) -> None:
        """Choose the zone of a page of 1 GB."""
        self._gigantic_zones[pfn] = "DMA32" if self._nr_gigantic else "Normal"
        self._nr_gigantic += 1

    def gigantic_freed(self) -> None:
        """Count one page of 1 GB less."""
        self._nr_gigantic -= 1


class _Counted:
    # Pages of one size of a CountedMemory.

    def __init__(self, memory: CountedMemory, page_size: str) -> None:
        self._memory = memory
        self._gigantic = page_size == "1G"
        self._step = max(PFNS_PER_PMD, NR_PFNS[page_size])
        self._nr_taken = 0

    def take(self, nid: int) -> int | None:
        memory = self._memory
        if memory.left is not None:
            if not memory.left:
                return None
            memory.left -= 1
        self._nr_taken += 1
        # Pages of both sizes and of all nodes lie far apart.
        pfn = ((2 * nid + self._gigantic + 1) << 36) + self._nr_taken * self._step
        if self._gigantic:
            memory.take_gigantic(pfn)
        return pfn

    def give_back(self, nid: int, pfn: int) -> None:
        if self._gigantic:
            self._memory.gigantic_freed()


def attach_counted_splits(k: Hugetlb, memory: CountedMemory) -> None:
    """Let a kernel find as many leaves in each phase as were counted."""

    def around(function: Callable[[int], bool]) -> Callable[[int], bool]:
        def pmd_leaf(pmd: int) -> bool:
            memory.splits(pmd, k.split_pmds)
            return function(pmd)

        return pmd_leaf

    k.attach("pmd_leaf", around)
