# SPDX-License-Identifier: MIT
"""
Where the huge pages lie
------------------------

The buddy allocator as far as huge pages go: :class:`HugeMemory` hands out the
page frame numbers of free huge pages, node by node, lowest first, and takes
them back.  How the free ones lie is the *placement*:

``aligned``
    one run per node from a 128 MiB boundary on;
``random``
    of every 128 MiB a keyed random number (1 to 64) of 2 MB pages is free, at
    keyed random places; 1 GB pages as aligned;
``pmds=S``
    N folios spread evenly over S vmemmap PMDs, for N and S given;
``pmds=S,T,...``
    the second fill finds as many folios as it takes in T further PMDs, the others
    where earlier fills lay, and so on; 0 for every fill that is not named;
a list of PFNs
    these, in this order, whatever their node;
``splits=S/P,...``
    see :mod:`simulator.kernel.counted_memory`.

Where a scenario has pages of both sizes, pages of 1 GB are taken from the top of a node
down, and pages of 2 MB of it from the bottom up; what was demoted and given back whole
is a page of 1 GB again.

Modelled: pages that were freed are handed out again before fresh ones.

Not modelled: the zones' free lists and orders, migration types, compaction.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, takewhile

from simulator.geometry import (
    NR_PFNS,
    PFNS_PER_PMD,
    folios_of_pmd,
    pmds_of_placement,
)
from simulator.kernel.structs import PageSource

__all__ = ("HugeMemory", "aligned", "lay_out", "random_runs", "spread")

_FOLIOS_PER_PMD = folios_of_pmd("2M")
_GIGANTIC = NR_PFNS["1G"]
#: ZONE_DMA32 ends at 4 GB.
_DMA32_PFNS = 1 << 20


class HugeMemory:
    """
    Free huge pages by node; ``fresh`` has the ones never used so far.

    ``elsewhere`` has the PFNs, by node, that the second and each later fill finds
    besides those that were freed.  They are pages of ``nr_pfns`` base pages; what is free
    of a node ends before the PFN that ``ends`` has of it.
    """

    def __init__(
        self,
        fresh: Sequence[Iterator[int]],
        elsewhere: Iterable[Sequence[Sequence[int]]] = (),
        nr_pfns: int = NR_PFNS["2M"],
        ends: Iterable[int] = (),
    ) -> None:
        self._nr_pfns = nr_pfns
        self._ends = list(ends)
        self._fresh = list(fresh)
        self._freed: list[list[int]] = [[] for _ in self._fresh]
        self._elsewhere = iter(elsewhere)
        self._filled = False
        self._nr_reused: int | None = None  # freed pages left to this fill; None: all of them

    def of_size(self, page_size: str) -> PageSource:
        """Return where the pages of a size come from."""
        if NR_PFNS[page_size] == self._nr_pfns:
            return self
        return _Gigantic(self) if self._nr_pfns < _GIGANTIC else _Pieces(self)

    def zone_of(self, pfn: int) -> str:
        """Return the name of the zone that a page is of."""
        return "DMA32" if pfn < _DMA32_PFNS else "Normal"

    def begin_phase(self) -> None:
        """Go on to the next phase: nothing here depends on it."""

    def begin_fill(self, nr_folios: int) -> None:
        """Begin a fill that will ask for so many pages."""
        self._nr_reused = None
        found = next(self._elsewhere, ()) if self._filled else ()
        self._filled = True
        if nr_found := sum(map(len, found)):
            # Whatever the turns over the nodes: all of these are taken, and no more than asked.
            self._fresh = [iter(pfns) for pfns in found]
            self._nr_reused = max(0, nr_folios - nr_found)

    def take(self, nid: int) -> int | None:
        """Return the PFN of a free huge page of a node; None when it has none left."""
        if self._nr_reused is None:
            if self._freed[nid]:
                return heapq.heappop(self._freed[nid])
            return next(self._fresh[nid], None)
        pfn = next(self._fresh[nid], None)
        if pfn is None and self._nr_reused and self._freed[nid]:
            self._nr_reused -= 1
            return heapq.heappop(self._freed[nid])
        return pfn

    def give_back(self, nid: int, pfn: int) -> None:
        """Take back a huge page."""
        heapq.heappush(self._freed[nid], pfn)

    def take_from_top(self, nid: int, nr_pfns: int) -> int | None:
        """Return the PFN of a larger page above all that was taken; None if there is none."""
        end = self._ends[nid] // nr_pfns * nr_pfns
        lowest = next(self._fresh[nid], self._ends[nid])
        if lowest > end - nr_pfns:
            self._fresh[nid] = chain([lowest] * (lowest < self._ends[nid]), self._fresh[nid])
            return None
        self._ends[nid] = end - nr_pfns
        self._fresh[nid] = takewhile(
            lambda pfn: pfn < self._ends[nid], chain([lowest], self._fresh[nid])
        )
        return end - nr_pfns


class _Gigantic:
    # Pages of 1 GB where the placement has pages of 2 MB.

    def __init__(self, memory: HugeMemory) -> None:
        self._memory = memory
        self._freed: dict[int, list[int]] = {}

    def take(self, nid: int) -> int | None:
        freed = self._freed.get(nid)
        return heapq.heappop(freed) if freed else self._memory.take_from_top(nid, _GIGANTIC)

    def give_back(self, nid: int, pfn: int) -> None:
        heapq.heappush(self._freed.setdefault(nid, []), pfn)


class _Pieces:
    # Pages of 2 MB where the placement has pages of 1 GB.

    def __init__(self, memory: HugeMemory) -> None:
        self._memory = memory
        self._freed: dict[int, list[int]] = {}
        self._nr_freed: dict[int, int] = {}  # by the page of 1 GB that they are of

    def take(self, nid: int) -> int | None:
        freed = self._freed.setdefault(nid, [])
        if not freed:
            whole = self._memory.take(nid)
            if whole is None:
                return None
            freed.extend(range(whole, whole + _GIGANTIC, NR_PFNS["2M"]))
            self._nr_freed[whole] = len(freed)
        pfn = heapq.heappop(freed)
        self._nr_freed[pfn - pfn % _GIGANTIC] -= 1
        return pfn

    def give_back(self, nid: int, pfn: int) -> None:
        freed = self._freed.setdefault(nid, [])
        heapq.heappush(freed, pfn)
        whole = pfn - pfn % _GIGANTIC
        self._nr_freed[whole] = self._nr_freed.get(whole, 0) + 1
        if self._nr_freed[whole] == _GIGANTIC // NR_PFNS["2M"]:
            freed[:] = [pfn for pfn in freed if pfn - pfn % _GIGANTIC != whole]
            heapq.heapify(freed)
            del self._nr_freed[whole]
            self._memory.give_back(nid, whole)


def aligned(first_pfn: int, end_pfn: int, nr_pfns: int) -> range:
    """Return the PFNs of one run: of all huge pages that lie within, at multiples of their size."""
    return range(-(-first_pfn // nr_pfns) * nr_pfns, end_pfn - nr_pfns + 1, nr_pfns)


def random_runs(first_pfn: int, last_pfn: int, draws: Iterator[int]) -> Iterator[int]:
    """Return free 2 MB pages of fragmented memory; ``draws`` are uniform 32-bit numbers."""
    bases = aligned(first_pfn, last_pfn, PFNS_PER_PMD)
    return chain.from_iterable(_random_run(base, draws) for base in bases)


def _random_run(base: int, draws: Iterator[int]) -> list[int]:
    nr_free = 1 + next(draws) % _FOLIOS_PER_PMD
    ranked = sorted(range(_FOLIOS_PER_PMD), key=lambda _: next(draws))
    return [base + slot * NR_PFNS["2M"] for slot in sorted(ranked[:nr_free])]


def spread(
    nr_folios: int, nr_pmds: int, nr_pfns: int, bases: Sequence[int], first_pmd: int = 0
) -> Iterator[int]:
    """Return N folios over S PMDs, the PMDs in turn over the nodes that begin at ``bases``."""

    def gigantic(i: int) -> int:
        nth, nid = divmod(first_pmd * PFNS_PER_PMD // nr_pfns + i, len(bases))
        return bases[nid] + nth * nr_pfns

    def small(i: int) -> int:
        pmd = i * nr_pmds // nr_folios
        first = -(-pmd * nr_folios // nr_pmds)  # the first folio of this PMD
        nth, nid = divmod(first_pmd + pmd, len(bases))
        return bases[nid] + nth * PFNS_PER_PMD + (i - first) * nr_pfns

    return map(gigantic if nr_pfns > PFNS_PER_PMD else small, range(nr_folios))


def lay_out(
    placement: str | Sequence[int],
    nr_folios: int,
    nr_pfns: int,
    node_pfns: int,
    nr_nodes: int,
    draws: Callable[[int], Iterator[int]],
) -> HugeMemory:
    """
    Return the free huge pages of a machine for a placement.

    ``nr_folios`` of ``nr_pfns`` base pages will be asked for; a node has
    ``node_pfns``; ``draws(nid)`` gives the random numbers of a node.
    """
    bases = range(0, nr_nodes * node_pfns, node_pfns)
    ends = [base + node_pfns for base in bases]
    span = max(nr_pfns, PFNS_PER_PMD)
    spans = [aligned(base, end, span).start for base, end in zip(bases, ends, strict=True)]
    if not isinstance(placement, str):
        lists = _by_node(placement, node_pfns, nr_nodes)
        return HugeMemory([iter(pfns) for pfns in lists], (), nr_pfns, ends)
    if asked := pmds_of_placement(placement):
        first, *later = asked
        fresh = spread(nr_folios, first, nr_pfns, spans)
        elsewhere = [
            spread(_nr_found(nr_pmds, nr_pfns), nr_pmds, nr_pfns, spans, first + sum(later[:nth]))
            for nth, nr_pmds in enumerate(later)
        ]
        return HugeMemory(
            [iter(pfns) for pfns in _by_node(fresh, node_pfns, nr_nodes)],
            [_by_node(pfns, node_pfns, nr_nodes) for pfns in elsewhere],
            nr_pfns,
            ends,
        )
    if placement == "random" and nr_pfns < PFNS_PER_PMD:
        return HugeMemory(
            [random_runs(base, base + node_pfns, draws(nid)) for nid, base in enumerate(bases)],
            (),
            nr_pfns,
            ends,
        )
    runs = [iter(aligned(base, base + node_pfns, nr_pfns)) for base in bases]
    return HugeMemory(runs, (), nr_pfns, ends)


# How many folios of a later fill lie in PMDs that are new: as few as can be.
def _nr_found(nr_pmds: int, nr_pfns: int) -> int:
    return nr_pmds * PFNS_PER_PMD // max(nr_pfns, PFNS_PER_PMD)


def _by_node(pfns: Iterable[int], node_pfns: int, nr_nodes: int) -> list[list[int]]:
    nodes: list[list[int]] = [[] for _ in range(nr_nodes)]
    for pfn in pfns:
        nodes[pfn // node_pfns].append(pfn)
    return nodes
