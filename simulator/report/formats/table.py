# SPDX-License-Identifier: MIT
"""
A line a metric: before, after, change
--------------------------------------

A block for each phase and pair, at most 72 columns wide.  Rows that are equal are
one line; ``every`` shows them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from simulator.analysis.compare import METRICS
from simulator.report.formats.material import Material, fact_lines
from simulator.report.metric_words import SHORT_TITLES, format_metric
from simulator.report.text import format_ratio, format_table, underlined, wrapped

__all__ = ("change_text", "interval_text", "render")

# From here on a change is told as a factor.
_FACTOR = 10


def render(material: Material) -> str:
    """Return the table."""
    blocks = ["\n".join(fact_lines(material))]
    for phase in material.phases:
        for label, base in material.pairs:
            block = _block(material, phase, label, base)
            if block:
                blocks.append(block)
    blocks.append(
        wrapped(
            "Change: after against before, less is better throughout; ~ not significant, n=1 too"
            " few replications to tell."
        )
    )
    return "\n\n".join(blocks) + "\n"


def change_text(row: Mapping[str, Any]) -> str:
    """
    Return the change as a percentage or a large factor, ``~`` where it is not significant.

    >>> change_text({"ratio": 0.0411, "verdict": "significant"})
    '-95.9%'
    >>> change_text({"ratio": 1.002, "verdict": "not significant"})
    '~+0.2%'
    >>> change_text({"ratio": 64.0, "verdict": "significant"})
    '64.0x'
    """
    if row["verdict"] == "equal":
        return "equal"
    mark = {"not significant": "~", "too few replications": "n=1 "}.get(row["verdict"], "")
    return mark + _percent(row["ratio"])


def interval_text(row: Mapping[str, Any]) -> str:
    """
    Return the interval of the change; empty where there is none.

    >>> interval_text({"ratio_low": 0.04, "ratio_high": 0.05, "verdict": "significant"})
    '-96.0..-95.0%'
    """
    low, high = row["ratio_low"], row["ratio_high"]
    if math.isnan(low) or math.isnan(high) or row["verdict"] == "equal":
        return ""
    if math.isclose(low, high, rel_tol=1e-9):
        return "no variation"
    return f"{_percent(low).removesuffix('%')}..{_percent(high)}"


def _percent(ratio: float) -> str:
    if math.isnan(ratio):
        return "-"
    if ratio >= _FACTOR:
        return format_ratio(ratio)
    return f"{round(100 * (ratio - 1), 1) + 0.0:+.1f}%"


def _block(material: Material, phase: str, label: str, base: str) -> str:
    single = label == base
    rows: list[tuple[str, ...]] = []
    equal = []
    for metric in METRICS:
        row = material.row(label, phase, metric)
        if row is None:
            continue
        after = format_metric(metric, row["mean"])
        if single:
            rows.append((SHORT_TITLES[metric], after))
        elif row["verdict"] == "equal" and not material.every:
            equal.append(f"{SHORT_TITLES[metric]} {after}")
        else:
            before = format_metric(metric, row["ref_mean"])
            cells = (before, after, change_text(row), interval_text(row))
            rows.append((SHORT_TITLES[metric], *cells))
    if not rows and not equal:
        return ""
    unsafe = material.comparison.safety[label].unsafe
    mark = f" {material.comparison.safety[label].label}:" if unsafe else ""
    title = f"{phase}:{mark} {label}" if single else f"{phase}:{mark} {base} -> {label}"
    lines = [underlined(f"{title} (simulated)")]
    if rows:
        header = ("", "mean") if single else ("", "before", "after", "change", "interval")
        lines.append(format_table(rows, header))
    if equal:
        lines.append(wrapped("; ".join(equal), "equal: "))
    return "\n".join(lines)
