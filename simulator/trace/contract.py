# SPDX-License-Identifier: MIT
"""
The frames that a result offers
-------------------------------

Every frame, its columns in their order, their types and what they mean: the
contract between a run and everything that reads it.  Whatever builds, saves,
loads, exports or describes a frame goes by this table.

Integers are int64, times in nanoseconds of simulated time (``_ns``) unless the
name says otherwise.  A frame is sorted by its first columns.  Columns are added,
never renamed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from simulator.trace.words import (
    COUNTS,
    KINDS,
    LATENCIES,
    MECHANISMS,
    REASONS,
    ROLES,
    STATES,
    STATUSES,
    VECTORS,
)

__all__ = (
    "CPU_COLUMNS",
    "FLUSH_COLUMNS",
    "FOLIO_COLUMNS",
    "FRAMES",
    "IPIS",
    "IPI_COLUMNS",
    "Column",
    "Frame",
)

Kind = Literal["int64", "float64", "bool", "word"]


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column; ``words`` are the known values of one of words, ``()`` if there are none.

    ``about`` says what the name does not.  A ``derived`` one is computed from the
    others, and not recorded.
    """

    name: str
    about: str = ""
    kind: Kind = "int64"
    words: tuple[str, ...] = ()
    derived: bool = False

    def describe(self) -> str:
        """Return the column and what it means as a phrase."""
        about = self.about
        if self.words:
            about = ", ".join([*filter(None, [about]), *(f"``{word}``" for word in self.words)])
        return f"``{self.name}``: {about}" if about else f"``{self.name}``"


@dataclass(frozen=True, slots=True)
class Frame:
    """
    A frame: one row per ``row``, sorted by its first ``nr_keys`` columns.

    An ``open`` one may have further columns, integers, under a kernel's own names.
    """

    name: str
    row: str
    nr_keys: int
    columns: tuple[Column, ...]
    open: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def recorded(self) -> tuple[str, ...]:
        """The names of the columns that are recorded, and not computed from others."""
        return tuple(column.name for column in self.columns if not column.derived)

    def column(self, name: str) -> Column:
        """Return a column by its name; KeyError for an unknown one."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def describe(self) -> str:
        """Return what the frame holds, as the text of a docstring."""
        phrases = "; ".join(column.describe() for column in self.columns)
        more = "; and whatever else the kernel counts, under its own name" if self.open else ""
        return f"One row per {self.row}.\n\n{textwrap.fill(phrases + more + '.', 72)}\n"


_PHASE: Final = Column("phase", kind="word")

_SUMMARY = Frame(
    "summary", "phase", 1,
    (
        _PHASE,
        Column("pages", "folios worked on"),
        Column("elapsed_ns"),
        Column("elapsed_s", kind="float64"),
        Column("pages_per_s", kind="float64"),
        Column("flushes", "broadcast flush_tlb_*() calls"),
        Column("ipis", "CPUs interrupted for them"),
        Column("ipis_saved", "queues found not empty, so no IPI"),
        Column("other_broadcasts", "static-key patching"),
        Column("other_ipis"),
        Column("flush_ns", "the tasks' time in flushes"),
        Column("flush_share", "of all their time", "float64"),
        Column("pmd_splits"),
        Column("optimized_folios"),
        Column("failed_folios", "not optimised, or not given back"),
        Column("peak_held_pages", "most vmemmap pages unmapped and not yet given back"),
        Column("free_pages_min", "fewest free base pages"),
        Column("ptl_held_max_ns", "longest hold of init_mm.page_table_lock"),
        Column("irqs_off_max_ns", "longest stretch with interrupts off on a task's CPU"),
        Column("preempt_off_max_ns", "with preemption off: a broadcast, or a spinlock held and"
               " spun for"),
        Column("victim_lost_median_ns", "lost by the other CPUs"),
        Column("victim_lost_max_ns"),
        Column("violations", "of what must hold, see the frame of that name"),
    ),
)  # fmt: skip

_COUNTED: Final = {
    "pages_got": "huge pages in the pool at the end",
    "do_flush_tlb_all_exec_total": "on all CPUs, as the next two",
}
_COUNTS = Frame(
    "counts", "phase: how often what ran, as counted with kprobes", 1,
    (
        _PHASE,
        *(Column(name, _COUNTED.get(name, "")) for name in COUNTS),
    ),
    open=True,
)  # fmt: skip

_FOLIOS = Frame(
    "folios", "folio and phase", 2,
    (
        _PHASE,
        Column("folio", "by order of allocation"),
        Column("task", "the one that worked on it last (of a surplus page that is freed, a"
               " kworker)"),
        Column("pfn"),
        Column("start_ns", "work on it began"),
        Column("split_ns", "duration without flushes, as the next two; no nanosecond is in two"
               " of these four"),
        Column("remap_ns", "without a split on the way"),
        Column("restore_ns"),
        Column("flush_ns", "in flushes made for this folio alone"),
        Column("end_ns", "its own work ended"),
        Column("ready_ns", "in the pool, or back with the allocator"),
        Column("status", "what became of it at last", "word", STATUSES),
    ),
)  # fmt: skip

_FLUSHES = Frame(
    "flushes", "broadcast", 2,
    (
        _PHASE,
        Column("flush", "by start"),
        Column("task", "the initiator"),
        Column("cpu", "the initiator's"),
        Column("reason", "", "word", REASONS),
        Column("kind", "how far it flushes", "word", KINDS),
        Column("pages", "of the range; 0: everything"),
        Column("start_ns"),
        Column("send_end_ns", "last IPI sent"),
        Column("last_ack_ns", "last csd released"),
        Column("end_ns"),
        Column("targets"),
        Column("ipis"),
        Column("ipis_saved"),
        Column("icr_writes", "writes to the interrupt controller, or hypercalls"),
        Column("slowest_cpu", "-1: none"),
        Column("vector", "of the IPIs, by whether one CPU was interrupted", "word", VECTORS,
               derived=True),
        Column("mechanism", "what carried it to other CPUs", "word", MECHANISMS, derived=True),
        Column("nr_ahead", "flushes that the hardware did before it", derived=True),
    ),
)  # fmt: skip

_CPUS = Frame(
    "cpus", "CPU and phase", 2,
    (
        _PHASE,
        Column("cpu"),
        Column("socket"),
        Column("role", "", "word", ROLES),
        Column("ipis", "taken"),
        Column("handler_ns"),
        Column("refill_ns", "TLB misses after flushes"),
        Column("lost_ns", "handlers, refills and stalls, while it had work to do"),
        Column("idle_woken", "times an idle CPU was woken"),
        Column("irqs_off_delay_ns", "added to acknowledgements"),
        Column("stall_ns", "stopped by hardware, without a handler"),
    ),
)  # fmt: skip

_TIME_BY = Frame(
    "time_by", "phase, task and category; sums to the phase's elapsed time per task", 3,
    (
        _PHASE,
        Column("task"),
        Column("category", "of words.CATEGORIES, or a kernel's own", "word"),
        Column("ns"),
        Column("share", "of the elapsed time", "float64"),
    ),
)  # fmt: skip

_THROUGHPUT = Frame(
    "throughput", "window of time", 2,
    (
        _PHASE,
        Column("start_ns"),
        Column("window_ns"),
        Column("folios", "that became ready in it"),
        Column("folios_worked", "whose own work ended in it"),
        Column("pages_per_s", "ready ones", "float64"),
    ),
)  # fmt: skip

_LATENCY = Frame(
    "latency", "histogram bucket: log-linear, 128 to an octave, exactly mergeable", 3,
    (
        _PHASE,
        Column("what", "a folio from start to ready, a flush, a csd from enqueue to release, a"
               " handler", "word", LATENCIES),
        Column("low_ns"),
        Column("high_ns", "exclusive"),
        Column("count"),
    ),
)  # fmt: skip

_VIOLATIONS = Frame(
    "violations", "violation of what must hold; the first hundred", 2,
    (
        _PHASE,
        Column("ns", "when"),
        Column("cpu"),
        Column("task"),
        Column("invariant", "", "word"),
        Column("what", "the folio, PMD or lock", "word"),
        Column("store", "what was done", "word"),
        Column("missing", "what should have come before", "word"),
        Column("function", "of the kernel", "word"),
        Column("line", "of the file that has it"),
        Column("times", "how often the run broke this invariant"),
    ),
)  # fmt: skip

#: On demand: what :meth:`simulator.trace.result.Result.ipis` returns.
IPIS: Final = Frame(
    "ipis", "flush and target", 2,
    (
        Column("flush", "as in ``flushes``"),
        Column("cpu"),
        Column("enqueue_ns"),
        Column("send_ns", "-1: none sent"),
        Column("arrive_ns"),
        Column("start_ns"),
        Column("end_ns", "csd released"),
        Column("ack_ns", "seen by the initiator"),
        Column("state", "in which it found the CPU", "word", STATES),
        Column("sent", "False where the queue was not empty or the CPU polled", "bool"),
    ),
)  # fmt: skip

#: The frames that every result has, by name.
FRAMES: Final[Mapping[str, Frame]] = {
    frame.name: frame
    for frame in (
        _SUMMARY, _COUNTS, _FOLIOS, _FLUSHES, _CPUS, _TIME_BY, _THROUGHPUT, _LATENCY,
        _VIOLATIONS,
    )
}  # fmt: skip

# What a row of a record holds.
FOLIO_COLUMNS: Final = _FOLIOS.recorded
FLUSH_COLUMNS: Final = _FLUSHES.recorded
CPU_COLUMNS: Final = _CPUS.recorded
IPI_COLUMNS: Final = IPIS.recorded
