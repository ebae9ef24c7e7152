# SPDX-License-Identifier: MIT
"""
The report of one run
---------------------

What ``tlbsim run`` prints, as text for a mail and as JSON for a program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.analysis.frames import ResultFrames, rows_of
from simulator.analysis.histogram import Histogram
from simulator.analysis.safety import safety_of
from simulator.report.header import header_lines
from simulator.report.text import (
    MAIL_WIDTH,
    bar,
    format_count,
    format_memory,
    format_ns,
    format_share,
    format_table,
    underlined,
    wrapped,
)
from simulator.trace.words import COUNTS, own_words

__all__ = ("run_report", "summary_json")

_Row = dict[str, Any]
_Rows = list[_Row]

_PHASES_ABREAST = 3
_TOP_CATEGORIES = 8
_BAR_WIDTH, _BAR_WIDTH_MIN = 40, 10
_LATENCIES = {
    "folio": "one folio",
    "flush": "one flush",
    "ack": "one acknowledgement",
    "handler": "one handler",
}

_SUMMARY_ROWS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("elapsed", "elapsed_ns", lambda ns: format_ns(ns, 4)),
    (
        "huge pages per second",
        "pages_per_s",
        lambda rate: format_count(None if rate is None else round(rate)),
    ),
    ("flushes (broadcasts)", "flushes", format_count),
    ("IPIs for flushes", "ipis", format_count),
    ("IPIs saved, queue not empty", "ipis_saved", format_count),
    ("time in flushes", "flush_ns", format_ns),
    ("share of time in flushes", "flush_share", format_share),
    ("static-key broadcasts", "other_broadcasts", format_count),
    ("static-key IPIs", "other_ipis", format_count),
    ("PMD splits", "pmd_splits", format_count),
    ("folios optimised", "optimized_folios", format_count),
    ("folios failed", "failed_folios", format_count),
    ("other CPUs lost, median", "victim_lost_median_ns", format_ns),
    ("other CPUs lost, worst", "victim_lost_max_ns", format_ns),
    ("pages held for a flush, peak", "peak_held_pages", format_count),
    ("  as memory", "peak_held_pages", format_memory),
    ("page_table_lock held, longest", "ptl_held_max_ns", format_ns),
    ("interrupts off, longest", "irqs_off_max_ns", format_ns),
    ("preemption off, longest", "preempt_off_max_ns", format_ns),
)


def run_report(result: ResultFrames) -> str:
    """Return the report of one run as plain text, at most 72 columns wide."""
    summary = {row["phase"]: row for row in rows_of(result, "summary")}
    counts = {row["phase"]: row for row in rows_of(result, "counts")}
    phases = list(summary)
    abreast = [
        phases[first : first + _PHASES_ABREAST] for first in range(0, len(phases), _PHASES_ABREAST)
    ]
    time_by, latency = rows_of(result, "time_by"), rows_of(result, "latency")
    blocks = ["\n".join(header_lines(result))]
    blocks += [_summary_table(summary, counts, some) for some in abreast]
    for phase in phases:
        blocks.append(_where_time_goes(_of(time_by, phase), phase))
        blocks.append(_latency_table(_of(latency, phase), phase))
    blocks.append(
        wrapped(
            "All times are simulated. What another CPU lost is the time in handlers, "
            "stalls and TLB refill while it had work to do. Quantiles come from a histogram; "
            "max is the upper end of its last bucket."
        )
    )
    return "\n\n".join(blocks) + "\n"


def _of(rows: _Rows, phase: str) -> _Rows:
    return [row for row in rows if row["phase"] == phase]


def _summary_table(
    summary: Mapping[str, _Row], counts: Mapping[str, _Row], phases: Sequence[str]
) -> str:
    rows = [
        (label, *(show(summary[phase][column]) for phase in phases))
        for label, column, show in _SUMMARY_ROWS
    ]
    own = own_words(COUNTS, {name for phase in phases for name in counts[phase]} - {"phase"})
    rows += [(name, *(format_count(counts[phase][name]) for phase in phases)) for name in own]
    return format_table(rows, ("simulated", *phases))


def _where_time_goes(time_by: _Rows, phase: str) -> str:
    sums: Counter[str] = Counter()
    for row in time_by:
        sums[row["category"]] += row["ns"]
    shares = sorted(((ns, name) for name, ns in sums.items() if ns), reverse=True)
    total = sum(ns for ns, _ in shares)
    shown = shares[:_TOP_CATEGORIES]
    rest = shares[_TOP_CATEGORIES:]
    if rest:
        shown = [*shown, (sum(ns for ns, _ in rest), f"{len(rest)} others")]
    cells = [(name, format_ns(ns), format_share(ns / total)) for ns, name in shown]
    # What is left of a line: the columns, two blanks after each, and the ends of the bar.
    taken = sum(max(map(len, column)) for column in zip(*cells, strict=True)) + 3 * 2 + 2
    width = max(_BAR_WIDTH_MIN, min(_BAR_WIDTH, MAIL_WIDTH - taken))
    lines = [
        (*row, f"|{bar(ns / total, width)}|") for row, (ns, _) in zip(cells, shown, strict=True)
    ]
    tasks = len({row["task"] for row in time_by})
    of_tasks = f", all {tasks} tasks together" if tasks > 1 else ""
    title = underlined(f"{phase}: where the time goes{of_tasks} (simulated)")
    return f"{title}\n{format_table(lines, align='lrrl')}"


def _latency_table(latency: _Rows, phase: str) -> str:
    rows = []
    for what, label in _LATENCIES.items():
        h = Histogram.of_rows(row for row in latency if row["what"] == what)
        if h.total:
            quantiles = [format_ns(h.tail(q)) for q in (0.5, 0.9, 0.99)]
            rows.append((label, format_count(h.total), *quantiles, format_ns(h.largest())))
    if not rows:
        return f"{phase}: no latencies recorded"
    header = (f"{phase}: time of (simulated)", "count", "p50", "p90", "p99", "max")
    return format_table(rows, header)


def summary_json(result: ResultFrames) -> list[dict[str, Any]]:
    """
    Return one object per phase: ``phase``, every column of ``summary``, ``counts``, ``safety``.

    Only JSON's own types: a missing value is ``None``, never NaN.
    """
    counts = {row.pop("phase"): row for row in rows_of(result, "counts")}
    safety = safety_of([result]).sentence
    return [
        {**row, "counts": counts.get(row["phase"], {}), "safety": safety}
        for row in rows_of(result, "summary")
    ]
