# SPDX-License-Identifier: MIT
"""
A flush deferred for a CPU in user mode
---------------------------------------

The initiator sends no IPI to an isolated CPU that is not in the kernel; that CPU flushes when it
enters.  Its flag "in the kernel" has to be set before it looks for a deferred flush.
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.vmemmap import SPLIT, VMEMMAP

__all__ = ("CASES",)


def initiator(k: Cpu) -> None:
    """Remap the head, flush or defer, reuse the old page."""
    k.write_page("new", k.read("head"))
    k.smp_wmb()
    k.set_pte("pte_head", "new")
    k.xchg("deferred", 1)
    if k.READ_ONCE("in_kernel") == 1:
        k.flush_tlb_all()
    k.smp_mb()
    k.write_page("page0", 9)


def enter_flag_first(k: Cpu) -> None:
    """Kernel entry: say so, then look."""
    k.WRITE_ONCE("in_kernel", 1)
    k.smp_mb()
    if k.READ_ONCE("deferred") == 1:
        k.local_flush_tlb_all()
    k.require("stale-use", k.read("head") == 1)


def enter_flush_first(k: Cpu) -> None:
    """Kernel entry: look, then say so."""
    if k.READ_ONCE("deferred") == 1:
        k.local_flush_tlb_all()
    k.WRITE_ONCE("in_kernel", 1)
    k.smp_mb()
    k.require("stale-use", k.read("head") == 1)


CASES = (
    Protocol(
        "deferral-flag-first",
        "an isolated CPU enters the kernel: flag, then the deferred flush",
        (initiator, enter_flag_first),
        SPLIT,
        dict.fromkeys(("sc", "tso", "arm64"), "safe"),
        translation=VMEMMAP,
    ),
    Protocol(
        "deferral-flush-first",
        "the same, the deferred flush before the flag",
        (initiator, enter_flush_first),
        SPLIT,
        dict.fromkeys(("sc", "tso", "arm64"), "unsafe stale-use"),
        translation=VMEMMAP,
    ),
)
