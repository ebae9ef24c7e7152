# SPDX-License-Identifier: MIT
"""
What a run records
------------------

The engine and the kernel code tell a :class:`Recorder` what happens; it keeps
typed tables and counters, by phase.  Nothing here computes: frames are built
from these tables by :mod:`simulator.trace.frames`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from simulator.trace.ipis import IpiLog
from simulator.trace.tables import Histogram, Int64s, IntTable

__all__ = (
    "COUNTS",
    "FUNCTIONS",
    "KINDS",
    "REASON",
    "REASONS",
    "STATUS",
    "STATUSES",
    "PhaseRecord",
    "Recorder",
    "kind_of",
)

#: Columns of the ``counts`` frame after ``phase``.
COUNTS: Final = (
    "pages_got",
    "pmd_splits",
    "flush_tlb_kernel_range_calls",
    "flush_tlb_all_calls",
    "do_flush_tlb_all_exec_total",
    "do_kernel_range_flush_exec_total",
    "flush_tlb_one_kernel_exec_total",
    "on_each_cpu_calls",
    "vmemmap_pages_freed",
    "vmemmap_head_pages_allocated",
    "vmemmap_pages_allocated_restore",
    "synchronize_rcu_calls",
    "hugepage_allocs",
)
REASONS: Final = (
    "split", "remap", "batch_split", "batch_remap", "restore", "batch_restore", "enomem",
    "sync_core", "benchmark",
)  # fmt: skip
#: How wide a broadcast reaches: a range of pages, everything, or no TLB flush at all.
KINDS: Final = ("range", "all", "none")
STATUSES: Final = (
    "plain", "optimized", "split_failed", "failed", "freed", "restore_failed",
)  # fmt: skip

#: What a broadcast of each of KINDS runs on the CPUs.
FUNCTIONS: Final = ("do_kernel_range_flush", "do_flush_tlb_all", "do_sync_core")
_KIND_OF: Final = {function: kind for kind, function in enumerate(FUNCTIONS)}
_NO_FLUSH: Final = KINDS.index("none")

FOLIO_COLUMNS: Final = (
    "phase", "folio", "task", "pfn", "start_ns", "split_ns", "remap_ns", "restore_ns", "flush_ns",
    "end_ns", "ready_ns", "status",
)  # fmt: skip
FLUSH_COLUMNS: Final = (
    "phase", "flush", "task", "cpu", "reason", "kind", "pages", "start_ns", "send_end_ns",
    "last_ack_ns", "end_ns", "targets", "ipis", "ipis_saved", "icr_writes", "slowest_cpu",
)  # fmt: skip
CPU_COLUMNS: Final = (
    "phase", "cpu", "socket", "role", "ipis", "handler_ns", "refill_ns", "lost_ns", "idle_woken",
    "irqs_off_delay_ns",
)  # fmt: skip
REASON: Final = {name: i for i, name in enumerate(REASONS)}
STATUS: Final = {name: i for i, name in enumerate(STATUSES)}
_NR_TOTALS = len(CPU_COLUMNS) - 4
_CPU = {name: i for i, name in enumerate(CPU_COLUMNS)}


def kind_of(function: str) -> int:
    """Return the number of the kind of broadcast that runs a function."""
    # Whatever else is called, by a module for one, is no flush.
    return _KIND_OF.get(function, _NO_FLUSH)


@dataclass(slots=True)
class PhaseRecord:
    """Totals of one phase; times in nanoseconds."""

    label: str
    start_ns: int
    end_ns: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    time_by: list[dict[str, int]] = field(default_factory=list)  # by task
    ack: Histogram = field(default_factory=Histogram)
    handler: Histogram = field(default_factory=Histogram)
    ptl_held_max_ns: int = 0
    irqs_off_max_ns: int = 0
    peak_held_pages: int = 0
    free_pages_min: int = 0
    pages: int = 0


class Recorder:
    """Tables and counters of one simulation; ``ipis`` says which broadcasts it keeps in full."""

    def __init__(self, socket_of: tuple[int, ...], ipis: IpiLog | None = None) -> None:
        self._socket_of = socket_of
        self.ipis = IpiLog() if ipis is None else ipis
        self.phases: list[PhaseRecord] = []
        self.folios = IntTable(FOLIO_COLUMNS)
        self.flushes = IntTable(FLUSH_COLUMNS)
        self.cpus = IntTable(CPU_COLUMNS)
        self._first_cpu_row = 0
        self.phase = PhaseRecord("", 0)
        self.counts = self.phase.counts

    def begin_phase(self, label: str, start_ns: int, initiators: Collection[int]) -> None:
        """Start a phase; ``initiators`` are the CPUs that have a task in it."""
        self.phase = PhaseRecord(label, start_ns)
        self.counts = self.phase.counts
        self._first_cpu_row = len(self.cpus)
        for cpu, socket in enumerate(self._socket_of):
            role = 0 if cpu in initiators else 1
            self.cpus.add((len(self.phases), cpu, socket, role, *[0] * _NR_TOTALS))
        self.phases.append(self.phase)

    def end_phase(self, end_ns: int) -> None:
        """End the phase at the time when its last task ended."""
        self.phase.end_ns = end_ns

    def task_ended(self, end_ns: int, time_by: Mapping[str, int], irqs_off_max_ns: int) -> None:
        """Record a task of an ended phase, in the order of the tasks."""
        phase = self.phase
        spent = defaultdict(int, time_by)
        # A task that is done waits for the others.
        spent["sleep"] += phase.end_ns - end_ns
        phase.time_by.append({name: ns for name, ns in spent.items() if ns})
        phase.irqs_off_max_ns = max(phase.irqs_off_max_ns, irqs_off_max_ns)

    # --- broadcasts -----------------------------------------------------------------

    def broadcast_starts(self) -> int:
        """Record the start of a broadcast; return its number."""
        self.counts["on_each_cpu_calls"] += 1
        return self.flushes.reserve()

    def broadcast_ends(
        self, flush: int, reason: str, function: str, row: tuple[int, ...], task: int, cpu: int
    ) -> None:
        """Record a broadcast: its row is ``FLUSH_COLUMNS`` from ``pages`` on."""
        phase, kind = len(self.phases) - 1, kind_of(function)
        self.flushes.put(flush, (phase, flush, task, cpu, REASON[reason], kind, *row))

    def broadcast_ended(self, flush: int, record: memoryview) -> None:
        """Record a broadcast: its row is ``FLUSH_COLUMNS``, as int64."""
        self.flushes.put_words(flush, record)

    # --- CPUs -----------------------------------------------------------------------

    def executed(self, function: str, pages: int, nr: int = 1) -> None:
        """Count executions of a function call, on any CPUs."""
        counts = self.counts
        if function == "do_flush_tlb_all":
            counts["do_flush_tlb_all_exec_total"] += nr
        elif function == "do_kernel_range_flush":
            counts["do_kernel_range_flush_exec_total"] += nr
            counts["flush_tlb_one_kernel_exec_total"] += pages * nr

    def released(self, ack_ns: int) -> None:
        """Record that a CPU gave a csd back, so long after it was enqueued."""
        self.phase.ack.add(ack_ns)

    def handled(
        self, cpu: int, *, sent: bool, state: str, handler_ns: int, refill_ns: int, delay_ns: int
    ) -> None:
        """
        Record a handler that ran on a CPU.

        It found the CPU in a state that kept it out for ``delay_ns``; ``sent`` is
        False where a polling CPU ran its queue without an interrupt.
        """
        row = self._first_cpu_row + cpu
        increase = self.cpus.increase
        self.phase.handler.add(handler_ns)
        if sent:
            increase(row, _CPU["ipis"], 1)
        increase(row, _CPU["handler_ns"], handler_ns)
        increase(row, _CPU["refill_ns"], refill_ns)
        if state == "idle":
            increase(row, _CPU["idle_woken"], 1)
        else:
            increase(row, _CPU["lost_ns"], handler_ns + refill_ns)
            if state == "irqs_off":
                increase(row, _CPU["irqs_off_delay_ns"], delay_ns)

    # --- what the compiled engine has counted itself ----------------------------------

    def add_totals(self, name: str, values: Int64s) -> None:
        """Add to a column of the ``cpus`` frame, by CPU."""
        self.cpus.increase_all(self._first_cpu_row, _CPU[name], values)

    def merge(self, ack: Int64s, handler: Int64s) -> None:
        """Add counts by bucket to the histograms of acknowledgements and handlers."""
        self.phase.ack.merge(ack)
        self.phase.handler.merge(handler)
