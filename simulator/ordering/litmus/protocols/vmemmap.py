# SPDX-License-Identifier: MIT
"""
A PMD of the vmemmap
--------------------

Two struct-page addresses stand for the eight of a folio: ``head``, which gets a new page, and
``tail``, which is mapped to that page too.
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu
from simulator.ordering.litmus.tlb import Translation

__all__ = ("LEAF", "SPLIT", "VMEMMAP", "reader", "split_vmemmap_huge_pmd", "vmemmap_remap_range")

_FRAMES = {"head": "page0", "tail": "page1"}
VMEMMAP = Translation(
    pmd="pmd",
    leaves={"leaf": _FRAMES},
    tables={"pgtable": {"head": "pte_head", "tail": "pte_tail"}},
)
# Mapped by a leaf; the page of the head has contents 1.
LEAF = {"pmd": "leaf", "page0": 1, "page1": 2}
# Mapped by a page of PTEs, flushed since.
SPLIT = {**LEAF, "pmd": "pgtable", "pte_head": "page0", "pte_tail": "page1"}


def split_vmemmap_huge_pmd(k: Cpu) -> None:
    """Replace the leaf by a page of PTEs that map the same."""
    k.set_pte("pte_head", "page0")
    k.set_pte("pte_tail", "page1")
    k.smp_wmb()  # the PTEs are seen before the PMD
    k.pmd_populate_kernel("pmd", "pgtable")


def vmemmap_remap_range(k: Cpu) -> None:
    """Copy the head to a new page, and map head and tail to that."""
    head = k.read("head")
    k.write_page("new", head)
    k.smp_wmb()  # the contents are seen before the PTE
    k.set_pte("pte_head", "new")
    k.set_pte("pte_tail", "new")


def reader(k: Cpu) -> None:
    """Read the head struct page, whichever page it is on."""
    k.require("contents-before-pte", k.read("head") == 1)
