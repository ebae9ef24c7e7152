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
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING, Final, Protocol

from simulator.geometry import (
    BASE_PAGE_BYTES,
    NR_PFNS,
    PAGE_SHIFT,
    PTRS_PER_PTE,
    STRUCT_PAGE_BYTES,
    struct_page_bytes,
)

if TYPE_CHECKING:
    from simulator.engine.locks import Mutex

__all__ = (
    "ENOMEM",
    "NEVER",
    "NO_PAGES",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "PMD_MASK",
    "PMD_SHIFT",
    "PMD_SIZE",
    "Folio",
    "Hstate",
    "KernelConfig",
    "LocalFirst",
    "NodeRound",
    "Nodes",
    "OneNode",
    "PageSource",
    "StaticKey",
    "VmemmapPages",
    "VmemmapRemapWalk",
    "WorkStruct",
    "list_add",
    "list_del",
    "pmd_addr_end",
)

ENOMEM: Final = 12
#: When something was touched that nobody touched so far.
NEVER: Final = -(1 << 62)
PAGE_SIZE: Final = BASE_PAGE_BYTES
PMD_SIZE: Final = PTRS_PER_PTE * PAGE_SIZE
PMD_SHIFT: Final = PMD_SIZE.bit_length() - 1
PMD_MASK: Final = ~(PMD_SIZE - 1)


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

    ``phase`` and the times (nanoseconds) are those of its record, see
    :mod:`simulator.kernel.records`.
    """

    __slots__ = (
        "cache", "end_ns", "flush_ns", "head_at", "hugetlb_temporary",
        "hugetlb_vmemmap_optimized", "nid", "number", "pages_at", "pfn", "phase",
        "pte_mapped", "remap_ns", "restore_ns", "split_ns", "start_ns",
    )  # fmt: skip

    def __init__(self, number: int, pfn: int, nid: int) -> None:
        self.number = number
        self.pfn = pfn
        self.nid = nid
        self.hugetlb_vmemmap_optimized = False
        self.hugetlb_temporary = False
        self.phase = -1
        self.start_ns = self.end_ns = 0
        self.split_ns = self.remap_ns = self.restore_ns = self.flush_ns = 0
        #: The cache that its struct pages are in, if any; whether PTEs map them.
        self.cache: object = None
        self.pte_mapped = False
        # What that CPU had touched when it touched the head and all of the pages last.
        self.head_at = self.pages_at = NEVER

    @property
    def page(self) -> int:
        """``&folio->page``: the vmemmap address of its first struct page."""
        return self.pfn * STRUCT_PAGE_BYTES


class NodeRound:
    """for_each_node_mask_to_alloc() and _to_free(): nodes in turn."""

    __slots__ = ("_next_nids", "_nr_nodes")

    def __init__(self, nr_nodes: int) -> None:
        self._nr_nodes = nr_nodes
        self._next_nids: Iterator[int] = cycle(range(nr_nodes))

    def nodes(self) -> Iterator[int]:
        """Return every node once; the next round starts after the last one taken."""
        return islice(self._next_nids, self._nr_nodes)

    def only(self, nid: int) -> OneNode:
        """A mask of one node: the next round starts there."""
        self._next_nids = chain(range(nid, self._nr_nodes), cycle(range(self._nr_nodes)))
        return OneNode(nid)


class OneNode:
    """A node mask with one node in it: a file of that node was written to."""

    __slots__ = ("nid",)

    def __init__(self, nid: int) -> None:
        self.nid = nid

    def nodes(self) -> Iterator[int]:
        """Return the node."""
        return iter((self.nid,))


class LocalFirst:
    """The nodes for a page fault under the default policy: its own, then the others."""

    __slots__ = ("_nid", "_nr_nodes")

    def __init__(self, nid: int, nr_nodes: int) -> None:
        self._nid = nid
        self._nr_nodes = nr_nodes

    def nodes(self) -> Iterator[int]:
        """Return every node once."""
        return iter((self._nid, *(nid for nid in range(self._nr_nodes) if nid != self._nid)))


class Nodes(Protocol):
    """An order in which nodes are tried."""

    def nodes(self) -> Iterator[int]:
        """Return every node once."""
        ...


class PageSource(Protocol):
    """Where huge pages of one size come from; see :mod:`simulator.kernel.placement`."""

    def take(self, nid: int) -> int | None:
        """Return the PFN of a free huge page of a node; None when it has none left."""
        ...

    def give_back(self, nid: int, pfn: int) -> None:
        """Take back a huge page."""
        ...


class Hstate:
    """
    The pool of huge pages of one size; ``page_size`` is ``2M`` or ``1G``.

    ``memory`` is where its pages come from; ``resize_lock`` is held by who writes to
    nr_hugepages.
    """

    def __init__(
        self, page_size: str, nr_nodes: int, memory: PageSource, resize_lock: Mutex
    ) -> None:
        self.page_size = page_size
        self.gigantic = page_size == "1G"  # hstate_is_gigantic()
        self.memory = memory
        self.resize_lock = resize_lock
        self.alloc_cost = f"huge_alloc_{page_size.lower()}"
        self.free_cost = f"huge_free_{page_size.lower()}"
        self.nr_pfns = NR_PFNS[page_size]
        self.nr_vmemmap_pages = struct_page_bytes(page_size) // BASE_PAGE_BYTES
        self.nr_huge_pages = 0
        self.surplus_huge_pages = 0
        self.persistent_huge_pages = 0  # those of the pool that are not surplus
        self.nr_huge_pages_node = [0] * nr_nodes
        self.surplus_huge_pages_node = [0] * nr_nodes
        self.round_to_alloc = NodeRound(nr_nodes)
        self.round_to_free = NodeRound(nr_nodes)
        # By node; the head of the kernel's list is the end of ours.
        self.hugepage_freelists: list[list[Folio]] = [[] for _ in range(nr_nodes)]

    @property
    def free_huge_pages(self) -> int:
        """Huge pages of the pool that nobody uses."""
        return sum(map(len, self.hugepage_freelists))

    def account(self, nid: int, nr: int) -> None:
        """Count huge pages of a node in the pool, or no longer."""
        self.nr_huge_pages += nr
        self.persistent_huge_pages += nr
        self.nr_huge_pages_node[nid] += nr

    def account_surplus(self, nid: int, nr: int) -> None:
        """Count huge pages of a node as surplus, or no longer."""
        self.surplus_huge_pages += nr
        self.persistent_huge_pages -= nr
        self.surplus_huge_pages_node[nid] += nr


def pmd_addr_end(addr: int, end: int) -> int:
    """Return where the PMD of an address ends, or the range if that comes before."""
    boundary = (addr + PMD_SIZE) & PMD_MASK
    return boundary if boundary < end else end


class VmemmapPages:
    """
    A list of vmemmap pages to be freed, as a count of pages.

    ``nr_old`` of them were mapped until a PTE was rewritten; the rest are new
    head pages that did not get there.  The list began when its CPU had touched
    ``listed_at`` lines; ``nr_far`` of its pages are of other nodes; ``nid`` is the
    node of the folio last put on it.  ``runs`` are the PTEs that mapped its pages, if the
    checker keeps them.
    """

    __slots__ = ("listed_at", "nid", "nr_far", "nr_old", "nr_pages", "runs")

    def __init__(self, nid: int = 0) -> None:
        self.nr_pages = self.nr_old = self.nr_far = 0
        self.nid = nid
        self.listed_at = 0
        self.runs: list[int] | None = None


#: The list of a walk that only splits.
NO_PAGES: Final = VmemmapPages()


def list_add(page: int, vmemmap_pages: VmemmapPages) -> None:
    """Put a new page on a list."""
    vmemmap_pages.nr_pages += page


def list_del(page: int, vmemmap_pages: VmemmapPages) -> None:
    """Take a new page off a list again."""
    vmemmap_pages.nr_pages -= page


class VmemmapRemapWalk:
    """
    struct vmemmap_remap_walk.

    ``remap_pte(addr, nr, walk)`` is called once for a run of PTEs; None for a walk that
    only splits.  ``reuse_page`` is 0 until it is known; ``reason`` that of its flush.
    """

    __slots__ = (
        "flags", "nr_walked", "reason", "remap_pte", "reuse_addr", "reuse_page", "vmemmap_pages",
    )  # fmt: skip

    def __init__(
        self,
        remap_pte: Callable[[int, int, VmemmapRemapWalk], None] | None,
        vmemmap_pages: VmemmapPages,
        reuse_addr: int = 0,
        flags: int = 0,
        reason: str = "remap",
    ) -> None:
        self.remap_pte = remap_pte
        self.vmemmap_pages = vmemmap_pages
        self.reuse_addr = reuse_addr
        self.flags = flags
        self.reason = reason
        self.reuse_page = self.nr_walked = 0


@dataclass(slots=True)
class WorkStruct:
    """
    struct work_struct; ``runs_on`` is the CPU whose kworker is at it.

    ``func`` names the kernel's function: holding it, a run would outlive its use.
    """

    func: str
    pending: bool = False
    runs_on: int | None = None


@dataclass(slots=True)
class StaticKey:
    """struct static_key."""

    enabled: int = 0
