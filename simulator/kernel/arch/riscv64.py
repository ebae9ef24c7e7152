# SPDX-License-Identifier: MIT
"""
arch/riscv: SBI remote fences, or interrupts
--------------------------------------------

Without an interrupt controller that S-mode can send with, the kernel asks the firmware
(SBI rfence), which interrupts all other harts in M-mode and waits for them.  Otherwise
on_each_cpu(), as everywhere.

Modelled: more than 64 pages make it a full flush (``tlb_flush_all_threshold``), on both
ways; the firmware serves one caller at a time, who takes no S-mode interrupt meanwhile;
it sends to one hart after another and waits for the last; an M-mode interrupt is taken
with S-mode interrupts off too, and wakes a hart that idles.  smp_wmb() is ``fence w,w``, with
a cost of its own.

Not modelled: a limit of the firmware's own above which it flushes everything; Svinval, which
batches local work only.

Sources: arch/riscv/mm/tlbflush.c and include/asm/barrier.h of v6.12; C. Hellwig, LKML, August
2019, for the way through M-mode on both sides.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from simulator.engine.calls import Call
from simulator.kernel.hugetlb import Hugetlb

Int64s = npt.NDArray[np.int64]

__all__ = ("TLB_FLUSH_ALL_THRESHOLD", "Riscv64")

TLB_FLUSH_ALL_THRESHOLD: Final = 64


class Riscv64(Hugetlb):
    """What arch/riscv has in the place of arch/x86."""

    #: Tunables of x86 that mean nothing here.
    LACKS_TUNABLES: ClassVar[tuple[str, ...]] = ("tlb_single_page_flush_ceiling", "tlbi_ipi")

    def single_page_flush_ceiling(k) -> int:
        """The most pages that are flushed one by one."""
        return TLB_FLUSH_ALL_THRESHOLD

    def kernel_tlb_flush_all(k, call: Call, start: int, end: int) -> None:
        """Everything: by the firmware, if it must be."""
        if k.flushes_by == "sbi":
            k.sbi_remote_sfence_vma(call, start, end)
        else:
            k.on_each_cpu(call, start, end)

    def kernel_tlb_flush_range(k, call: Call, start: int, end: int) -> None:
        """A range: by the firmware, if it must be."""
        k.kernel_tlb_flush_all(call, start, end)

    def sbi_remote_sfence_vma(k, call: Call, start: int, end: int) -> None:
        """Call the firmware, which flushes all harts, this one too."""
        task = k.current
        k.hardware.begin("sbi", call)
        task.work("flush_enqueue", k.cost.flush_base.each_ns)
        task.local_irq_disable()  # M-mode takes no interrupt of S-mode
        away_ns = k.harts_away(call)
        k._sbi_rfence(start, end, away_ns)
        k._sbi_done(task.cpu.number)
        task.local_irq_enable()
        k.hardware.end(away_ns, k.platform.nr_cpus - 1)

    def harts_away(k, call: Call) -> Int64s:
        """How long each hart is in M-mode for this flush, by hart."""
        trap_ns = k.platform.mechanisms["sbi"].costs["trap"].each_ns
        return np.full(k.platform.nr_cpus, trap_ns + call.run_ns, dtype=np.int64)

    def _sbi_rfence(k, start: int, end: int, away_ns: Int64s) -> None:
        """The firmware's part: one hart after another is asked, and the last one waited for."""
        costs = k.platform.mechanisms["sbi"].costs
        asked_ns = costs["request"].each_ns * np.arange(1, k.platform.nr_cpus, dtype=np.int64)
        others = np.arange(k.platform.nr_cpus) != k.current.cpu.number
        done_ns = (k.hardware.draws("deliver") + k.hardware.wakes() + away_ns)[others] + asked_ns
        k.hardware.post(costs["ecall"].each_ns + int(done_ns.max(initial=0)))

    def _sbi_done(k, cpu: int) -> None:
        """The firmware returns."""
        k.hardware.wait(0)
