# SPDX-License-Identifier: MIT
"""
What if arm64 had HVO?
----------------------

It has not: the output address of a live entry may change only by break-before-make, and a
walk in between faults (060a2c92d1b6).  The classes below are v6.12 with HVO on arm64,
each with its own answer.  None was merged.

Modelled: :class:`Arm64Bbm2`, which assumes that FEAT_BBM level 2 allows what HVO does with
equal contents (it allows a change of size, and of nothing else).  :class:`Arm64PauseV2`,
as posted: a lock; a pseudo-NMI to all other CPUs, which is taken with interrupts off too and
wakes those that idle; each counts itself on one cache line; with all of them standing still
the entries are cleared, flushed and written; then they go on, counting down.  So it is for
each PMD and each run of PTEs, and deferred flushes vanish.  In :class:`Arm64PauseV1` each CPU
sets its bit in a mask, with full barriers.

Not modelled: what stores cost that make entries invalid, beside those that set them; hypervisors
that delay the NMI; the moment in which each CPU goes on, which is that of the last one;
cpus_read_lock().

Sources: 060a2c92d1b6 ("arm64: mm: hugetlb: Disable HUGETLB_PAGE_OPTIMIZE_VMEMMAP");
20241021042218.746659-1-yuzhao@google.com and
20241107202033.2721681-1-yuzhao@google.com (mm/arm64: re-enable HVO, v1 and v2), patches 4 and 5.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from simulator.engine import Engine
from simulator.engine.calls import Call, Categories
from simulator.engine.locks import IrqSpinLock
from simulator.kernel.arch.arm64 import Arm64
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import PAGE_SIZE, PMD_SIZE, KernelConfig, VmemmapRemapWalk
from simulator.kernel.versions.v6_12 import V6_12
from simulator.machine import Platform

__all__ = ("Arm64Bbm2", "Arm64PauseV1", "Arm64PauseV2")

Int64s = npt.NDArray[np.int64]

_PAUSE: Final = Call(
    "pause", "none", "pause_remote_cpus", 0, 0, 0, Categories("pause", "pause", "pause", "pause")
)


class Arm64Hvo(V6_12, Arm64):
    """HVO selected by arch/arm64/Kconfig."""

    base = "v6.12"
    commit = ""
    RUNS_ON: ClassVar[tuple[str, ...]] = ("arm64",)
    example_machine = "altra-q80"
    HVO_ON: ClassVar[tuple[str, ...]] = ("arm64",)


class Arm64Bbm2(Arm64Hvo):
    """Nothing else changed: level 2 is assumed to be enough."""

    name = "v6.12+arm64-bbm2"
    subject = "what if: HVO on arm64, break-before-make level 2 assumed"
    summary = "v6.12 on arm64, live entries changed as on x86"
    ASSUMES_BBM: ClassVar[bool] = True
    proposed_in = "replies to 20241021042218.746659-1-yuzhao@google.com (FEAT_BBM)"


class Arm64PauseV2(Arm64Hvo):
    """All other CPUs are paused for each update."""

    name = "v6.12+arm64-pause@v2"
    subject = "mm/arm64: re-enable HVO, v2: pause remote CPUs to update vmemmap"
    summary = "v6.12 on arm64, all other CPUs stopped for each update; a counter"
    proposed_in = "20241107202033.2721681-1-yuzhao@google.com"
    #: What a CPU does to say that it stands still, a cost of TLBI.
    SAYS_SO: ClassVar[str] = "count"

    def __init__(
        k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
    ) -> None:
        super().__init__(engine, platform, memory, config)
        k.cpu_pause_lock = IrqSpinLock(engine.timeline, platform, "cpu_pause_lock")

    # --- VMEMMAP_ARCH_TLB_FLUSH_FLAGS: nothing is flushed later ---------------------------

    def split_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a PMD that a walk splits is flushed: it was, in its pause."""
        return False

    def remap_flushes(k, walk: VmemmapRemapWalk) -> bool:
        """Whether a walk flushes what it has remapped: it was, in its pause."""
        return False

    def flush_batch(k, reason: str) -> None:
        """The flush after a pass over a list of folios, which is not needed."""

    def restore_ended(k, restored: int) -> None:
        """The flush after the restores of a list, which is not needed."""

    # --- updates --------------------------------------------------------------------------

    def vmemmap_update_pmd(k, start: int, pmd: int, pgtable: int) -> None:
        """Break, flush, make, with nobody there to walk the empty entry."""
        k.pause_remote_cpus()
        k.pmd_populate_kernel(pmd, pgtable)
        k.flush_tlb_kernel_range(start, start + PMD_SIZE, reason="split")
        k.make_entries(start, 1)
        k.resume_remote_cpus()

    def vmemmap_update_pte(k, addr: int, nr: int, category: str) -> None:
        """The same for a run of PTEs."""
        k.pause_remote_cpus()
        k.set_ptes(addr, nr, category)
        k.flush_tlb_kernel_range(addr, addr + nr * PAGE_SIZE, reason=category)
        k.make_entries(addr, nr)
        k.resume_remote_cpus()

    def make_entries(k, addr: int, nr: int) -> None:
        """Write the new entries; what was stored before had only made the old ones invalid."""
        k.current.work("barrier", k.tlbi_cost("dsb_ishst", nr))

    def pause_remote_cpus(k) -> None:
        """Stop all other CPUs, and wait until each has said so."""
        k.cpu_pause_lock.lock_irq()
        k.hardware.begin("pause", _PAUSE)
        now_ns = k.current.met_ns
        sent_ns = k.cost.send.each_ns * np.arange(1, k.platform.nr_cpus + 1, dtype=np.int64)
        starts_ns = now_ns + sent_ns + k.hardware.draws("deliver") + k.hardware.wakes()
        k.hardware.stop(starts_ns, k.all_say_so(starts_ns) - now_ns)

    def resume_remote_cpus(k) -> None:
        """Let them go on, and wait until each has said so."""
        others = k.platform.nr_cpus - 1
        line_ns = k.cost.cache_line.ns(distance=1)
        stood_ns = k.hardware.resume(line_ns + k.tlbi_cost(k.SAYS_SO, others))
        k.hardware.end(stood_ns, others, held=True)
        k.cpu_pause_lock.unlock_irq()

    def all_say_so(k, starts_ns: Int64s) -> int:
        """When the last of the other CPUs has said that it stands still: one after another."""
        others = np.arange(k.platform.nr_cpus) != k.current.cpu.number
        seen_ns = np.sort(starts_ns[others]) + k.tlbi_cost("nmi")
        each_ns = k.tlbi_cost(k.SAYS_SO)
        # The line goes to the next one when it is seen there, or when the last is done with it.
        behind = (len(seen_ns) - np.arange(len(seen_ns), dtype=np.int64)) * each_ns
        return int((seen_ns + behind).max(initial=k.current.met_ns))


class Arm64PauseV1(Arm64PauseV2):
    """A mask in place of the counter."""

    name = "v6.12+arm64-pause@v1"
    subject = "mm/arm64: re-enable HVO: pause remote CPUs to update vmemmap"
    summary = "v6.12 on arm64, all other CPUs stopped for each update; a cpumask"
    proposed_in = "20241021042218.746659-1-yuzhao@google.com"
    SAYS_SO: ClassVar[str] = "mask_bit"
