# SPDX-License-Identifier: MIT
"""
Where a difference comes from
-----------------------------

What each category of time gained or lost against the baseline, the largest above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.report.plots.style import GREY, add_caption, new_figure, time_unit
from simulator.report.text import format_ns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison

__all__ = ("plot_difference",)

_MOST_PAIRS = 4
_MOST_CATEGORIES = 10
# Less than this part of the largest has no bar to see.
_SMALL = 0.003
_LESS, _MORE = "#0072B2", "#D55E00"


def plot_difference(comparison: Comparison) -> Figure | None:
    """
    Return bars of the change of each category, a column per phase, a row per scenario.

    None where nothing differs.  Of many scenarios, the first four.
    """
    table = comparison.time_by[comparison.time_by["diff_ns"] != 0]
    if table.empty:
        return None
    pairs = list(dict.fromkeys(zip(table["scenario"], table["baseline"], strict=True)))[
        :_MOST_PAIRS
    ]
    phases = [str(p) for p in comparison.frame["phase"].cat.categories]
    phases = [phase for phase in phases if (table["phase"] == phase).any()]
    longest = float(table["diff_ns"].abs().max())
    unit, unit_ns = time_unit(longest)
    figure = new_figure(
        1.6 + 4.2 * len(phases), 1.6 + 2.4 * len(pairs), "Where the change comes from"
    )
    grid = figure.subplots(len(pairs), len(phases), sharex=True, squeeze=False)
    for axes, (label, base) in zip(grid, pairs, strict=True):
        for ax, phase in zip(axes, phases, strict=True):
            of = table[(table["scenario"] == label) & (table["baseline"] == base)]
            of = of[(of["phase"] == phase) & (of["diff_ns"].abs() > _SMALL * longest)]
            rows = of.head(_MOST_CATEGORIES).to_dict("records")
            for y, row in enumerate(rows):
                diff = row["diff_ns"] / unit_ns
                less = diff < 0
                ax.barh(
                    y, diff, 0.7, color=_LESS if less else _MORE,
                    hatch=None if less else "///", edgecolor="white", linewidth=0,
                )  # fmt: skip
                sign = "" if less else "+"
                ax.annotate(
                    f"{sign}{format_ns(row['diff_ns'])}", (diff, y), (-3 if less else 3, 0),
                    textcoords="offset points", va="center", ha="right" if less else "left",
                    fontsize=7,
                )  # fmt: skip
            ax.axvline(0, color=GREY, linewidth=0.8)
            ax.set_yticks(range(len(rows)), [str(row["category"]) for row in rows], fontsize=8)
            ax.set_ylim(max(len(rows), 1) - 0.4, -0.6)
            ax.set_title(f"{phase}: {label} against {base}", fontsize=9)
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(axis="y", length=0)
    low, high = float(table["diff_ns"].min()), float(table["diff_ns"].max())
    room = 0.22 * (max(high, 0) - min(low, 0))
    grid[0][0].set_xlim((min(low, 0) - room) / unit_ns, (max(high, 0) + room) / unit_ns)
    for ax in grid[-1]:
        ax.set_xlabel(f"change of the tasks' time ({unit})")
    add_caption(
        figure,
        [runs[0] for runs in comparison.runs],
        "Mean over replications of the time of all tasks, after less before. Hatched: it became"
        " more. What is too small for a bar is left out.",
    )
    return figure
