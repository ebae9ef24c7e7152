# SPDX-License-Identifier: MIT
"""
Frames from records
-------------------

The columns of every frame that a result offers, computed from a
:class:`simulator.trace.recorder.Recorder` with numpy alone.  What they mean is
said in :mod:`simulator.trace.contract`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from simulator.trace.contract import FRAMES, IPI_COLUMNS
from simulator.trace.ipis import IpiLog
from simulator.trace.recorder import PhaseRecord, Recorder, Violation
from simulator.trace.tables import Int64s, IntTable, bounds_of, buckets_of
from simulator.trace.words import (
    COUNTS,
    FAILED,
    KINDS,
    LATENCIES,
    MECHANISMS,
    REASONS,
    ROLES,
    STATES,
    STATUSES,
    VECTORS,
    Words,
    own_words,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("Category", "Columns", "Values", "columns_of", "ipi_columns", "to_frame", "to_rows")

_WINDOWS = 64  # of the throughput frame, to a phase
_NO_FLUSH = KINDS.index("none")
_TARGET = ROLES.index("target")


@dataclass(frozen=True, slots=True)
class Category:
    """A column of names: ``names[codes[i]]``."""

    codes: Int64s
    names: tuple[str, ...]


Values = npt.NDArray[np.int64] | npt.NDArray[np.float64] | npt.NDArray[np.bool_] | Category
Columns = dict[str, Values]


def columns_of(recorder: Recorder, frame: str) -> Columns:
    """Return the columns of a frame by its name; KeyError for an unknown one."""
    return _BUILDERS[frame](recorder)


def to_frame(columns: Columns) -> pd.DataFrame:
    """Return columns as a pandas frame, names as categories."""
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(
                column.codes, dtype=pd.CategoricalDtype(list(column.names))
            )
            if isinstance(column, Category)
            else column
            for name, column in columns.items()
        }
    )


def to_rows(columns: Columns, **words: Collection[str]) -> list[dict[str, Any]]:
    """
    Return columns as a mapping of plain values for each row; needs no pandas.

    They are JSON's own types: None for what is no number.  Only rows that have some
    ``words`` in a column, where they are given.
    """
    for name, wanted in words.items():
        columns = _having(columns, name, wanted)
    plain = {name: _plain(column) for name, column in columns.items()}
    return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def _having(columns: Columns, name: str, wanted: Collection[str]) -> Columns:
    words = columns[name]
    assert isinstance(words, Category)  # noqa: S101 - a column of words
    rows = np.isin(words.codes, [i for i, word in enumerate(words.names) if word in wanted])
    return {
        name: Category(column.codes[rows], column.names)
        if isinstance(column, Category)
        else column[rows]
        for name, column in columns.items()
    }


def _plain(column: Values) -> list[Any]:
    if isinstance(column, Category):
        return [column.names[code] for code in column.codes.tolist()]
    values: list[Any] = column.tolist()
    if column.dtype.kind != "f" or np.isfinite(column).all():
        return values
    return [value if math.isfinite(value) else None for value in values]


def _labels(recorder: Recorder) -> tuple[str, ...]:
    return tuple(phase.label for phase in recorder.phases)


def _phases(recorder: Recorder, codes: Sequence[int] | Int64s) -> Category:
    return Category(np.asarray(codes, dtype=np.int64), _labels(recorder))


def _category(words: Words, known: Sequence[str], codes: Int64s) -> Category:
    # A run numbers its own words as it meets them: here they have one order on every engine.
    own = own_words(known, words)
    if not own:
        return Category(codes, tuple(known))
    names = (*known, *own)
    code_of = np.array([names.index(word) for word in words], dtype=np.int64)
    return Category(code_of[codes], names)


def _summary(recorder: Recorder) -> Columns:
    nr_phases = len(recorder.phases)
    broadcasts = np.zeros((nr_phases, 2, 4), dtype=np.int64)  # by whether they flush
    # Some rows at a time: a long run has a million.
    for part in recorder.flushes.parts("phase", "kind", "start_ns", "end_ns", "ipis", "ipis_saved"):
        took_ns = part["end_ns"] - part["start_ns"]
        ones = np.ones_like(took_ns)
        place = part["phase"], (part["kind"] != _NO_FLUSH).astype(np.int64)
        for i, values in enumerate((ones, part["ipis"], part["ipis_saved"], took_ns)):
            np.add.at(broadcasts[:, :, i], place, values)
    folios = np.zeros((nr_phases, len(recorder.statuses)), dtype=np.int64)
    for part in _folio_parts(recorder, "phase", "status"):
        np.add.at(folios, (part["phase"], part["status"]), 1)
    cpus = {name: recorder.cpus.column(name) for name in ("phase", "role", "lost_ns")}
    rows = [
        _summary_row(
            phase,
            recorder.statuses,
            broadcasts[i].tolist(),
            folios[i],
            cpus["lost_ns"][(cpus["phase"] == i) & (cpus["role"] == _TARGET)],
        )
        for i, phase in enumerate(recorder.phases)
    ]
    columns: Columns = {"phase": _phases(recorder, range(len(rows)))}
    for name in rows[0] if rows else ():
        columns[name] = np.array([row[name] for row in rows])
    return columns


def _summary_row(
    phase: PhaseRecord,
    statuses: Mapping[str, int],
    broadcasts: Sequence[Sequence[int]],
    folios: Int64s,
    lost_ns: Int64s,
) -> dict[str, int | float]:
    (others, other_ipis, _, _), (flushes, ipis, ipis_saved, flush_ns) = broadcasts
    pages = int(folios.sum())
    elapsed_ns = phase.end_ns - phase.start_ns
    return {
        "pages": pages,
        "elapsed_ns": elapsed_ns,
        "elapsed_s": elapsed_ns / 1e9,
        "pages_per_s": pages / elapsed_ns * 1e9 if elapsed_ns else 0.0,
        "flushes": flushes,
        "ipis": ipis,
        "ipis_saved": ipis_saved,
        "other_broadcasts": others,
        "other_ipis": other_ipis,
        "flush_ns": flush_ns,
        "flush_share": flush_ns / (elapsed_ns * len(phase.time_by)) if elapsed_ns else 0.0,
        "pmd_splits": phase.counts["pmd_splits"],
        "optimized_folios": int(folios[statuses["optimized"]]),
        "failed_folios": sum(int(folios[statuses[name]]) for name in FAILED),
        "peak_held_pages": phase.peak_held_pages,
        "free_pages_min": phase.free_pages_min,
        "ptl_held_max_ns": phase.ptl_held_max_ns,
        "irqs_off_max_ns": phase.irqs_off_max_ns,
        "preempt_off_max_ns": max(phase.preempt_off_max_ns, phase.irqs_off_max_ns),
        "victim_lost_median_ns": int(np.median(lost_ns)) if len(lost_ns) else 0,
        "victim_lost_max_ns": int(lost_ns.max()) if len(lost_ns) else 0,
        "violations": phase.violations,
    }


def _counts(recorder: Recorder) -> Columns:
    columns: Columns = {"phase": _phases(recorder, range(len(recorder.phases)))}
    own = own_words(COUNTS, (name for phase in recorder.phases for name in phase.counts))
    for name in (*COUNTS, *own):
        counted = [phase.counts.get(name, 0) for phase in recorder.phases]
        columns[name] = np.array(counted, dtype=np.int64)
    return columns


def _folios(recorder: Recorder) -> Columns:
    columns = _folio_rows(recorder, *FRAMES["folios"].recorded)
    order = np.lexsort((columns["folio"], columns["phase"]))
    named: Columns = {name: values[order] for name, values in columns.items()}
    named["phase"] = _phases(recorder, columns["phase"][order])
    named["status"] = _category(recorder.statuses, STATUSES, columns["status"][order])
    return named


# How the rows of a folio make one, where several tasks worked on it in a phase: one could not
# restore it, another freed it.
_OF_FIRST = ("phase", "folio", "pfn", "start_ns")
_SUMMED = ("split_ns", "remap_ns", "restore_ns", "flush_ns")


def _folio_parts(recorder: Recorder, *names: str) -> Iterator[dict[str, Int64s]]:
    # One row per folio and phase, some of them at a time.
    if _worked_on_once(recorder.folios):
        return recorder.folios.parts(*names)
    return iter([_merged(recorder.folios, names)])


def _folio_rows(recorder: Recorder, *names: str) -> dict[str, Int64s]:
    table = recorder.folios
    if _worked_on_once(table):
        return {name: table.column(name) for name in names}
    return _merged(table, names)


def _worked_on_once(folios: IntTable) -> bool:
    # Whether no folio has two rows in a phase.
    last = dict.fromkeys(("phase", "folio"), 0)
    for part in folios.parts(*last):
        last = {name: max(so_far, int(part[name].max())) for name, so_far in last.items()}
    there = np.zeros((last["phase"] + 1, last["folio"] + 1), dtype=np.bool_)
    for part in folios.parts(*last):
        there[part["phase"], part["folio"]] = True
    return int(np.count_nonzero(there)) == len(folios)


def _merged(table: IntTable, names: Sequence[str]) -> dict[str, Int64s]:
    phase, folio = table.column("phase"), table.column("folio")
    order = np.lexsort((folio, phase))  # stable: in the order of their records
    of_another = (np.diff(phase[order]) != 0) | (np.diff(folio[order]) != 0)
    first = np.flatnonzero(np.concatenate([[True], of_another]))
    last = np.append(first[1:], len(order)) - 1

    def merged(name: str) -> Int64s:
        values = table.column(name)
        if name in _SUMMED:
            return np.add.reduceat(values[order], first)
        return values[order[first if name in _OF_FIRST else last]]

    return {name: merged(name) for name in names}


def _flushes(recorder: Recorder) -> Columns:
    columns = recorder.flushes.columns()
    named: Columns = {**columns}
    named["phase"] = _phases(recorder, columns["phase"])
    named["reason"] = _category(recorder.reasons, REASONS, columns["reason"])
    named["kind"] = Category(columns["kind"], KINDS)
    # An interrupt that is no call of a queue, such as a pseudo-NMI, has none.
    mechanism = np.zeros(len(recorder.flushes), dtype=np.int64)
    nr_ahead = np.zeros(len(recorder.flushes), dtype=np.int64)
    for flush, name in recorder.mechanism_of.items():
        mechanism[flush] = MECHANISMS.index(name)
    for flush, nr in recorder.nr_ahead_of.items():
        nr_ahead[flush] = nr
    vectors = np.where(mechanism == 0, np.minimum(columns["ipis"], 2), 0)
    named["vector"] = Category(vectors, VECTORS)
    named["mechanism"] = Category(mechanism, MECHANISMS)
    named["nr_ahead"] = nr_ahead
    return named


def _cpus(recorder: Recorder) -> Columns:
    columns = recorder.cpus.columns()
    named: Columns = {**columns}
    named["phase"] = _phases(recorder, columns["phase"])
    named["role"] = Category(columns["role"], ROLES)
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
    folios = _folio_rows(recorder, "phase", "ready_ns", "end_ns")
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
    folios = _folio_rows(recorder, "phase", "start_ns", "ready_ns")
    names = ("phase", "kind", "start_ns", "end_ns")
    flushes = {name: recorder.flushes.column(name) for name in names}
    folio_ns = folios["ready_ns"] - folios["start_ns"]
    flush_ns = flushes["end_ns"] - flushes["start_ns"]
    is_flush = flushes["kind"] != _NO_FLUSH
    parts = []
    for number, phase in enumerate(recorder.phases):
        histograms = {
            "folio": _histogram(folio_ns[folios["phase"] == number]),
            "flush": _histogram(flush_ns[(flushes["phase"] == number) & is_flush]),
            "ack": phase.ack.columns(),
            "handler": phase.handler.columns(),
        }
        for code, what in enumerate(LATENCIES):
            of = histograms[what]
            parts.append(np.stack([np.full_like(of[0], number), np.full_like(of[0], code), *of]))
    table = np.concatenate(parts or [np.zeros((5, 0), dtype=np.int64)], axis=1)
    return {
        "phase": _phases(recorder, table[0]),
        "what": Category(table[1], LATENCIES),
        "low_ns": table[2],
        "high_ns": table[3],
        "count": table[4],
    }


def _histogram(values_ns: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    buckets, counts = np.unique(buckets_of(values_ns), return_counts=True)
    return *bounds_of(buckets), counts


def _violations(recorder: Recorder) -> Columns:
    found = sorted(recorder.violations, key=lambda row: row[:2])
    rows = [violation for _, violation in found]
    columns: Columns = {"phase": _phases(recorder, [phase for phase, _ in found])}
    for name in Violation._fields:
        values = [getattr(row, name) for row in rows]
        if FRAMES["violations"].column(name).kind == "word":
            names = tuple(dict.fromkeys(values))
            columns[name] = Category(np.array(list(map(names.index, values)), np.int64), names)
        else:
            columns[name] = np.array(values, dtype=np.int64)
    times = [recorder.times_violated[row.invariant] for row in rows]
    return {**columns, "times": np.array(times, dtype=np.int64)}


def ipi_columns(log: IpiLog) -> Columns:
    """Return the columns of the ``ipis`` frame: what a log has kept."""
    rows = log.rows()
    named: Columns = {name: rows[:, i] for i, name in enumerate(IPI_COLUMNS)}
    named["state"] = Category(rows[:, IPI_COLUMNS.index("state")], STATES)
    named["sent"] = rows[:, IPI_COLUMNS.index("sent")] != 0
    return named


_BUILDERS: Final[Mapping[str, Callable[[Recorder], Columns]]] = {
    "summary": _summary,
    "counts": _counts,
    "folios": _folios,
    "flushes": _flushes,
    "cpus": _cpus,
    "time_by": _time_by,
    "throughput": _throughput,
    "latency": _latency,
    "violations": _violations,
}
