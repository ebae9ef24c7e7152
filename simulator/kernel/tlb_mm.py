# SPDX-License-Identifier: MIT
"""
arch/x86/mm/tlb.c: TLB flushes of user addresses
------------------------------------------------

Kernel modules use these; a request for huge pages flushes kernel addresses only.

Modelled: flush_tlb_mm_range() interrupts the CPUs of ``mm_cpumask()`` but the lazy ones,
and runs locally alone where there is no other.  A CPU whose thread sleeps is lazy
(enter_lazy_tlb()): it is not interrupted, and flushes everything when it goes on with the
process if a flush has passed meanwhile (switch_mm_irqs_off()).  The ceiling of single
pages, as for kernel addresses.

Not modelled: generations beyond that, so that every call flushes its pages although an
earlier handler may have done it; ``freed_tables``, which reaches lazy CPUs too; a CPU that
becomes lazy while it is being interrupted.

Sources: arch/x86/mm/tlb.c of Linux v6.6, flush_tlb_mm_range(), should_flush_tlb(),
switch_mm_irqs_off().
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from simulator.engine.calls import Call
from simulator.engine.locks import RwSemaphore
from simulator.errors import KernelError
from simulator.kernel.structs import PAGE_SIZE
from simulator.kernel.tlb import Tlb

__all__ = ("MmStruct", "TlbMm")


@dataclass(eq=False)
class MmStruct:
    """struct mm_struct, and what CPUs know of its TLB generation."""

    mmap_lock: RwSemaphore
    cpumask: set[int] = field(default_factory=set)
    tlb_gen: int = 0
    lazy: dict[int, int] = field(default_factory=dict)  # CPUs, with the generation they have


class TlbMm(Tlb):
    """flush_tlb_mm_range() and lazy TLB mode."""

    def mm_init(k) -> MmStruct:
        """Return the address space of a new process."""
        return MmStruct(RwSemaphore(k._timeline, k.platform, "mmap_lock"))

    def flush_tlb_mm_range(k, mm: MmStruct, start: int, end: int, reason: str) -> None:
        """Flush a range of a process on the CPUs that run it."""
        task = k.current
        task.meet()
        cpu = task.cpu.number
        k.inc_mm_tlb_gen(mm)
        if cpu not in mm.cpumask:
            raise KernelError(f"flush_tlb_mm_range: CPU {cpu} has not loaded the address space")
        call = k.flush_tlb_func(reason, (end - start) // PAGE_SIZE, mm)
        if k.mm_global_asid(mm):
            k.broadcast_tlb_flush(call, (end - start) // PAGE_SIZE)
            return
        others = [other for other in mm.cpumask if other != cpu and other not in mm.lazy]
        if len(mm.cpumask) > 1:
            k.engine.on_each_cpu(call, others)
        else:
            task.local_irq_disable()
            task.work(call.categories.local, k.cost.flush_base.each_ns + call.run_ns)
            task.local_irq_enable()
            task.work(call.categories.local, call.refill_ns)

    def inc_mm_tlb_gen(k, mm: MmStruct) -> None:
        """Count a flush; the line is where it was counted last, or read since."""
        mm.tlb_gen += 1
        k.current.work("flush_local", k.line_of_mm(mm))

    def line_of_mm(k, mm: MmStruct) -> int:
        """Return what a line costs that all CPUs of the process write to: of the farthest."""
        if len(mm.cpumask) == 1:
            return k.cost.atomic.each_ns
        cpus = sorted(mm.cpumask)
        return k.cost.cache_line.ns(distance=int(k.platform.distance[cpus[0], cpus].max()))

    def mm_global_asid(k, mm: MmStruct) -> bool:
        """Whether the process has an ASID that is the same on all CPUs, for INVLPGB."""
        return False

    def broadcast_tlb_flush(k, call: Call, nr_pages: int) -> None:
        """Flush a process with a global ASID."""
        raise KernelError("broadcast_tlb_flush: this kernel has no global ASIDs")

    def flush_tlb_func(k, reason: str, nr_pages: int, mm: MmStruct) -> Call:
        """The function run on each CPU; it reads the generation, and what to flush."""
        line_ns = k.line_of_mm(mm) if len(mm.cpumask) > 1 else 0
        key = f"{reason} of a process, {line_ns}", nr_pages
        call = k._calls.get(key)
        if call is None:
            alike = k.flush_call(reason, nr_pages)
            call = k._calls[key] = replace(alike, run_ns=alike.run_ns + 2 * line_ns)
        return call

    def enter_lazy_tlb(k, mm: MmStruct) -> None:
        """The CPU goes idle, and leaves the address space loaded."""
        k.current.meet()
        mm.lazy[k.current.cpu.number] = mm.tlb_gen

    def switch_mm_irqs_off(k, mm: MmStruct) -> None:
        """The CPU goes on with a thread of the process; what it missed, it flushes."""
        task = k.current
        task.meet()
        cpu = task.cpu.number
        mm.cpumask.add(cpu)
        if mm.lazy.pop(cpu, mm.tlb_gen) != mm.tlb_gen:
            k.counts["lazy_tlb_flushes"] += 1
            task.work("flush_local", k.cost.flush_full.each_ns + k.cost.refill_full.each_ns)
