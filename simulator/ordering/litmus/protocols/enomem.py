# SPDX-License-Identifier: MIT
"""
A split that finds no memory
----------------------------

hugetlb_vmemmap_optimize_folios() on -ENOMEM: what is remapped so far is flushed and given
back, so that the next split finds memory.
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.vmemmap import SPLIT, VMEMMAP, reader

__all__ = ("CASES",)


def _remap_head(k: Cpu) -> None:
    k.write_page("new", k.read("head"))
    k.smp_wmb()
    k.set_pte("pte_head", "new")


def _remap_tail(k: Cpu) -> None:
    k.set_pte("pte_tail", "new")
    k.flush_tlb_all()
    k.free_page("page1")


def retry(k: Cpu) -> None:
    """As merged."""
    _remap_head(k)
    # -ENOMEM
    k.flush_tlb_all()
    k.free_page("page0")
    _remap_tail(k)


def retry_without_flush(k: Cpu) -> None:
    """The mutant."""
    _remap_head(k)
    # -ENOMEM
    k.free_page("page0")
    _remap_tail(k)


CASES = (
    Protocol(
        "enomem-retry",
        "out of memory: flush, give back, go on",
        (retry, reader),
        SPLIT,
        dict.fromkeys(("sc", "tso", "arm64"), "safe"),
        translation=VMEMMAP,
    ),
    Protocol(
        "enomem-retry-no-flush",
        "the same without the flush",
        (retry_without_flush, reader),
        SPLIT,
        dict.fromkeys(("sc", "tso", "arm64"), "unsafe freed-while-held"),
        translation=VMEMMAP,
    ),
)
