# SPDX-License-Identifier: MIT
"""
What a run records
------------------

The engine and the kernel code tell a :class:`Recorder` what happens; it keeps
typed tables and counters, by phase.  Nothing here computes: frames are built
from these tables by :mod:`simulator.trace.frames`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from simulator.trace.contract import CPU_COLUMNS, FLUSH_COLUMNS, FOLIO_COLUMNS, FRAMES
from simulator.trace.ipis import IpiLog
from simulator.trace.tables import Histogram, Int64s, IntTable
from simulator.trace.words import (
    COUNTS,
    KINDS,
    REASONS,
    ROLES,
    STATUSES,
    Words,
    check_count,
    check_work,
)

__all__ = ("PhaseRecord", "Recorder", "Violation")

_KIND: Final = {name: i for i, name in enumerate(KINDS)}
_CPU: Final = {name: i for i, name in enumerate(CPU_COLUMNS)}
_NR_TOTALS: Final = len(CPU_COLUMNS) - 4
_KEYS: Final = FRAMES["counts"].names[: FRAMES["counts"].nr_keys]
_MAX_VIOLATIONS: Final = 100
_INITIATOR, _TARGET = ROLES.index("initiator"), ROLES.index("target")


@dataclass(slots=True)
class PhaseRecord:
    """Totals of one phase; times in nanoseconds."""

    label: str
    start_ns: int
    end_ns: int = 0
    counts: dict[str, int] = field(
        default_factory=lambda: defaultdict(int, dict.fromkeys(COUNTS, 0))
    )
    time_by: list[dict[str, int]] = field(default_factory=list)  # by task
    ack: Histogram = field(default_factory=Histogram)
    handler: Histogram = field(default_factory=Histogram)
    ptl_held_max_ns: int = 0
    irqs_off_max_ns: int = 0
    preempt_off_max_ns: int = 0
    peak_held_pages: int = 0
    free_pages_min: int = 0
    pages: int = 0
    violations: int = 0


class Violation(NamedTuple):
    """What broke an invariant: the columns of the ``violations`` frame that are recorded."""

    ns: int
    cpu: int
    task: int
    invariant: str
    what: str
    store: str
    missing: str
    function: str
    line: int


class Recorder:
    """
    Tables and counters of one simulation; ``ipis`` says which broadcasts it keeps in full.

    ``reasons`` and ``statuses`` number the words of this run.
    """

    def __init__(self, socket_of: tuple[int, ...], ipis: IpiLog | None = None) -> None:
        self._socket_of = socket_of
        self.ipis = IpiLog() if ipis is None else ipis
        self.phases: list[PhaseRecord] = []
        self.reasons = Words("flush reason", REASONS)
        self.statuses = Words("folio status", STATUSES)
        self.folios = IntTable(FOLIO_COLUMNS)
        self.flushes = IntTable(FLUSH_COLUMNS)
        self.cpus = IntTable(CPU_COLUMNS)
        #: With the number of the phase; no more than a hundred, but the first of every invariant.
        self.violations: list[tuple[int, Violation]] = []
        self.times_violated: Counter[str] = Counter()
        #: Of the flushes that no interrupt carried, by number.
        self.mechanism_of: dict[int, str] = {}
        #: How many flushes were before one at the hardware, where there were any.
        self.nr_ahead_of: dict[int, int] = {}
        self._first_cpu_row = 0
        self.phase = PhaseRecord("", 0)
        self.counts = self.phase.counts

    def begin_phase(self, label: str, start_ns: int, initiators: Collection[int]) -> None:
        """Start a phase; ``initiators`` are the CPUs that have a task in it."""
        self.phase = PhaseRecord(label, start_ns)
        self.counts = self.phase.counts
        self._first_cpu_row = len(self.cpus)
        for cpu, socket in enumerate(self._socket_of):
            role = _INITIATOR if cpu in initiators else _TARGET
            self.cpus.add((len(self.phases), cpu, socket, role, *[0] * _NR_TOTALS))
        self.phases.append(self.phase)

    def end_phase(self, end_ns: int) -> None:
        """
        End the phase at the time when its last task ended.

        Raises InputError if kernel code counted something else than in whole numbers.
        """
        self.phase.end_ns = end_ns
        for name, value in self.counts.items():
            check_count(name, value, _KEYS)

    def task_ended(
        self,
        end_ns: int,
        time_by: Mapping[str, int],
        irqs_off_max_ns: int,
        preempt_off_max_ns: int,
    ) -> None:
        """
        Record a task of an ended phase, in the order of the tasks.

        Raises InputError, with the category, if a task's work was no whole number of
        nanoseconds: in a sum that remains to be seen.
        """
        phase = self.phase
        for category, ns in time_by.items():
            check_work(category, ns)
        spent = defaultdict(int, time_by)
        # A task that is done waits for the others.
        spent["sleep"] += phase.end_ns - end_ns
        phase.time_by.append({name: ns for name, ns in spent.items() if ns})
        phase.irqs_off_max_ns = max(phase.irqs_off_max_ns, irqs_off_max_ns)
        phase.preempt_off_max_ns = max(phase.preempt_off_max_ns, preempt_off_max_ns)

    # --- what must hold -------------------------------------------------------------

    def violated(self, violation: Violation) -> None:
        """Record a violation of what must hold; all are counted."""
        self.phase.violations += 1
        times = self.times_violated
        times[violation.invariant] += 1
        if times[violation.invariant] == 1:
            if len(self.violations) == _MAX_VIOLATIONS:
                self._drop_repeated()
        elif len(self.violations) == _MAX_VIOLATIONS:
            return
        self.violations.append((len(self.phases) - 1, violation))

    def _drop_repeated(self) -> None:
        # The last one that is not the first of its invariant.
        seen: set[str] = set()
        repeated = -1
        for i, (_, violation) in enumerate(self.violations):
            if violation.invariant in seen:
                repeated = i
            seen.add(violation.invariant)
        del self.violations[repeated]

    # --- broadcasts -----------------------------------------------------------------

    def broadcast_starts(self) -> int:
        """Record the start of a broadcast; return its number."""
        self.counts["on_each_cpu_calls"] += 1
        return self.flushes.reserve()

    def hardware_starts(self) -> int:
        """Record the start of a flush that no interrupt carries; return its number."""
        return self.flushes.reserve()

    def by_hardware(self, flush: int, mechanism: str, nr_ahead: int) -> None:
        """Record how a flush was carried, and how many the hardware did before it."""
        self.mechanism_of[flush] = mechanism
        if nr_ahead:
            self.nr_ahead_of[flush] = nr_ahead

    def broadcast_ends(
        self, flush: int, reason: str, kind: str, row: tuple[int, ...], task: int, cpu: int
    ) -> None:
        """Record a broadcast: its row is ``FLUSH_COLUMNS`` from ``pages`` on."""
        words = self.reasons[reason], _KIND[kind]
        self.flushes.put(flush, (len(self.phases) - 1, flush, task, cpu, *words, *row))

    def broadcast_ended(self, flush: int, record: memoryview) -> None:
        """Record a broadcast: its row is ``FLUSH_COLUMNS``, as int64."""
        self.flushes.put_words(flush, record)

    # --- CPUs -----------------------------------------------------------------------

    def executed(self, kind: str, pages: int) -> None:
        """Count the execution of a function call, of one of ``KINDS``, on any CPU."""
        counts = self.counts
        if kind == "all":
            counts["do_flush_tlb_all_exec_total"] += 1
        elif kind == "range":
            counts["do_kernel_range_flush_exec_total"] += 1
            counts["flush_tlb_one_kernel_exec_total"] += pages

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
