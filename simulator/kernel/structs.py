# SPDX-License-Identifier: MIT
"""
Data structures of the kernel code
----------------------------------

struct folio, struct hstate and struct vmemmap_remap_walk, as far as the
simulated paths use them, and the geometry of the vmemmap on x86-64.

Modelled: 4 KB base pages and a 64-byte struct page, so 32768 struct pages
(128 MiB of memory, 64 folios of 2 MB) to a vmemmap PMD and 8 PMDs to a 1 GB folio.

Sources: Documentation/admin-guide/sysctl/vm.rst (hugetlb_optimize_vmemmap);
include/linux/hugetlb.h; mm/hugetlb_vmemmap.c at commit f4b7e3efaddb ("hugetlb:
batch PMD split for bulk vmemmap dedup") (in v6.7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final, Protocol

from simulator.geometry import (
    BASE_PAGE_BYTES,
    NR_PFNS,
    PFNS_PER_PMD,
    PTRS_PER_PTE,
    struct_page_bytes,
)

__all__ = (
    "ENOMEM",
    "NEVER",
    "PFNS_PER_PMD",
    "PTRS_PER_PTE",
    "Folio",
    "Hstate",
    "KernelConfig",
    "LocalFirst",
    "NodeRound",
    "Nodes",
    "StaticKey",
    "VmemmapPages",
    "VmemmapRemapWalk",
    "WorkStruct",
)

ENOMEM: Final = 12
#: When something was touched that nobody touched so far.
NEVER: Final = -(1 << 62)


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """
    What a kernel is booted with, and the memory that it finds.

    ``free_pages`` are base pages apart from the memory for huge pages;
    ``faults`` the 1-based ordinals of allocations that fail, by kind
    (``pte_page``, ``head_page``, ``restore_page``).
    """

    page_size: str
    hvo: bool
    free_pages: int
    faults: Mapping[str, frozenset[int]]
    tunables: Mapping[str, int]
    node_of: tuple[int, ...]


class Folio:
    """
    A huge page; ``number`` counts the folios of a fill.

    The rest is what its record of the present phase will hold; times in
    nanoseconds.
    """

    __slots__ = (
        "cache", "end_ns", "flush_ns", "head_at", "hugetlb_vmemmap_optimized", "nid", "number",
        "pages_at", "pfn", "phase", "pte_mapped", "remap_ns", "restore_ns", "split_ns",
        "start_ns", "task",
    )  # fmt: skip

    def __init__(self, number: int, pfn: int, nid: int) -> None:
        self.number = number
        self.pfn = pfn
        self.nid = nid
        self.hugetlb_vmemmap_optimized = False
        self.phase = -1
        #: The cache that its struct pages are in, if any; whether PTEs map them.
        self.cache: object = None
        self.pte_mapped = False
        # What that CPU had touched when it touched the head and all of the pages last.
        self.head_at = self.pages_at = NEVER

    def begin(self, phase: int, task: int, start_ns: int) -> None:
        """Start the record of a phase."""
        self.phase = phase
        self.task = task
        self.start_ns = start_ns
        self.end_ns = start_ns
        self.split_ns = self.remap_ns = self.restore_ns = self.flush_ns = 0

    def forget(self) -> None:
        """Let go of what is recorded: a pool holds many folios, and another task may take this."""
        self.phase = -1
        self.start_ns = self.end_ns = 0
        self.split_ns = self.remap_ns = self.restore_ns = self.flush_ns = 0


class NodeRound:
    """for_each_node_mask_to_alloc() and _to_free(): nodes in turn."""

    __slots__ = ("_next_nids", "_nr_nodes")

    def __init__(self, nr_nodes: int) -> None:
        self._nr_nodes = nr_nodes
        self._next_nids = cycle(range(nr_nodes))

    def nodes(self) -> Iterator[int]:
        """Yield every node once; the next round starts after the last one taken."""
        return islice(self._next_nids, self._nr_nodes)


class LocalFirst:
    """The nodes for a page fault under the default policy: its own, then the others."""

    __slots__ = ("_nid", "_nr_nodes")

    def __init__(self, nid: int, nr_nodes: int) -> None:
        self._nid = nid
        self._nr_nodes = nr_nodes

    def nodes(self) -> Iterator[int]:
        """Yield every node once."""
        yield self._nid
        yield from (nid for nid in range(self._nr_nodes) if nid != self._nid)


class Nodes(Protocol):
    """An order in which nodes are tried."""

    def nodes(self) -> Iterator[int]:
        """Yield every node once."""
        ...


class Hstate:
    """The pool of huge pages of one size; ``page_size`` is ``2M`` or ``1G``."""

    def __init__(self, page_size: str, nr_nodes: int) -> None:
        self.page_size = page_size
        self.nr_pfns = NR_PFNS[page_size]
        self.nr_vmemmap_pages = struct_page_bytes(page_size) // BASE_PAGE_BYTES
        self.nr_huge_pages = 0
        self.surplus_huge_pages = 0
        self.round_to_alloc = NodeRound(nr_nodes)
        self.round_to_free = NodeRound(nr_nodes)
        # By node; the head of the kernel's list is the end of ours.
        self.hugepage_freelists: list[list[Folio]] = [[] for _ in range(nr_nodes)]

    @property
    def persistent_huge_pages(self) -> int:
        """Huge pages of the pool that are not surplus."""
        return self.nr_huge_pages - self.surplus_huge_pages


@dataclass(slots=True)
class VmemmapPages:
    """
    A list of vmemmap pages to be freed, as a count of pages.

    ``nr_old`` of them were mapped until a PTE was rewritten; the rest are new
    head pages that did not get there.  The list began when its CPU had touched
    ``listed_at`` bytes; ``nr_far`` of its pages are of other nodes; ``nid`` is the
    node of the folio last put on it.
    """

    nr_pages: int = 0
    nr_old: int = 0
    nr_far: int = 0
    nid: int = 0
    listed_at: int = 0


@dataclass(slots=True)
class VmemmapRemapWalk:
    """struct vmemmap_remap_walk; ``remap_pte`` is called once for a run of PTEs."""

    folio: Folio
    remap_pte: Callable[..., None] | None
    vmemmap_pages: VmemmapPages
    flags: int = 0
    reason: str = "remap"
    reuse_page: bool = False
    nr_walked: int = 0


@dataclass(slots=True)
class WorkStruct:
    """
    struct work_struct; ``runs_on`` is the CPU whose kworker is at it.

    ``func`` is called with the kernel, which it does not hold: a run would outlive its use.
    """

    func: Callable[..., Any]
    pending: bool = False
    runs_on: int | None = None


@dataclass(slots=True)
class StaticKey:
    """struct static_key."""

    enabled: int = 0
