# SPDX-License-Identifier: MIT
"""
Break before make
-----------------

Clear, flush, set: what arm64 asks for when the output address of a live entry changes.
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.vmemmap import SPLIT, VMEMMAP, reader

__all__ = ("CASES",)


def break_before_make(k: Cpu) -> None:
    """The head has no mapping between the two stores."""
    k.write_page("new", k.read("head"))
    k.set_pte("pte_head", 0)
    k.flush_tlb_kernel_range("head")
    k.set_pte("pte_head", "new")
    k.flush_tlb_kernel_range("head")
    k.free_page("page0")


CASES = (
    Protocol(
        "bbm",
        "clear, flush, set: nothing stale, but a walk faults between",
        (break_before_make, reader),
        SPLIT,
        dict.fromkeys(("sc", "tso", "arm64"), "unsafe walk-faults"),
        translation=VMEMMAP,
        on_fault="walk-faults",
    ),
)
