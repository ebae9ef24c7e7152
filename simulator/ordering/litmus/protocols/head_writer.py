# SPDX-License-Identifier: MIT
"""
Another CPU writes the head struct page meanwhile
-------------------------------------------------

A speculative PFN walker takes a reference while the page is copied: bd225530a4c7
("mm/hugetlb_vmemmap: fix race with speculative PFN walkers") (in v6.11).
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.vmemmap import SPLIT, VMEMMAP, vmemmap_remap_range

__all__ = ("CASES",)


def optimize(k: Cpu) -> None:
    """Copy, remap, flush."""
    vmemmap_remap_range(k)
    k.flush_tlb_all()


def pfn_walker(k: Cpu) -> None:
    """Take a reference: the count of the head goes from 1 to 2."""
    k.write("head", k.read("head") + 1)


CASES = (
    Protocol(
        "head-writer",
        "another CPU writes the head struct page while it is copied",
        (optimize, pfn_walker),
        SPLIT,
        dict.fromkeys(("sc", "tso", "arm64"), "unsafe write-lost"),
        at_end={"write-lost": lambda final: bool(final["new"] == 2)},
        translation=VMEMMAP,
    ),
)
