# SPDX-License-Identifier: MIT
"""
As mmtests reports
------------------

A table for each pair, and in brackets what the second gains: positive is better,
``*`` in place of brackets where the difference is significant.  Amean of each metric;
Min, Stddev, CoeffVar and Max of each that varies.  At most 80 columns wide.

Not shown: BAmean, the mean of the best half: an outlier of a simulation is no accident
of the machine that it ran on.

Sources: compare-kernels.sh and SummariseMultiops.pm of https://github.com/gormanm/mmtests
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from simulator.analysis.compare import METRICS
from simulator.analysis.safety import UNSAFE
from simulator.report.formats.material import Material, fact_lines, plain_number
from simulator.report.text import underlined, wrapped

__all__ = ("render",)

_NAME, _COLUMN = 32, 22

#: What each block of rows is of the values of all runs, in the order of mmtests.
_STATISTICS: tuple[tuple[str, Callable[[Sequence[float]], float]], ...] = (
    ("Min", min),
    ("Amean", statistics.fmean),
    ("Stddev", statistics.stdev),
    ("CoeffVar", lambda v: 100 * statistics.stdev(v) / statistics.fmean(v)),
    ("Max", max),
)


def render(material: Material) -> str:
    """Return a table for each phase and baseline."""
    blocks = ["\n".join(fact_lines(material))]
    for phase in material.phases:
        for label, base in material.pairs:
            if material.row(label, phase, METRICS[0]) is not None:
                blocks.append(_table(material, phase, list(dict.fromkeys((base, label)))))
    blocks.append(
        wrapped("In brackets: gain against the first column, positive is better; *: significant.")
    )
    return "\n\n".join(blocks) + "\n"


def _table(material: Material, phase: str, labels: Sequence[str]) -> str:
    safety = material.comparison.safety
    titles = [f"{label} {UNSAFE}" if safety[label].unsafe else label for label in labels]
    short = [title if len(title) <= _COLUMN else f"[{i}]" for i, title in enumerate(titles, 1)]
    lines = [underlined(f"{phase} (simulated)")]
    legend = zip(short, titles, strict=True)
    lines += [wrapped(title, f"{name}  ") for name, title in legend if name != title]
    head = " " * _NAME + "".join(f"{name:>{_COLUMN}}" for name in short)
    lines.append(head)
    for name, of in _STATISTICS:
        for metric in METRICS:
            cells = _cells(material, phase, metric, labels, name, of)
            if cells:
                lines.append(f"{name:<9}{metric:<{_NAME - 9}}" + "".join(cells))
    return "\n".join(lines)


def _cells(
    material: Material,
    phase: str,
    metric: str,
    labels: Sequence[str],
    name: str,
    of: Callable[[Sequence[float]], float],
) -> list[str]:
    values = [material.values(label, phase, metric) for label in labels]
    rows = [material.row(label, phase, metric) for label in labels]
    if None in rows or not all(map(any, values)):
        return []
    if name != "Amean" and all(len(set(of_one)) == 1 for of_one in values):
        return []
    base = of(values[0])
    cells = []
    for value, row in zip(values, rows, strict=True):
        now = of(value)
        gain = 0.0 if now == base else 100 * (1 - now / base) if base else float("nan")
        star = name == "Amean" and row is not None and row["verdict"] == "significant"
        left, right = ("*", "*") if star else ("(", ")")
        shown = "     -   " if math.isnan(gain) else f"{gain:8.2f}%"
        cells.append(f"{plain_number(now):>{_COLUMN - 12}} {left}{shown}{right}")
    return cells
