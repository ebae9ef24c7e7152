# SPDX-License-Identifier: MIT
"""
Plots as text
-------------

What a plot of :mod:`simulator.report.plots.kinds` shows, for where no image can be
attached: the same numbers, at most 72 columns wide, plain ASCII.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from simulator.analysis.batch import batch_price
from simulator.analysis.compare import METRICS, Comparison
from simulator.analysis.course import flush_course
from simulator.analysis.frames import ResultFrames, nr_cpus, ns_by_category, of_phase, records
from simulator.analysis.histogram import Histogram
from simulator.report.metric_words import SHORT_TITLES
from simulator.report.text import (
    MAIL_WIDTH,
    bar,
    format_count,
    format_ns,
    format_ratio,
    format_table,
    underlined,
)

__all__ = ("TEXT_KINDS", "plot_text")

_SCALE = 31  # columns of an axis
_SHADES = " .:-=+*#%@"
_BAR = 24
_MOST_WINDOWS = 20


def plot_text(kind: str, comparison: Comparison) -> str:
    """Return a plot as text; empty where the results have nothing of it."""
    return "\n\n".join(TEXT_KINDS[kind](comparison))


def _titled(title: str, *lines: str) -> str:
    return "\n".join([underlined(f"{title} (simulated)"), *lines])


def _change(comparison: Comparison) -> Iterator[str]:
    frame = comparison.frame
    ratios = [r for r in frame["ratio"] if r > 0]
    reach = max((abs(math.log10(r)) for r in ratios), default=0.0) or 1.0

    def place(ratio: float) -> int:
        share = 0.0 if ratio <= 0 else 0.5 + math.log10(ratio) / reach / 2
        return round(min(1.0, max(0.0, share)) * (_SCALE - 1))

    for label, base in comparison.pairs:
        for phase in comparison.phases:
            rows = []
            found = of_phase(frame[frame["scenario"] == label], phase).to_dict("records")
            for row in sorted(found, key=lambda r: METRICS.index(r["metric"])):
                if math.isnan(row["ratio"]):
                    continue
                line = [" "] * _SCALE
                line[_SCALE // 2] = "|"
                if not math.isnan(row["ratio_low"]):
                    for i in range(place(row["ratio_low"]), place(row["ratio_high"]) + 1):
                        line[i] = "-"
                sure = row["verdict"] in ("significant", "equal")
                line[place(row["ratio"])] = "*" if sure else "o"
                title = SHORT_TITLES[str(row["metric"])]
                rows.append((title, format_ratio(row["ratio"]), f"[{''.join(line)}]"))
            if rows:
                end = f"{format_ratio(10**-reach)} .. 1 .. {format_ratio(10**reach)}, log"
                table = format_table(rows, ("", "ratio", end), "lrl")
                note = "| is 1; - the interval; o not significant, or n=1"
                yield _titled(f"{phase}: {label} against {base}", table, note)


def _scaling(comparison: Comparison) -> Iterator[str]:
    frame = comparison.frame[comparison.frame["metric"] == "elapsed_s"]
    for phase in comparison.phases:
        by_label = {str(r["scenario"]): r for r in of_phase(frame, phase).to_dict("records")}
        rows = []
        for label, runs in zip(comparison.labels, comparison.runs, strict=True):
            if label in by_label:
                row = by_label[label]
                ratio = format_ratio(row["ratio"]) if row["verdict"] != "baseline" else ""
                rows.append((nr_cpus(runs[0]), label, format_ns(1e9 * row["mean"]), ratio))
        rows.sort(key=lambda row: row[0])
        cells = [(label, str(cpus), mean, ratio) for cpus, label, mean, ratio in rows]
        table = format_table(cells, ("", "CPUs", "elapsed", "ratio"))
        yield _titled(f"{phase}: elapsed time against CPUs", table)


def _time(comparison: Comparison) -> Iterator[str]:
    for label, runs in zip(comparison.labels, comparison.runs, strict=True):
        for phase in comparison.phases:
            sums = ns_by_category(runs[0], phase)
            total = sum(sums.values())
            if total:
                cells = [
                    (name, format_ns(ns), f"|{bar(ns / total, _BAR)}|")
                    for name, ns in sums.items()
                    if ns / total > 0.005
                ]
                yield _titled(f"{label}, {phase}: time by category", format_table(cells, (), "lrl"))


def _difference(comparison: Comparison) -> Iterator[str]:
    table = comparison.time_by
    longest = float(table["diff_ns"].abs().max()) if len(table) else 0.0
    half = _BAR // 2
    for label, base in comparison.pairs:
        for phase in comparison.phases:
            of = of_phase(table[(table["scenario"] == label) & (table["baseline"] == base)], phase)
            cells = []
            for row in records(of[of["diff_ns"].abs() > 0.003 * longest]):
                part = bar(abs(row["diff_ns"]) / longest, half)
                less = row["diff_ns"] < 0
                shown = f"{part[::-1]}|{' ' * half}" if less else f"{' ' * half}|{part}"
                sign = "" if less else "+"
                cells.append((row["category"], f"{sign}{format_ns(row['diff_ns'])}", shown))
            if cells:
                title = f"{phase}: change of {label} against {base}"
                yield _titled(title, format_table(cells, (), "lrl"))


def _latency(comparison: Comparison) -> Iterator[str]:
    for what in ("folio", "flush"):
        for phase in comparison.phases:
            cells = []
            for label, runs in zip(comparison.labels, comparison.runs, strict=True):
                whole = Histogram.of_runs(runs, phase, what)
                if whole.total:
                    points = [format_ns(whole.tail(q)) for q in (0.5, 0.9, 0.99)]
                    cells.append((label, *points, format_ns(whole.largest())))
            if cells:
                header = ("", "1 of 2", "1 of 10", "1 of 100", "none")
                yield _titled(
                    f"{phase}: so many of a {what} took longer than", format_table(cells, header)
                )


def _course(comparison: Comparison) -> Iterator[str]:
    for label, runs in zip(comparison.labels, comparison.runs, strict=True):
        run = runs[0]
        if not isinstance(run, ResultFrames):
            continue
        for phase in comparison.phases:
            course = flush_course(run, phase)
            if not len(course):
                continue
            window_ns = int(course["at_ns"].max()) // _MOST_WINDOWS + 1
            course["from_ns"] = course["at_ns"] // window_ns * window_ns
            windows = course.groupby("from_ns")["took_ns"].agg(["count", "min", "median", "max"])
            cells = [
                (
                    format_ns(row["from_ns"]), format_count(row["count"]),
                    *(format_ns(row[name]) for name in ("min", "median", "max")),
                )
                for row in records(windows.reset_index())
            ]  # fmt: skip
            header = ("from", "flushes", "shortest", "median", "longest")
            table = format_table(cells, header, "rrrrr")
            yield _titled(f"{label}, {phase}: flushes over time, n=1", table)


def _flush(comparison: Comparison) -> Iterator[str]:
    rows = [
        (
            str(row["scenario"]), str(row["phase"]), str(row["reason"]), format_ns(row["took_ns"]),
            f"CPU {row['slowest_cpu']} {row['state']} {row['idle_state']}".rstrip(),
            format_ns(row["late_ns"]),
        )
        for row in records(comparison.slowest)
    ]  # fmt: skip
    if rows:
        header = ("", "phase", "reason", "took", "last", "late")
        yield _titled("The slowest flush of each run", format_table(rows, header, "lllrlr"))


def _victims(comparison: Comparison) -> Iterator[str]:
    for label, runs in zip(comparison.labels, comparison.runs, strict=True):
        for phase in comparison.phases:
            table = of_phase(runs[0].cpus, phase)
            table = table[table["role"] == "target"]
            most = float(table["lost_ns"].max()) if len(table) else 0.0
            if not most:
                continue
            lines = []
            for socket, found in table.groupby("socket", observed=True):
                shades = "".join(
                    _SHADES[math.ceil(ns / most * (len(_SHADES) - 1))] for ns in found["lost_ns"]
                )
                width = MAIL_WIDTH - 13
                for i in range(0, len(shades), width):
                    head = f"socket {socket}" if not i else ""
                    lines.append(f"{head:<11}[{shades[i : i + width]}]")
            lines.append(f"a character a CPU, '{_SHADES}': 0 to {format_ns(most)}; n=1")
            yield _titled(f"{label}, {phase}: what the other CPUs lost", *lines)


def _throughput(comparison: Comparison) -> Iterator[str]:
    for label, runs in zip(comparison.labels, comparison.runs, strict=True):
        for phase in comparison.phases:
            table = of_phase(runs[0].throughput, phase)
            step = max(1, -(-len(table) // _MOST_WINDOWS))
            rates = []
            for i in range(0, len(table), step):
                part = table.iloc[i : i + step]
                start = int(part["start_ns"].iloc[0] - table["start_ns"].iloc[0])
                rates.append((start, part["folios_worked"].sum() / part["window_ns"].sum() * 1e9))
            most = max((rate for _, rate in rates), default=0.0)
            if most:
                cells = [
                    (format_ns(at), format_count(round(rate)), f"|{bar(rate / most, _BAR)}|")
                    for at, rate in rates
                ]
                header = ("from", "pages/s", "")
                table_text = format_table(cells, header, "rrl")
                yield _titled(f"{label}, {phase}: work done, n=1", table_text)


def _batch(comparison: Comparison) -> Iterator[str]:
    for phase in comparison.phases:
        cells = []
        for label, runs in zip(comparison.labels, comparison.runs, strict=True):
            price = batch_price(runs, phase)
            if price is None:
                continue
            shared = price.folios_per_flush
            cells.append(
                (
                    label, "-" if shared is None else f"{shared:.1f}",
                    format_ns(price.ptl_held_ns), format_ns(price.irqs_off_ns),
                    format_count(price.held_pages),
                )
            )  # fmt: skip
        header = (
            "",
            "folios per\nbroadcast",
            "table lock\nlongest",
            "irqs off\nlongest",
            "pages\nheld",
        )
        yield _titled(f"{phase}: the price of a batch", format_table(cells, header))


#: By kind, what returns its blocks.
TEXT_KINDS: Final[Mapping[str, Callable[[Comparison], Iterator[str]]]] = {
    "change": _change,
    "scaling": _scaling,
    "time": _time,
    "difference": _difference,
    "latency": _latency,
    "course": _course,
    "flush": _flush,
    "victims": _victims,
    "throughput": _throughput,
    "batch": _batch,
}
