# SPDX-License-Identifier: MIT
"""
arch/arm64: TLBI, DSB and DMB
-----------------------------

TLBI is broadcast to the inner-shareable domain: no interrupt, and DSB waits until those
of the same CPU have been done everywhere.

Modelled: one TLBI a page up to ``MAX_DVM_OPS`` pages (strictly more makes it a full
flush, one TLBI), between DSB ISHST and DSB ISH; one server for the machine; a stall of
every other CPU for each TLBI; DSB ISHST and ISB after every set_pte() of a kernel entry.
smp_wmb() is DMB ISHST, with a cost of its own.

Not modelled: TLBIs of two CPUs that mix at the server; range TLBI (FEAT_TLBIRANGE), which
kernel addresses do not use; barriers of a whole run of PTEs at once.

HVO is not selected here: the output address of a live entry may not change (060a2c92d1b6).
What uses it nevertheless is a what-if, see :mod:`simulator.kernel.versions.arm64_hvo`.

Sources: arch/arm64/include/asm/tlbflush.h, barrier.h and pgtable.h of v6.12.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

from simulator.engine.calls import Call
from simulator.geometry import PTRS_PER_PTE
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.structs import PAGE_SIZE

__all__ = ("MAX_DVM_OPS", "Arm64")

MAX_DVM_OPS: Final = 512  # PTRS_PER_PTE


class Arm64(Hugetlb):
    """What arch/arm64 has in the place of arch/x86."""

    #: Tunables of x86 that mean nothing here.
    LACKS_TUNABLES: ClassVar[tuple[str, ...]] = ("tlb_single_page_flush_ceiling", "tlbi_ipi")

    def single_page_flush_ceiling(k) -> int:
        """The most pages that are flushed one by one."""
        return MAX_DVM_OPS

    def do_kernel_range_flush(k, reason: str, nr_pages: int) -> Call:
        """What a range costs a CPU afterwards: no more than everything does."""
        call = super().do_kernel_range_flush(reason, nr_pages)
        return replace(call, refill_ns=min(call.refill_ns, k.cost.refill_full.ns()))

    def kernel_tlb_flush_all(k, call: Call, start: int, end: int) -> None:
        """dsb(ishst); tlbi vmalle1is; dsb(ish); isb()."""
        k.hardware.begin("tlbi", call)
        k.dsb_ishst()
        k._tlbi(start, end, 1)
        k._dsb_ish(k.smp_processor_id())
        k.hardware.end(k.tlbi_cost("stall"))

    def kernel_tlb_flush_range(k, call: Call, start: int, end: int) -> None:
        """dsb(ishst); tlbi vaale1is for each page; dsb(ish); isb()."""
        nr_pages = (end - start) // PAGE_SIZE
        k.hardware.begin("tlbi", call)
        k.dsb_ishst()
        k._tlbi(start, end, nr_pages)
        k._dsb_ish(k.smp_processor_id())
        k.hardware.end(k.tlbi_cost("stall", nr_pages))

    def dsb_ishst(k) -> None:
        """Stores to page tables become visible to walkers."""
        k.current.work("barrier", k.tlbi_cost("dsb_ishst"))

    def _tlbi(k, start: int, end: int, nr: int) -> None:
        """A run of ``nr`` instructions: ask all CPUs, and go on."""
        k.hardware.post(k.tlbi_cost("tlbi", nr))

    def _dsb_ish(k, cpu: int) -> None:
        """Wait for the TLBIs of this CPU."""
        k.hardware.wait(k.tlbi_cost("dsb"))

    def tlbi_cost(k, name: str, nr: int = 1) -> int:
        """A cost of the machine's TLBI, so many times, in nanoseconds."""
        return k.platform.mechanisms["tlbi"].costs[name].times[nr]

    def set_ptes_of_leaf(k, pgtable: int, pmd: int) -> None:
        """Fill a new page table, with dsb(ishst) and isb() after each of 512 PTEs."""
        super().set_ptes_of_leaf(pgtable, pmd)
        k.current.work("barrier", k.tlbi_cost("dsb_ishst", PTRS_PER_PTE))

    def pmd_populate_kernel(k, pmd: int, pgtable: int) -> None:
        """Store a page table into a PMD, with dsb(ishst) and isb()."""
        super().pmd_populate_kernel(pmd, pgtable)
        k.dsb_ishst()

    def set_ptes(k, addr: int, nr: int, category: str) -> None:
        """Store PTEs, with dsb(ishst) and isb() after each."""
        super().set_ptes(addr, nr, category)
        k.current.work("barrier", k.tlbi_cost("dsb_ishst", nr))
