# SPDX-License-Identifier: MIT
"""
arch/x86/include/asm/tlb.h: INVLPGB and TLBSYNC
-----------------------------------------------

AMD's broadcast invalidation: the CPU asks the fabric, which invalidates everywhere
without an interrupt, and TLBSYNC waits for what the same CPU asked for.  Bare metal only:
KVM offers INVLPGB to no ordinary guest.

Modelled: the ceiling is decided first, as with interrupts; a range goes out in chunks
of ``invlpgb_count_max`` pages, then one TLBSYNC; everything is one INVLPGB, globals
included.  One server for the machine has a CPU's INVLPGBs and its TLBSYNC from the request
of the latter on; interrupts stay on, and CPUs that idle or have interrupts off are not
waited for.  Other CPUs lose refills and a stall.  A process on more than 3 CPUs has a
global ASID, and its addresses are flushed likewise.

Not modelled: INVLPGBs of two CPUs that mix at the fabric; a local TLB that is flushed
faster; that a process gets its global ASID only after some flushes by interrupts.

Nobody has published figures of HVO on such a machine: what is simulated is an
extrapolation from flushes of user addresses.

Sources: b7aa05cbdc52 ("x86/mm: Add INVLPGB support code"), 82378c6c2f43 ("x86/mm: Use
INVLPGB for kernel TLB flushes") and 4afeb0ed1753 ("x86/mm: Enable broadcast TLB
invalidation for multi-threaded processes") (in v6.15).
"""

from __future__ import annotations

from typing import Final

from simulator.engine.calls import Call
from simulator.kernel.structs import PAGE_SIZE
from simulator.kernel.tlb import TLB_FLUSH_ALL
from simulator.kernel.tlb_mm import MmStruct, TlbMm

__all__ = ("Invlpgb",)

#: CPUs of a process that has no global ASID, mm_active_cpus_exceeds().
_MOST_WITHOUT: Final = 3


class Invlpgb(TlbMm):
    """Flushes of kernel addresses by INVLPGB, where the machine has it."""

    def kernel_tlb_flush_all(k, call: Call, start: int, end: int) -> None:
        """Flush everything: by INVLPGB, else by interrupts."""
        if k.flushes_by != "invlpgb":
            super().kernel_tlb_flush_all(call, start, end)
            return
        k.hardware.begin("invlpgb", call)
        k.invlpgb_flush_all()
        k.hardware.end(k.platform.mechanisms["invlpgb"].costs["stall"].each_ns)

    def kernel_tlb_flush_range(k, call: Call, start: int, end: int) -> None:
        """Flush a range: by INVLPGB, else by interrupts."""
        if k.flushes_by != "invlpgb":
            super().kernel_tlb_flush_range(call, start, end)
            return
        k.hardware.begin("invlpgb", call)
        k.invlpgb_kernel_range_flush(start, end)
        k.hardware.end(k.platform.mechanisms["invlpgb"].costs["stall"].each_ns)

    def mm_global_asid(k, mm: MmStruct) -> bool:
        """Whether a process has a global ASID: one that is active on more than 3 CPUs."""
        if k.flushes_by != "invlpgb" or len(mm.cpumask) <= _MOST_WITHOUT:
            return False
        return k.platform.mechanisms["invlpgb"].user_mms

    def broadcast_tlb_flush(k, call: Call, nr_pages: int) -> None:
        """Flush pages of a process with a global ASID."""
        k.hardware.begin("invlpgb", call)
        k.invlpgb_kernel_range_flush(0, nr_pages * PAGE_SIZE)
        k.hardware.end(k.platform.mechanisms["invlpgb"].costs["stall"].each_ns)

    def invlpgb_flush_all(k) -> None:
        """All translations of all PCIDs, globals included."""
        k.current.work("flush_enqueue", k.cost.flush_base.each_ns)
        k._invlpgb(0, TLB_FLUSH_ALL)
        k._tlbsync(k.smp_processor_id())

    def invlpgb_kernel_range_flush(k, start: int, end: int) -> None:
        """A range, in chunks of as many pages as one INVLPGB takes."""
        k.current.work("flush_enqueue", k.cost.flush_base.each_ns)
        invlpgb_count_max = k.platform.mechanisms["invlpgb"].numbers["count_max"]
        addr = start
        while addr < end:
            nr = min(max((end - addr) // PAGE_SIZE, 1), invlpgb_count_max)
            k.invlpgb_flush_addr_nosync(addr, nr)
            addr += nr * PAGE_SIZE
        k._tlbsync(k.smp_processor_id())

    def invlpgb_flush_addr_nosync(k, addr: int, nr: int) -> None:
        """Some pages; TLBSYNC has to follow."""
        k._invlpgb(addr, addr + nr * PAGE_SIZE)

    def _invlpgb(k, start: int, end: int) -> None:
        """The instruction: ask the fabric, and go on."""
        k.hardware.post(k._invlpgb_cost("invlpgb"))

    def _tlbsync(k, cpu: int) -> None:
        """The instruction: wait for all that this CPU asked for; cant_migrate() until then."""
        k.hardware.wait(k._invlpgb_cost("tlbsync"))

    def _invlpgb_cost(k, name: str) -> int:
        cost = k.platform.mechanisms["invlpgb"].costs[name]
        return k.platform.flush_draw(cost, k.current.cpu.number, k.hardware.nth)
