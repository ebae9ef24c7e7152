# SPDX-License-Identifier: MIT
"""
ipi_benchmark.c: how long does an IPI take?
-------------------------------------------

The module with which the "send IPI" hypercall of KVM was measured: it calls a
function that does next to nothing on other CPUs, ``NTIMES`` times, and waits
for it each time.

Modelled: ``Normal IPI`` (POKE_ANY, smp_call_function_single()), ``Broadcast IPI``
(POKE_ALL, smp_call_function_many()) and ``Broadcast lock`` (POKE_ALL_LOCK), whose
function takes and releases one spinlock on all CPUs.

Not modelled: ``Dry-run`` and ``Self-IPI``, which send no interrupt and measure
ktime_get() and the loop; that time is no part of the other figures either.
``Normal IPI`` on more than two CPUs: the engines know broadcasts, and with two
CPUs a broadcast has one target.  CPUs that wait for the spinlock: its line goes
from one to the next faster than IPIs arrive.

Sources: Y. Norov, IPI performance benchmark, v2, LKML 2017-12-19
(lkml.org/lkml/2017/12/19/141).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from simulator.engine import Body
from simulator.engine.calls import Call, Categories
from simulator.errors import InputError
from simulator.kernel.hugetlb import Hugetlb
from simulator.machine.distances import Distance

__all__ = ("BROADCAST_IPI", "BROADCAST_LOCK", "NORMAL_IPI", "NTIMES", "IpiBenchmark")

NTIMES = 100_000
#: The lines that the module prints.
NORMAL_IPI, BROADCAST_IPI, BROADCAST_LOCK = "Normal IPI", "Broadcast IPI", "Broadcast lock"

_CATEGORIES = Categories("ipi_enqueue", "ipi_send", "ipi_local", "ipi_wait")


class IpiBenchmark:
    """The module; ``ntimes`` calls of each kind in ``lines``."""

    name = "ipi_benchmark"
    masked = False

    def __init__(
        self, lines: tuple[str, ...] = (BROADCAST_IPI, BROADCAST_LOCK), ntimes: int = NTIMES
    ) -> None:
        self._lines = lines
        self._ntimes = ntimes

    def phases(self, k: Hugetlb) -> Mapping[str, Body]:
        """Return the benchmark of each line."""
        functions = {
            NORMAL_IPI: self.handle_ipi,
            BROADCAST_IPI: self.handle_ipi,
            BROADCAST_LOCK: self.handle_ipi_spinlock,
        }
        if NORMAL_IPI in self._lines and k.platform.nr_cpus != 2:
            raise InputError(f"cpus: {NORMAL_IPI} needs 2 CPUs, not {k.platform.nr_cpus}")
        return {line: partial(self.bench_ipi, k, functions[line](k)) for line in self._lines}

    def bench_ipi(self, k: Hugetlb, call: Call) -> None:
        """Send it over and over."""
        for _ in range(self._ntimes):
            k.engine.on_each_cpu(call)

    def handle_ipi(self, k: Hugetlb) -> Call:
        """Return what a CPU runs: nothing, or one ktime_get()."""
        return Call("benchmark", "none", "handle_ipi", 0, 0, 0, _CATEGORIES)

    def handle_ipi_spinlock(self, k: Hugetlb) -> Call:
        """Return what a CPU runs: spin_lock() of a lock that another CPU had, spin_unlock()."""
        farthest = k.cost.cache_line.ns(distance=min(Distance.HOP1, int(k.platform.distance.max())))
        run_ns = farthest + k.cost.atomic.ns()
        return Call("benchmark", "none", "handle_ipi_spinlock", 0, run_ns, 0, _CATEGORIES)
