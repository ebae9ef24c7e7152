# SPDX-License-Identifier: MIT
"""
Traces of real machines as text
-------------------------------

What a trace holds, its flushes and how long they took, and what it could not
tell.  Nothing is simulated here; who wrote the file may have.
"""

from __future__ import annotations

from typing import Any

from simulator.analysis.histogram import Histogram
from simulator.report.text import (
    format_count,
    format_ns,
    format_table,
    underlined,
    wrapped,
)
from simulator.trace import Ftrace
from simulator.trace.exchange.tracepoints import CALLBACKS, FLUSHES

__all__ = ("QUANTILES", "trace_json", "trace_report")

#: Quantiles of latencies that reports show.
QUANTILES = (0.1, 0.5, 0.9, 0.99)
_LATENCIES = {
    "flush": "a flush, from call to return",
    "ack": "a csd, from enqueue to release",
    "handler": "a handler, from entry to exit",
}
_MOST_EVENTS = 40


def trace_json(trace: Ftrace) -> dict[str, Any]:
    """Return what a trace holds, for a program to read."""
    entries = trace.entries or (None, None)
    return {
        "file": str(trace.path),
        "source": trace.source,
        "tracer": trace.tracer or None,
        "release": trace.release or None,
        "clock": trace.clock,
        "cpus": trace.nr_cpus,
        "lines": trace.lines,
        "comment_lines": trace.comments,
        "entries_in_buffer": entries[0],
        "entries_written": entries[1],
        "events": _events(trace),
        "flushes": trace.flush_counts,
        "other_broadcasts": int(trace.summary["other_broadcasts"].sum()),
        "complete_flushes": int((trace.flushes["complete"] & _is_flush(trace)).sum()),
        "tlb_flush_reasons": dict(sorted(trace.tlb_flush_reasons.items())),
        "csds": {
            name: {"queued": queued, "executed": executed}
            for name, (queued, executed) in trace.csds.items()
        },
        "lost": trace.lost,
        "lost_markers": trace.lost_markers,
        "overwritten": trace.overwritten,
        "missing": trace.missing,
        "bad_lines": trace.bad_lines,
        "first_bad_lines": [
            {"line": bad.number, "text": bad.text, "reason": bad.reason} for bad in trace.bad
        ],
        "unknown_events": {
            name: {"count": trace.events[name], "first_line": line}
            for name, line in sorted(trace.unknown.items())
        },
        "complete": trace.complete,
        "notes": list(trace.notes),
        "phases": _phases(trace),
        "latency": {
            what: {"count": h.total} | {f"p{100 * q:g}_ns": h.quantile(q) for q in QUANTILES}
            for what, h in _histograms(trace).items()
        },
    }


# By name, the functions of tracers as fn_NAME; csds of flushes as queue_NAME and exec_NAME.
def _events(trace: Ftrace) -> dict[str, int]:
    found = dict(sorted(trace.events.items()))
    for name, (queued, executed) in trace.csds.items():
        if name in CALLBACKS:
            found |= {f"queue_{name}": queued, f"exec_{name}": executed}
    return found


def _phases(trace: Ftrace) -> list[dict[str, Any]]:
    summary, counts = trace.summary, trace.counts
    return [
        {str(name): value for name, value in row.items()}
        | {"counts": {str(k): v for k, v in count.items() if k != "phase"}}
        for row, count in zip(summary.to_dict("records"), counts.to_dict("records"), strict=True)
    ]


def _is_flush(trace: Ftrace) -> Any:
    return trace.flushes["kind"] != "none"


def _histograms(trace: Ftrace) -> dict[str, Histogram]:
    found = {}
    for what in _LATENCIES:
        rows = trace.latency[trace.latency["what"] == what]
        found[what] = Histogram.of_buckets(rows["low_ns"], rows["high_ns"], rows["count"])
    return found


def trace_report(trace: Ftrace) -> str:
    """Return what a trace holds as plain text, at most 72 columns wide."""
    release = f" of Linux {trace.release}" if trace.release else ""
    tracer = f", tracer {trace.tracer}" if trace.tracer else ""
    state = "complete" if trace.complete else "not complete"
    head = [
        wrapped(f"Trace {trace.path}: {trace.source}{release}{tracer}, {state}; as"
                " recorded, nothing simulated here"),
        f"{format_count(sum(trace.events.values()))} events on"
        f" {format_count(trace.nr_cpus)} CPUs, clock: {trace.clock}",
    ]  # fmt: skip
    parts = ["\n".join(head), _flush_table(trace)]
    latencies = _latency_table(trace)
    if latencies:
        parts.append(latencies)
    parts.append(_event_table(trace))
    if trace.bad:
        rows = [(f"{bad.number}", bad.reason, repr(bad.text)) for bad in trace.bad[:5]]
        parts.append(
            f"{underlined('Bad lines, the first of them')}\n"
            + format_table(rows, ("line", "", ""), "rll")
        )
    if trace.notes:
        parts.append("\n".join(wrapped(note, "- ") for note in trace.notes))
    return "\n\n".join(parts) + "\n"


def _flush_table(trace: Ftrace) -> str:
    flushes = trace.flushes
    rows = []
    for name, flush in FLUSHES.items():
        mine = flushes[flushes["function"] == name]
        if len(mine):
            known = mine["ipis"][mine["ipis"] >= 0]
            rows.append(
                (
                    name if flush.kind != "none" else f"{name} (no flush)",
                    format_count(len(mine)),
                    format_count(int(mine["complete"].sum())),
                    format_count(int(mine["targets"].sum())),
                    format_count(int(known.sum())) if len(known) else "-",
                )
            )
    if not rows:
        return "No broadcast of a flush is in it."
    return format_table(rows, ("broadcast by", "calls", "complete", "targets", "IPIs"))


def _latency_table(trace: Ftrace) -> str:
    rows = [
        (_LATENCIES[what], format_count(h.total), *(format_ns(h.quantile(q)) for q in QUANTILES))
        for what, h in _histograms(trace).items()
        if h.total
    ]
    if not rows:
        return ""
    header = ("time of", "count", *(f"p{100 * q:g}" for q in QUANTILES))
    return format_table(rows, header)


def _event_table(trace: Ftrace) -> str:
    def text(name: str) -> str:
        line = trace.unknown.get(name)
        return name if line is None else f"{name} (unknown; line {line})"

    common = trace.events.most_common(_MOST_EVENTS)
    rows = [(text(name), format_count(count)) for name, count in common]
    rest = len(trace.events) - len(rows)
    if rest:
        rows.append((f"({rest} further events: see --json)", ""))
    return format_table(rows, ("event", "lines"))
