# SPDX-License-Identifier: MIT
"""
tlb_flush2_threads of will-it-scale
-----------------------------------

Threads of one process flush against each other: each of them writes to a fresh page,
gives it back with madvise(MADV_DONTNEED), which flushes one page on the CPUs of all
other threads, and reads it again, for as long as it is told.

Modelled: a closed queueing network.  A thread thinks (``think_ns``: both page faults and
the system call, as data), takes mmap_lock for reading, flushes and begins anew; the
interrupts of the others come in between.  Threads are pinned to the first CPUs, one each.

Not modelled: munmap() of 1 MB every 256 loops; threads that share a core are no slower;
mmap_lock and the counters of the process as a bottleneck of their own, beyond the
transfer of a cache line.

Sources: tests/tlb_flush2.c of github.com/antonblanchard/will-it-scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from simulator.engine import Body
from simulator.errors import InputError
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.structs import PAGE_SIZE
from simulator.kernel.tlb_mm import MmStruct

__all__ = ("LOOPS", "TlbFlush2")

#: The count of loops of all threads that ended in the time that counts.
LOOPS = "loops"


class TlbFlush2:
    """The program; each of ``threads`` threads loops for ``duration_ns``."""

    name = "tlb_flush2"
    masked = True

    def __init__(self, threads: int, think_ns: int, duration_ns: int) -> None:
        self._threads = threads
        self._think_ns = think_ns
        self._duration_ns = duration_ns
        #: All threads begin at once: the first quarter of the time does not count.
        self.counted_ns = duration_ns - duration_ns // 4

    def phases(self, k: Hugetlb) -> Mapping[str, Mapping[int, Body]]:
        """Return the threads by CPU; the only phase is called by their number."""
        if self._threads > k.platform.nr_cpus:
            raise InputError(
                f"threads: {self._threads} are more than the {k.platform.nr_cpus} CPUs"
            )
        mm = k.mm_init()
        cpus = range(self._threads)
        mm.cpumask.update(cpus)
        return {str(self._threads): {cpu: partial(self.testcase, k, mm) for cpu in cpus}}

    def testcase(self, k: Hugetlb, mm: MmStruct) -> None:
        """One thread."""
        task = k.current
        task.meet()
        ends_ns = task.met_ns + self._duration_ns
        think_ns = self._think_ns + self._page_table_ns(k, task.cpu.number)
        while task.known_ns < ends_ns:
            task.work("user", think_ns)
            self.madvise_dontneed(k, mm)
            k.counts[LOOPS] += ends_ns - self.counted_ns < task.known_ns <= ends_ns

    def madvise_dontneed(self, k: Hugetlb, mm: MmStruct) -> None:
        """madvise(MADV_DONTNEED) of one page."""
        mm.mmap_lock.down_read()
        k.flush_tlb_mm_range(mm, 0, PAGE_SIZE, "benchmark")
        # The others have had the line of the lock meanwhile.
        task = k.current
        task.work(mm.mmap_lock.name, k.line_of_mm(mm))
        mm.mmap_lock.up_read()

    def _page_table_ns(self, k: Hugetlb, cpu: int) -> int:
        # Two neighbours map 1 MB each: one page of PTEs, whose lock changes hands for a fault, a
        # zap and a fault.
        neighbour = cpu ^ 1
        if neighbour >= self._threads:
            return 0
        return k.cost.cache_line.ns(3, int(k.platform.distance[cpu, neighbour]))
