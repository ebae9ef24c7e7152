# SPDX-License-Identifier: MIT
"""
Frames from records
-------------------

The columns of every frame that a result offers, computed from a
:class:`simulator.trace.recorder.Recorder` with numpy alone.  What the columns
mean is said in :class:`simulator.trace.result.Result`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.trace.ipis import IPI_COLUMNS, STATES, IpiLog
from simulator.trace.recorder import (
    COUNTS,
    KINDS,
    REASONS,
    STATUSES,
    PhaseRecord,
    Recorder,
)
from simulator.trace.tables import Int64s, bucket_bounds, bucket_of

__all__ = ("FRAMES", "Category", "Columns", "columns_of", "ipi_columns")

_WINDOWS = 64  # of the throughput frame, to a phase
_NO_FLUSH = KINDS.index("none")
_TARGET = 1  # of ROLES
_ROLES = ("initiator", "target")


@dataclass(frozen=True, slots=True)
class Category:
    """A column of names: ``names[codes[i]]``."""

    codes: Int64s
    names: tuple[str, ...]


Column = npt.NDArray[np.int64] | npt.NDArray[np.float64] | npt.NDArray[np.bool_] | Category
Columns = dict[str, Column]


def columns_of(recorder: Recorder, frame: str) -> Columns:
    """Return the columns of a frame by its name; KeyError for an unknown one."""
    return FRAMES[frame](recorder)


def _labels(recorder: Recorder) -> tuple[str, ...]:
    return tuple(phase.label for phase in recorder.phases)


def _phases(recorder: Recorder, codes: Sequence[int] | Int64s) -> Category:
    return Category(np.asarray(codes, dtype=np.int64), _labels(recorder))


def _summary(recorder: Recorder) -> Columns:
    # Only what is needed: a long run has a million rows.
    names = ("phase", "kind", "start_ns", "end_ns", "ipis", "ipis_saved")
    flushes = {name: recorder.flushes.column(name) for name in names}
    folios = {name: recorder.folios.column(name) for name in ("phase", "status")}
    cpus = {name: recorder.cpus.column(name) for name in ("phase", "role", "lost_ns")}
    rows = [
        _summary_row(i, phase, flushes, folios, cpus) for i, phase in enumerate(recorder.phases)
    ]
    columns: Columns = {"phase": _phases(recorder, range(len(rows)))}
    for name in rows[0] if rows else ():
        columns[name] = np.array([row[name] for row in rows])
    return columns


def _summary_row(
    number: int,
    phase: PhaseRecord,
    flushes: Mapping[str, Int64s],
    folios: Mapping[str, Int64s],
    cpus: Mapping[str, Int64s],
) -> dict[str, int | float]:
    here = flushes["phase"] == number
    flush = here & (flushes["kind"] != _NO_FLUSH)
    other = here & ~flush
    flush_ns = int((flushes["end_ns"] - flushes["start_ns"])[flush].sum())
    elapsed_ns = phase.end_ns - phase.start_ns
    status = folios["status"][folios["phase"] == number]
    failed = np.isin(status, [STATUSES.index(s) for s in ("split_failed", "restore_failed")])
    lost_ns = cpus["lost_ns"][(cpus["phase"] == number) & (cpus["role"] == _TARGET)]
    return {
        "pages": len(status),
        "elapsed_ns": elapsed_ns,
        "elapsed_s": elapsed_ns / 1e9,
        "pages_per_s": len(status) / elapsed_ns * 1e9 if elapsed_ns else 0.0,
        "flushes": int(flush.sum()),
        "ipis": int(flushes["ipis"][flush].sum()),
        "ipis_saved": int(flushes["ipis_saved"][flush].sum()),
        "other_broadcasts": int(other.sum()),
        "other_ipis": int(flushes["ipis"][other].sum()),
        "flush_ns": flush_ns,
        "flush_share": flush_ns / (elapsed_ns * len(phase.time_by)) if elapsed_ns else 0.0,
        "pmd_splits": phase.counts["pmd_splits"],
        "optimized_folios": int((status == STATUSES.index("optimized")).sum()),
        "failed_folios": int(failed.sum()),
        "peak_held_pages": phase.peak_held_pages,
        "free_pages_min": phase.free_pages_min,
        "ptl_held_max_ns": phase.ptl_held_max_ns,
        "irqs_off_max_ns": phase.irqs_off_max_ns,
        "victim_lost_median_ns": int(np.median(lost_ns)) if len(lost_ns) else 0,
        "victim_lost_max_ns": int(lost_ns.max()) if len(lost_ns) else 0,
    }


def _counts(recorder: Recorder) -> Columns:
    columns: Columns = {"phase": _phases(recorder, range(len(recorder.phases)))}
    for name in COUNTS:
        columns[name] = np.array([p.counts[name] for p in recorder.phases], dtype=np.int64)
    return columns


def _folios(recorder: Recorder) -> Columns:
    columns = recorder.folios.columns()
    order = np.lexsort((columns["folio"], columns["phase"]))
    named: Columns = {name: values[order] for name, values in columns.items()}
    named["phase"] = _phases(recorder, columns["phase"][order])
    named["status"] = Category(columns["status"][order], STATUSES)
    return named


# smp_call_function_many_cond(): one CPU to interrupt has a vector of its own.
_VECTORS = ("none", "CALL_FUNCTION_SINGLE", "CALL_FUNCTION")


def _flushes(recorder: Recorder) -> Columns:
    columns = recorder.flushes.columns()
    named: Columns = {**columns}
    named["phase"] = _phases(recorder, columns["phase"])
    named["reason"] = Category(columns["reason"], REASONS)
    named["kind"] = Category(columns["kind"], KINDS)
    named["vector"] = Category(np.minimum(columns["ipis"], 2), _VECTORS)
    return named


def _cpus(recorder: Recorder) -> Columns:
    columns = recorder.cpus.columns()
    named: Columns = {**columns}
    named["phase"] = _phases(recorder, columns["phase"])
    named["role"] = Category(columns["role"], _ROLES)
    return named


def _time_by(recorder: Recorder) -> Columns:
    rows = [
        (task, number, category, ns, ns / (phase.end_ns - phase.start_ns))
        for number, phase in enumerate(recorder.phases)
        for task, time_by in enumerate(phase.time_by)
        for category, ns in sorted(time_by.items())
    ]
    names = tuple(sorted({row[2] for row in rows}))
    code_of = {name: i for i, name in enumerate(names)}
    return {
        "phase": _phases(recorder, [row[1] for row in rows]),
        "task": np.array([row[0] for row in rows], dtype=np.int64),
        "category": Category(np.array([code_of[row[2]] for row in rows], dtype=np.int64), names),
        "ns": np.array([row[3] for row in rows], dtype=np.int64),
        "share": np.array([row[4] for row in rows], dtype=np.float64),
    }


def _throughput(recorder: Recorder) -> Columns:
    folios = {name: recorder.folios.column(name) for name in ("phase", "ready_ns", "end_ns")}
    parts = []
    for number, phase in enumerate(recorder.phases):
        here = folios["phase"] == number
        window_ns = max(1, -(-(phase.end_ns - phase.start_ns) // _WINDOWS))
        edges = phase.start_ns + window_ns * np.arange(_WINDOWS + 1, dtype=np.int64)
        # A window owns its end: what happens at the very end of the phase is in the last one.
        ready = _per_window(folios["ready_ns"][here], edges)
        ended = _per_window(folios["end_ns"][here], edges)
        parts.append(
            (np.full(_WINDOWS, number), edges[:-1], np.full(_WINDOWS, window_ns), ready, ended)
        )
    phase_codes, start_ns, widths, ready, ended = (
        np.concatenate([part[i] for part in parts] or [np.zeros(0)]).astype(np.int64)
        for i in range(5)
    )
    return {
        "phase": _phases(recorder, phase_codes),
        "start_ns": start_ns,
        "window_ns": widths,
        "folios": ready,
        "folios_worked": ended,
        "pages_per_s": ready / np.maximum(widths, 1) * 1e9,
    }


def _per_window(times_ns: Int64s, edges_ns: Int64s) -> Int64s:
    windows = np.searchsorted(edges_ns, times_ns, side="left") - 1
    return np.bincount(np.clip(windows, 0, _WINDOWS - 1), minlength=_WINDOWS).astype(np.int64)


def _latency(recorder: Recorder) -> Columns:
    folios = {name: recorder.folios.column(name) for name in ("phase", "start_ns", "ready_ns")}
    names = ("phase", "kind", "start_ns", "end_ns")
    flushes = {name: recorder.flushes.column(name) for name in names}
    folio_ns = folios["ready_ns"] - folios["start_ns"]
    flush_ns = flushes["end_ns"] - flushes["start_ns"]
    is_flush = flushes["kind"] != _NO_FLUSH
    what = ("folio", "flush", "ack", "handler")
    rows: list[tuple[int, int, int, int, int]] = []
    for number, phase in enumerate(recorder.phases):
        by_kind = (
            _histogram(folio_ns[folios["phase"] == number]),
            _histogram(flush_ns[(flushes["phase"] == number) & is_flush]),
            phase.ack.rows(),
            phase.handler.rows(),
        )
        for kind, buckets in enumerate(by_kind):
            rows += [(number, kind, *bucket) for bucket in buckets]
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    return {
        "phase": _phases(recorder, table[:, 0]),
        "what": Category(table[:, 1], what),
        "low_ns": table[:, 2],
        "high_ns": table[:, 3],
        "count": table[:, 4],
    }


def _histogram(values_ns: Int64s) -> list[tuple[int, int, int]]:
    counts = Counter(map(bucket_of, values_ns.tolist()))
    return [(*bucket_bounds(bucket), counts[bucket]) for bucket in sorted(counts)]


def ipi_columns(log: IpiLog) -> Columns:
    """Return the columns of the ``ipis`` frame: what a log has kept."""
    rows = log.rows()
    named: Columns = {name: rows[:, i] for i, name in enumerate(IPI_COLUMNS)}
    named["state"] = Category(rows[:, IPI_COLUMNS.index("state")], STATES)
    named["sent"] = rows[:, IPI_COLUMNS.index("sent")] != 0
    return named


FRAMES: Final[Mapping[str, Callable[[Recorder], Columns]]] = {
    "summary": _summary,
    "counts": _counts,
    "folios": _folios,
    "flushes": _flushes,
    "cpus": _cpus,
    "time_by": _time_by,
    "throughput": _throughput,
    "latency": _latency,
}
