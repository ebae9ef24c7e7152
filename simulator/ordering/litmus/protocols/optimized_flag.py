# SPDX-License-Identifier: MIT
"""
The Optimized flag
------------------

One CPU, and no memory model to blame: its own TLB entry is stale until the flush.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.vmemmap import SPLIT, VMEMMAP, vmemmap_remap_range

__all__ = ("CASES",)

_OPTIMIZED = 3


def flag_before_copy(k: Cpu) -> None:
    """As merged: the flag is copied with the page."""
    k.write("head", _OPTIMIZED)
    vmemmap_remap_range(k)
    k.flush_tlb_all()


def flag_after_remap(k: Cpu) -> None:
    """The flush is still to come: the flag may go to the old page."""
    vmemmap_remap_range(k)
    k.write("head", _OPTIMIZED)
    k.flush_tlb_all()


def flag_after_flush(k: Cpu) -> None:
    """As before batching."""
    vmemmap_remap_range(k)
    k.flush_tlb_all()
    k.write("head", _OPTIMIZED)


def _case(name: str, summary: str, verdict: str, cpu: Callable[[Cpu], None]) -> Protocol:
    return Protocol(
        name,
        summary,
        (cpu,),
        SPLIT,
        dict.fromkeys(("sc", "tso", "arm64"), verdict),
        at_end={"flag-before-copy": lambda final: bool(final["new"] == _OPTIMIZED)},
        translation=VMEMMAP,
    )


CASES = (
    _case("flag-before-copy", "the flag is set before the copy", "safe", flag_before_copy),
    _case("flag-after-remap", "the flag is set after the remap, the flush deferred",
          "unsafe flag-before-copy", flag_after_remap),
    _case("flag-after-flush", "the flag is set after the flush", "safe", flag_after_flush),
)  # fmt: skip
