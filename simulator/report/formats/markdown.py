# SPDX-License-Identifier: MIT
"""
Tables for a tracker
--------------------

GitHub's Markdown, a table for each phase and pair.  Pipes in names are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simulator.analysis.compare import METRICS
from simulator.report.formats.material import Material, facts
from simulator.report.formats.table import change_text, interval_text
from simulator.report.metric_words import TITLES, format_metric

__all__ = ("render",)


def render(material: Material) -> str:
    """Return the document."""
    lines = ["# TLB flushes of huge pages, simulated", ""]
    for phase in material.phases:
        for label, base in material.pairs:
            lines += [*_table(material, phase, label, base), ""]
    lines += ["| | |", "|---|---|"]
    for name, text in facts(material):
        shown = f"`{text.replace('`', '')}`" if name == "command" else _escaped(text)
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines) + "\n"


def _table(material: Material, phase: str, label: str, base: str) -> Iterator[str]:
    safety = material.comparison.safety[label]
    mark = f" **{safety.label}**" if safety.unsafe else ""
    yield f"## {phase}: {_escaped(label if label == base else f'{base} -> {label}')}{mark}"
    yield ""
    rows: list[Sequence[str]] = []
    for metric in METRICS:
        row = material.row(label, phase, metric)
        if row is None:
            continue
        after = format_metric(metric, row["mean"])
        if label == base:
            rows.append((TITLES[metric], after))
        else:
            before = format_metric(metric, row["ref_mean"])
            rows.append((TITLES[metric], before, after, change_text(row), interval_text(row)))
    columns = ("mean",) if label == base else ("before", "after", "change", "interval")
    yield f"| simulated | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for cells in rows:
        yield f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    for mark in "\\`*_{}[]<>#|~":
        text = text.replace(mark, f"\\{mark}")
    return text
