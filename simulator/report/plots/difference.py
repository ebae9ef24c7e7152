# SPDX-License-Identifier: MIT
"""
Where a difference comes from
-----------------------------

What each category of time gained or lost against the baseline, the largest above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.report.plots.style import GREY, add_caption, first_of, new_figure
from simulator.report.text import format_ns, unit_of_ns

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
    both = dict.fromkeys(zip(table["scenario"], table["baseline"], strict=True))
    pairs, others = first_of(list(both), _MOST_PAIRS)
    phases = [phase for phase in comparison.phases if (table["phase"] == phase).any()]
    longest = float(table["diff_ns"].abs().max())
    unit, unit_ns = unit_of_ns(longest)
    table = table[table["diff_ns"].abs() > _SMALL * longest]
    bars = {
        (label, phase): table[
            (table["scenario"] == label) & (table["baseline"] == base) & (table["phase"] == phase)
        ]
        .head(_MOST_CATEGORIES)
        .to_dict("records")
        for label, base in pairs
        for phase in phases
    }
    # Room for as many bars as there are, so that all are of one height.
    heights = [max(1, *(len(bars[label, phase]) for phase in phases)) for label, _ in pairs]
    figure = new_figure(
        1.6 + 4.2 * len(phases),
        1.3 + 0.75 * len(pairs) + 0.24 * sum(heights),
        "Where the change comes from",
    )
    grid = figure.subplots(
        len(pairs), len(phases), sharex=True, squeeze=False, height_ratios=[h + 1 for h in heights]
    )
    for axes, (label, base), height in zip(grid, pairs, heights, strict=True):
        for ax, phase in zip(axes, phases, strict=True):
            rows = bars[label, phase]
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
            ax.set_ylim(height - 0.4, -0.6)
            # Under a line for the name of the pair, which may be longer than a panel is wide.
            ax.set_title(f"\n{phase}", fontsize=9)
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(axis="y", length=0)
        axes[0].annotate(
            f"{label} against {_short(base, label)}", (0, 1), (-60, 19), fontsize=9,
            xycoords="axes fraction", textcoords="offset points", fontweight="bold",
        ).set_in_layout(False)  # fmt: skip
    low, high = float(table["diff_ns"].min()), float(table["diff_ns"].max())
    room = 0.22 * (max(high, 0) - min(low, 0))
    grid[0][0].set_xlim((min(low, 0) - room) / unit_ns, (max(high, 0) + room) / unit_ns)
    for ax in grid[-1]:
        ax.set_xlabel(f"change of the tasks' time ({unit})")
    add_caption(
        figure,
        [runs[0] for runs in comparison.runs],
        "Mean over replications of the time of all tasks, after less before. Hatched: it became"
        f" more. What is too small for a bar is left out.{others}",
    )
    return figure


# What of a baseline's label is not in the label that it is held against.
def _short(base: str, label: str) -> str:
    words = label.split()
    return " ".join(word for word in base.split() if word not in words) or base
