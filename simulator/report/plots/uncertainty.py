# SPDX-License-Identifier: MIT
"""
What a conclusion hangs on
--------------------------

A tornado: the ratio of elapsed times with each uncertain cost alone at the ends of its
range, and behind it the band of all of them together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulator.report.plots.style import GREY, add_caption, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison

__all__ = ("plot_tornado",)

_MOST = 10


def plot_tornado(comparison: Comparison, tornado: pd.DataFrame, label: str) -> Figure | None:
    """
    Return the tornado of one scenario, a panel per phase.

    :param tornado: as :func:`simulator.experiment.evidence.tornado` returns it, of this scenario.
    """
    if tornado.empty:
        return None
    phases = list(dict.fromkeys(map(str, tornado["phase"])))
    figure = new_figure(3.6 + 3.6 * len(phases), 4.4, f"What {label} hangs on")
    axes = figure.subplots(1, len(phases), squeeze=False)[0]
    frame = comparison.frame
    for ax, phase in zip(axes, phases, strict=True):
        rows = [
            (abs(row["high_ratio"] - row["low_ratio"]), row)
            for row in tornado[tornado["phase"] == phase].to_dict("records")
        ]
        rows = sorted(rows, key=lambda pair: -pair[0])[:_MOST]
        found = frame[(frame["scenario"] == label) & (frame["phase"] == phase)]
        found = found[found["metric"] == "elapsed_s"]
        if len(found) and not math.isnan(found["ratio_low"].iloc[0]):
            ax.axvspan(
                found["ratio_low"].iloc[0], found["ratio_high"].iloc[0], color="#E4E4E4", zorder=0
            )
        for y, (_span, row) in enumerate(rows):
            low, high = row["low_ratio"], row["high_ratio"]
            ax.plot([low, high], [y, y], color="#0072B2", linewidth=2.5, zorder=2)
            ax.plot([low], [y], "o", color="#0072B2", markerfacecolor="white", zorder=3)
            ax.plot([high], [y], "s", color="#0072B2", zorder=3)
        # 1 is where it makes no difference, and may be far from all there is to see.
        left, right = ax.get_xlim()
        if left <= 1.0 <= right:
            ax.axvline(1.0, color=GREY, linewidth=0.8)
        ax.set_yticks(range(len(rows)), [_short(str(row["factor"])) for _, row in rows], fontsize=8)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_title(phase, fontsize=10)
        ax.set_xlabel("ratio of elapsed time")
        ax.grid(axis="x", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    add_caption(
        figure,
        [runs[0] for runs in comparison.runs],
        "Circle: that cost alone at the low end of its range; square: at the high end. Grey: the"
        f" band of {comparison.replications} draws of all costs together.",
    )
    return figure


def _short(name: str) -> str:
    first, *more = name.split(",")
    return f"{first} and {len(more)} more" if more else first
