# SPDX-License-Identifier: MIT
"""
The report of a comparison
--------------------------

What ``tlbsim compare`` prints: per phase and metric, each scenario's mean and
its ratio to the first scenario, with confidence intervals, and the words
``not significant`` where a number alone would mislead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simulator.analysis.compare import METRICS, Comparison
from simulator.report.header import trust_text, version_text
from simulator.report.text import (
    format_count,
    format_interval,
    format_ns,
    format_ratio,
    format_share,
    format_table,
    underlined,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ("comparison_text",)

_TITLES = {
    "elapsed_s": "elapsed",
    "flushes": "flushes (broadcasts)",
    "ipis": "IPIs for flushes",
    "flush_share": "share of time in flushes",
    "victim_lost_median_ns": "other CPUs lost, median",
    "victim_lost_max_ns": "other CPUs lost, worst",
    "peak_held_pages": "pages held for a flush, peak",
    "ptl_held_max_ns": "page_table_lock held, longest",
    "irqs_off_max_ns": "interrupts off, longest",
}

_LONGEST_NAME = 16
_EQUAL = "equal"

_FOOTNOTE = (
    "Ratio: geometric mean of the paired ratios to {reference}; below 1 is less. Intervals are "
    "Student's t over the replications, each by itself, not corrected for the number of rows. "
    "They cover what the seed varies, not the error of the model."
)


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison as plain text, at most 72 columns wide."""
    many = comparison.replications > 1
    names = _short_names(comparison.labels)
    interval = f"{100 * comparison.level:g}% interval"
    header = ("", "mean", interval, "ratio", interval) if many else ("", "mean", "ratio")
    blocks = ["\n".join(_head(comparison, names))]
    for phase in comparison.frame["phase"].cat.categories:
        of_phase = comparison.frame[comparison.frame["phase"] == phase]
        rows: list[tuple[str, ...]] = []
        for metric in METRICS:
            rows.append((_TITLES[metric],))
            # One row per scenario, in the order of the labels.
            records = of_phase[of_phase["metric"] == metric].to_dict("records")
            for name, record in zip(names, records, strict=True):
                cells = _cells({str(k): v for k, v in record.items()}, many)
                if name == names[0]:
                    cells = (*cells[: len(cells) // 2], *[""] * (len(cells) // 2))
                rows.append((f"  {name}", *cells))
        blocks.append(f"{underlined(f'{phase} (simulated)')}\n{format_table(rows, header)}")
    if many:
        blocks.append(wrapped(_FOOTNOTE.format(reference=names[0])))
    return "\n\n".join(blocks) + "\n"


# Long labels become letters, explained at the top, so that no number has to yield.
def _short_names(labels: Sequence[str]) -> tuple[str, ...]:
    if max(map(len, labels)) <= _LONGEST_NAME:
        return tuple(labels)
    return tuple(f"[{i + 1}]" for i in range(len(labels)))


def _head(comparison: Comparison, names: Sequence[str]) -> list[str]:
    n = comparison.replications
    runs = "1 replication" if n == 1 else f"{n} replications"
    runs += f" under seed {', '.join(map(str, comparison.seeds))}"
    runs += (
        ": no interval, and nothing can be called significant"
        if n == 1
        else ", paired: each pair met the same noise"
    )
    common = ", ".join(
        f"{name} {value}" for name, value in comparison.common.items() if value != "none"
    )
    legend = [
        wrapped(label, f"{name:<11}")
        for name, label in zip(names, comparison.labels, strict=True)
        if name != label
    ]
    return [
        wrapped(f"every scenario against {comparison.labels[0]}", "simulated  "),
        wrapped(common, "same       "),
        wrapped(runs, "runs       "),
        wrapped(version_text(comparison.provenance), "version    "),
        wrapped(trust_text(comparison.provenance), "model      "),
        *(wrapped(note, "note       ") for note in comparison.provenance.get("notes", ())),
        *legend,
    ]


def _cells(record: Mapping[str, Any], many: bool) -> tuple[str, ...]:
    metric = str(record["metric"])

    def show(value: float) -> str:
        return _format(metric, value)

    mean, ratio = show(record["mean"]), _verdict(record)
    if not many:
        return (mean, ratio)
    ends = format_interval(record["ci_low"], record["ci_high"], show)
    if ratio == _EQUAL:
        return (mean, ends, ratio, "")
    of_ratio = format_interval(record["ratio_low"], record["ratio_high"], format_ratio)
    return (mean, ends, ratio, of_ratio)


def _verdict(record: Mapping[str, Any]) -> str:
    low, high = record["diff_low"], record["diff_high"]
    if record["diff"] == 0 and (math.isnan(low) or low == high):
        return _EQUAL
    if record["n"] > 1 and not record["significant"] and not math.isnan(record["diff"]):
        return "not significant"
    return format_ratio(record["ratio"])


def _format(metric: str, value: float) -> str:
    if metric == "elapsed_s":
        return format_ns(value * 1e9)
    if metric.endswith("_ns"):
        return format_ns(value)
    return format_share(value) if metric == "flush_share" else format_count(value, width=9)
