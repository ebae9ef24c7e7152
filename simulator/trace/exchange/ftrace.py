# SPDX-License-Identifier: MIT
"""
Traces of real machines, as frames
----------------------------------

:func:`read_ftrace` reads what ``trace``, ``trace_pipe``, ``trace-cmd report`` or
``perf script`` printed, and offers it in the frames of a simulation, as far as a
trace can tell: flushes, their targets, counts and latencies.

Modelled: see :mod:`simulator.trace.exchange.lines` for the forms that are read and
:mod:`simulator.trace.exchange.pairing` for how events become flushes.

Not modelled: which clock the trace was taken with, as no file says; seconds are
taken for nanoseconds since some time, whole numbers for a counter or for cycles.

Sources: kernel/trace/trace.c, trace_clocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from simulator.errors import InputError
from simulator.trace.exchange.lines import BadLine, TraceLines
from simulator.trace.exchange.pairing import Pairing
from simulator.trace.exchange.textfile import TextFile
from simulator.trace.exchange.tracepoints import CALLBACKS, FLUSHES
from simulator.trace.frames import Category, Columns, to_frame
from simulator.trace.tables import Histogram, Int64s

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("Ftrace", "read_ftrace")

_FUNCTIONS: Final = tuple(FLUSHES)
_KINDS: Final = tuple(dict.fromkeys(flush.kind for flush in FLUSHES.values()))
_REASONS: Final = ("unknown", "sync_core")
_VECTORS: Final = ("none", "CALL_FUNCTION_SINGLE", "CALL_FUNCTION", "unknown")
_STATES: Final = ("running", "idle", "unknown")
_TARGET_TIMES: Final = ("enqueue", "send", "entry", "start", "end", "exit")
# A processor makes more cycles than this from one event to the next, a counter one step.
_COUNTER_STEPS = 64
_COUNTED: Final = (
    ("flush_tlb_kernel_range", "flush_tlb_kernel_range_calls"),
    ("flush_tlb_all", "flush_tlb_all_calls"),
    ("on_each_cpu_cond_mask", "on_each_cpu_calls"),
    ("synchronize_rcu", "synchronize_rcu_calls"),
)
_EXECUTED: Final = (
    ("do_flush_tlb_all", "do_flush_tlb_all_exec_total"),
    ("do_kernel_range_flush", "do_kernel_range_flush_exec_total"),
)


class Ftrace:
    """
    A trace of a real machine, with the frames of a :class:`simulator.trace.result.Result`.

    ``path``; ``source``: ``ftrace``, ``trace-cmd`` or ``perf``; ``tracer`` and
    ``release`` of the kernel where printed; ``clock``: ``ns``, ``jiffies``,
    ``cycles``, ``counter`` or ``none``; ``nr_cpus``: by the header, or the CPUs seen;
    ``events``: lines by event; ``unknown``: the first line of each event that means
    nothing to a flush; ``lost``: events that the trace says were lost, and
    ``overwritten``: that its header says were; ``bad_lines`` and the first of them,
    ``bad``; ``complete``: nothing is missing from the file; ``notes``: what it could
    not tell.  Times that it does not tell are -1.
    """

    def __init__(self, path: Path, file: TextFile, lines: TraceLines, pairing: Pairing,
                 tsc_hz: int | None) -> None:  # fmt: skip
        self.path = path
        self.source = lines.source
        self.tracer = lines.tracer
        self.release = lines.release
        self.events: Counter[str] = pairing.events
        self.unknown = dict(pairing.unknown)
        self.tlb_flush_reasons = pairing.reasons
        self.csds = {
            name: (pairing.queued[name], pairing.executed[name])
            for name in sorted(pairing.queued | pairing.executed)
        }
        self.lines = lines.nr_lines
        self.comments = lines.nr_comments
        self.entries = lines.entries
        self.header_cpus = lines.nr_cpus
        self.nr_cpus = max([lines.nr_cpus or 0, 1 + max(pairing.cpus, default=-1)])
        self.lost = lines.lost
        self.lost_markers = lines.lost_markers
        self.overwritten = max(0, lines.entries[1] - lines.entries[0]) if lines.entries else 0
        self.missing = max(0, lines.entries[0] - lines.nr_events) if lines.entries else 0
        self.bad_lines = lines.nr_bad
        self.bad: tuple[BadLine, ...] = tuple(lines.bad)
        self.unmatched = pairing.unmatched
        self.cut = lines.cut_start or lines.cut_end or file.gzip_cut
        # A bad line may have been an event; a header that counts them all knows better.
        unsure = bool(lines.nr_bad) and (lines.entries is None or bool(self.missing))
        self.complete = not (
            self.lost_markers or lines.started or self.overwritten or self.missing or self.cut
            or unsure
        )  # fmt: skip
        self.cpus_seen = frozenset(pairing.cpus)
        self.clock = _clock(lines, pairing)
        self._scale = _scale(self.clock, tsc_hz)
        self._phases = pairing.phases
        self._labels = _labels(pairing)
        self._flushes, self._targets = _sorted_rows(pairing)
        self._with_csds = bool(pairing.queued or pairing.executed)
        self._with_sends = any(pairing.events[f"ipi_send_{to}"] for to in ("cpu", "cpumask"))
        self.start_ns, self.end_ns = self._ns(
            np.array([pairing.first, pairing.last], dtype=np.int64)
        ).tolist()

    # --- frames ---------------------------------------------------------------------------------

    @cached_property
    def flushes(self) -> pd.DataFrame:
        """
        One row per broadcast, by start.

        ``phase``, ``flush``, ``task`` (PID), ``cpu``: the initiator; ``function``:
        ``flush_tlb_all``, ``flush_tlb_kernel_range``, ``flush_tlb_mm_range``, ...;
        ``reason``: ``sync_core`` or ``unknown``; ``kind``: ``all``, ``range``, ``mm`` (of a
        process), ``none`` (no flush); ``pages`` of the range (0: everything); ``start_ns``;
        ``send_end_ns``: last IPI sent; ``last_ack_ns``: last csd released; ``end_ns``: the
        call returned, or without a probe on that the last csd was released;
        ``elapsed_ns``; ``targets``; ``ipis``; ``ipis_saved``; ``slowest_cpu``; ``vector``;
        ``returned``: the return was seen; ``complete``: no event of it is missing. -1:
        not in the trace.
        """
        return to_frame(self._flush_columns())

    def ipis(self, flushes: Collection[int] | None = None) -> pd.DataFrame:
        """
        Return the targets of some flushes, or of all.

        One row per flush and target: ``flush``, ``cpu``, ``enqueue_ns``, ``send_ns``;
        ``start_ns``: the handler was entered; ``function_ns``: the callback was called;
        ``end_ns``: csd released; ``exit_ns``: the handler was left; ``state`` in which it
        found the CPU: ``running``, ``idle``, ``unknown``; ``sent``: False where no IPI
        was sent to it.
        """
        rows = self._targets
        ns = {name: self._ns(rows[name]) for name in _TARGET_TIMES}
        columns: Columns = {
            "flush": rows["flush"],
            "cpu": rows["cpu"],
            "enqueue_ns": ns["enqueue"],
            "send_ns": ns["send"],
            "start_ns": ns["entry"],
            "function_ns": ns["start"],
            "end_ns": ns["end"],
            "exit_ns": ns["exit"],
            "state": Category(np.where(rows["idle"] < 0, 2, rows["idle"]), _STATES),
            "sent": self._sent(),
        }
        frame = to_frame(columns)
        if flushes is None:
            return frame
        known = len(self._flushes["cpu"])
        for flush in flushes:
            if not 0 <= flush < known:
                raise InputError(f"flushes: {flush} is not 0 to {known - 1}")
        return frame[frame["flush"].isin(list(flushes))].reset_index(drop=True)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """
        One row per phase.

        A phase is a write to nr_hugepages, if there was a probe on it: ``alloc`` or
        ``free`` by what it calls, or ``write``; ``other`` what is outside; ``trace`` all of
        it. ``phase``, ``elapsed_ns``, ``elapsed_s``, ``flushes``, ``ipis``, ``ipis_saved``,
        ``other_broadcasts``, ``other_ipis`` (text patching), ``flush_ns``,
        ``victim_lost_median_ns``, ``victim_lost_max_ns``: in handlers of flushes, by the
        CPUs that had any; as in a simulation.
        """
        return to_frame(self._summary_columns())

    @cached_property
    def counts(self) -> pd.DataFrame:
        """
        One row per phase: how often what ran, the columns for which the trace has events.

        The names are those of a simulation: ``flush_tlb_all_calls``,
        ``do_flush_tlb_all_exec_total``, ``on_each_cpu_calls``, ...
        """
        return to_frame(self._count_columns())

    @cached_property
    def latency(self) -> pd.DataFrame:
        """
        Histograms, mergeable: ``phase``, ``what``, ``low_ns``, ``high_ns``, ``count``.

        ``what``: ``flush``, ``ack`` (from enqueue to release), ``handler`` (from entry to
        exit); only of flushes, and only those that are complete.
        """
        return to_frame(self._latency_columns())

    # --- columns --------------------------------------------------------------------------------

    def _ns(self, ticks: Int64s) -> Int64s:
        if self._scale is None:
            return np.full(len(ticks), -1, dtype=np.int64)
        if self._scale == 1:
            return ticks
        numerator, denominator = 10**9, self._scale
        # Cycles of a machine that ran for months times 10**9 do not fit into 64 bits.
        whole, rest = np.divmod(ticks, denominator)
        return np.where(ticks < 0, -1, whole * numerator + rest * numerator // denominator)

    def _flush_columns(self) -> Columns:
        rows = self._flushes
        functions = rows["function"]
        kinds = np.array([_KINDS.index(f.kind) for f in FLUSHES.values()])[functions]
        # A range above the ceiling of single pages is flushed as everything.
        above = (rows["everything"] != 0) & (kinds == _KINDS.index("range"))
        kinds = np.where(above, _KINDS.index("all"), kinds)
        ipis = rows["ipis"]
        if self._with_sends:
            # None was sent: a queue was not empty, or its CPU polled.
            ipis = np.where((ipis < 0) & self._whole(), 0, ipis)
        return {
            "phase": self._phase_column(rows["phase"]),
            "flush": np.arange(len(functions), dtype=np.int64),
            "task": rows["task"],
            "cpu": rows["cpu"],
            "function": Category(functions, _FUNCTIONS),
            "reason": Category((kinds == _KINDS.index("none")).astype(np.int64), _REASONS),
            "kind": Category(kinds, _KINDS),
            "pages": rows["pages"],
            "start_ns": self._ns(rows["start"]),
            "send_end_ns": self._ns(rows["send_end"]),
            "last_ack_ns": self._ns(rows["last_ack"]),
            "end_ns": self._ns(rows["end"]),
            "elapsed_ns": self._elapsed(),
            "targets": rows["targets"],
            "ipis": ipis,
            "ipis_saved": np.where(ipis < 0, -1, rows["targets"] - ipis),
            "slowest_cpu": rows["slowest_cpu"],
            "vector": Category(np.where(ipis < 0, 3, np.minimum(ipis, 2)), _VECTORS),
            "returned": rows["returned"] != 0,
            "complete": self._whole(),
        }

    def _sent(self) -> npt.NDArray[np.bool_]:
        rows = self._targets
        told = self._with_sends & self._whole()[rows["flush"]]
        sent: npt.NDArray[np.bool_] = np.where(told, rows["sent"] == 1, rows["sent"] != 0)
        return sent

    # function_graph prints durations, with or without a clock.
    def _elapsed(self) -> Int64s:
        printed = self._flushes["duration"]
        return np.where(printed >= 0, printed, self._ns(self._flushes["elapsed"]))

    # Without csd events nothing says how many targets a flush had: of the kernel's own, all.
    def _whole(self) -> npt.NDArray[np.bool_]:
        whole: npt.NDArray[np.bool_] = self._flushes["complete"] != 0
        if not self._with_csds:
            whole &= self._flushes["targets"] == self.nr_cpus - 1
        return whole

    def _phase_column(self, numbers: Int64s) -> Category:
        return Category(numbers, self._labels)

    def _used_phases(self) -> list[int]:
        with_rows = set(np.unique(self._flushes["phase"]).tolist())
        used = [
            i for i in range(len(self._phases)) if i or 0 in with_rows or len(self._phases) == 1
        ]
        return used or [0]

    def _summary_columns(self) -> Columns:
        flushes, targets = self._flush_columns(), self._targets
        phase_of = self._flushes["phase"]
        is_flush = self._is_flush()
        lost = self._handler_ns()
        rows = []
        for number in self._used_phases():
            here = phase_of == number
            mine, other = here & is_flush, here & ~is_flush
            elapsed = self._elapsed_ns(number)
            handlers = np.where(mine[targets["flush"]] & (lost >= 0), lost, 0)
            by_cpu = np.bincount(targets["cpu"], weights=handlers) if len(handlers) else handlers
            by_cpu = by_cpu[by_cpu > 0]
            rows.append(
                {
                    "elapsed_ns": elapsed,
                    "elapsed_s": elapsed / 1e9 if elapsed >= 0 else -1.0,
                    "flushes": int(mine.sum()),
                    "ipis": _sum_known(flushes["ipis"], mine),
                    "ipis_saved": _sum_known(flushes["ipis_saved"], mine),
                    "other_broadcasts": int(other.sum()),
                    "other_ipis": _sum_known(flushes["ipis"], other),
                    "flush_ns": _sum_known(flushes["elapsed_ns"], mine),
                    "victim_lost_median_ns": int(np.median(by_cpu)) if len(by_cpu) else -1,
                    "victim_lost_max_ns": int(by_cpu.max()) if len(by_cpu) else -1,
                }
            )
        columns: Columns = {"phase": self._phase_column(np.array(self._used_phases()))}
        for name in rows[0]:
            columns[name] = np.array([row[name] for row in rows])
        return columns

    def _elapsed_ns(self, number: int) -> int:
        phase = self._phases[number]
        if number == 0:
            return self.end_ns - self.start_ns if self.start_ns >= 0 else -1
        start, end = self._ns(np.array([phase.start, phase.end], dtype=np.int64)).tolist()
        return end - start if 0 <= start <= end else -1

    def _count_columns(self) -> Columns:
        used = self._used_phases()
        columns: Columns = {"phase": self._phase_column(np.array(used))}
        for function, name in _COUNTED:
            calls = [self._phases[i].calls[function] for i in used]
            if any(phase.calls[function] for phase in self._phases):
                columns[name] = np.array(calls, dtype=np.int64)
        for function, name in _EXECUTED:
            executed = [self._executions(function, i) for i in used]
            if any(phase.calls[function] for phase in self._phases) or self.csds.get(function):
                columns[name] = np.array(executed, dtype=np.int64)
        return columns

    # A probe on the callback, or the csds that ran.
    def _executions(self, function: str, number: int) -> int:
        probed = self._phases[number].calls[function]
        if probed:
            return probed
        rows = self._flushes
        mine = rows["function"] == _FUNCTIONS.index(CALLBACKS[function])
        mine &= rows["phase"] == number
        return int((rows["targets"] + 1)[mine].sum())

    def _is_flush(self) -> npt.NDArray[np.bool_]:
        is_flush = np.array([flush.kind != "none" for flush in FLUSHES.values()])
        found: npt.NDArray[np.bool_] = is_flush[self._flushes["function"]]
        return found

    def _handler_ns(self) -> Int64s:
        entry, out = (self._ns(self._targets[name]) for name in ("entry", "exit"))
        end = np.where(out >= 0, out, self._ns(self._targets["end"]))
        return np.where((entry >= 0) & (end >= entry), end - entry, -1)

    def _latency_columns(self) -> Columns:
        targets = self._targets
        usable = self._is_flush() & self._whole()
        of = targets["flush"]
        enqueue, end = self._ns(targets["enqueue"]), self._ns(targets["end"])
        ack = np.where((enqueue >= 0) & (end >= enqueue), end - enqueue, -1)
        what = (
            (self._elapsed(), usable, self._flushes["phase"]),
            (ack, usable[of], self._flushes["phase"][of]),
            (self._handler_ns(), usable[of], self._flushes["phase"][of]),
        )
        rows: list[tuple[int, int, int, int, int]] = []
        for number in self._used_phases():
            for kind, (values, wanted, phase_of) in enumerate(what):
                histogram = Histogram()
                for ns in values[wanted & (phase_of == number) & (values >= 0)].tolist():
                    histogram.add(int(ns))
                rows += [(number, kind, *bucket) for bucket in histogram.rows()]
        table = np.array(rows, dtype=np.int64).reshape(-1, 5)
        return {
            "phase": self._phase_column(table[:, 0]),
            "what": Category(table[:, 1], ("flush", "ack", "handler")),
            "low_ns": table[:, 2],
            "high_ns": table[:, 3],
            "count": table[:, 4],
        }

    # --- in words -------------------------------------------------------------------------------

    @property
    def flush_counts(self) -> dict[str, int]:
        """Flushes that began in the trace, by function; broadcasts that flush nothing apart."""
        numbers = np.bincount(self._flushes["function"], minlength=len(_FUNCTIONS)).tolist()
        return {
            name: count
            for name, count in zip(_FUNCTIONS, numbers, strict=True)
            if count and FLUSHES[name].kind != "none"
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What the trace could not tell, a sentence each."""
        found = []
        if self.clock == "none":
            option = "funcgraph-abstime" if self.tracer == "function_graph" else "context-info"
            found.append(f"no times: it was printed without option {option}")
        elif self.clock == "counter":
            found.append("no times: trace_clock was counter, which counts events")
        elif self.clock == "cycles" and self._scale is None:
            found.append("times are cycles (trace_clock x86-tsc); no times without --tsc-hz")
        elif self.clock == "jiffies":
            found.append("times are jiffies (trace_clock uptime): nothing shorter than 10 ms")
        if self.lost_markers:
            found.append(f"{self.lost or 'some'} events were lost while it was read")
        if self.overwritten:
            found.append(f"{self.overwritten} events were overwritten before it was read")
        if self.missing:
            found.append(f"{self.missing} events of its header are not in the file")
        if self.cut:
            found.append("the file is cut")
        if self.nr_cpus > 1 and len(self.cpus_seen) == 1:
            found.append(f"it holds events of CPU {min(self.cpus_seen)} alone")
        if self.bad_lines:
            found.append(f"{self.bad_lines} lines are no part of a trace")
        if self.unmatched:
            found.append(
                f"{self.unmatched} handlers or returns belong to flushes that began earlier"
            )
        return tuple(found)


def read_ftrace(path: str | Path, *, tsc_hz: int | None = None) -> Ftrace:
    """
    Read the trace of a real machine: a text file, gzipped or not.

    :param path: what ``trace``, ``trace_pipe``, ``per_cpu/*/trace`` or ``snapshot`` of tracefs
        held, or ``trace-cmd report`` or ``perf script`` printed.
    :param tsc_hz: the frequency of a trace whose clock was x86-tsc, per second.

    Raises InputError for a file that is no trace; lines that are no part of one are counted.
    """
    if tsc_hz is not None and tsc_hz <= 0:
        raise InputError(f"tsc_hz: {tsc_hz} is not above 0")
    file = TextFile(Path(path))
    lines = TraceLines(file)
    pairing = Pairing()
    take, losses, seen = pairing.take, lines.losses, 0
    for event in lines.events():
        if len(losses) != seen:
            seen = len(losses)
            pairing.lose()
        take(event)
    if len(losses) != seen:
        pairing.lose()
    pairing.finish()
    known = pairing.events.keys() - pairing.unknown.keys()
    # Any text has lines that look like an event without context.
    if not lines.context and pairing.events and not known:
        raise file.refuse("holds no line of a trace")
    return Ftrace(Path(path), file, lines, pairing, tsc_hz)


def _clock(lines: TraceLines, pairing: Pairing) -> str:
    if pairing.first < 0:
        return "none" if lines.nr_events else "ns"
    if lines.in_ticks:
        steps = pairing.last - pairing.first
        return "counter" if steps < _COUNTER_STEPS * max(2, lines.nr_events) else "cycles"
    return "jiffies" if pairing.coarse and pairing.last > pairing.first else "ns"


def _scale(clock: str, tsc_hz: int | None) -> int | None:
    if clock in ("ns", "jiffies"):
        return 1
    return tsc_hz if clock == "cycles" else None


# As a simulation names them: alloc, free, alloc2, ...
def _labels(pairing: Pairing) -> tuple[str, ...]:
    found = ["other" if len(pairing.phases) > 1 else "trace"]
    seen: Counter[str] = Counter()
    for phase in pairing.phases[1:]:
        kind = phase.kind or "write"
        seen[kind] += 1
        found.append(kind if seen[kind] == 1 else f"{kind}{seen[kind]}")
    return tuple(found)


def _sorted_rows(pairing: Pairing) -> tuple[dict[str, Int64s], dict[str, Int64s]]:
    flushes = {name: np.array(values, dtype=np.int64) for name, values in pairing.flushes.items()}
    targets = {name: np.array(values, dtype=np.int64) for name, values in pairing.targets.items()}
    # Several may begin in one microsecond.
    order = np.lexsort((flushes["begun"], flushes["start"]))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    targets["flush"] = number[targets["flush"]]
    by_flush = np.lexsort((targets["cpu"], targets["flush"]))
    return (
        {name: values[order] for name, values in flushes.items()},
        {name: values[by_flush] for name, values in targets.items()},
    )


def _sum_known(values: Any, rows: npt.NDArray[np.bool_]) -> int:
    """Return the sum of what is known; -1 where nothing is known of anything."""
    found = values[rows]
    found = found[found >= 0]
    return int(found.sum()) if len(found) or not rows.any() else -1
