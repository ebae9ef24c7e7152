# SPDX-License-Identifier: MIT
"""
Before and after
----------------

Ratios to the baseline with their intervals, as points: what is left of the line at
1 became less.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulator.analysis.compare import METRICS, Comparison
from simulator.analysis.safety import UNSAFE
from simulator.report.metric_words import SHORT_TITLES
from simulator.report.plots.style import (
    GREY,
    add_caption,
    first_of,
    log_if_wide,
    marks,
    new_figure,
    replications_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_change",)

# More pairs than this in one figure cannot be told apart.
_MOST_PAIRS = 8


def plot_change(comparison: Comparison) -> Figure | None:
    """
    Return the ratio of every metric to its baseline, a panel per phase, a mark per scenario.

    None where nothing is compared.  Of many scenarios, the first eight.
    """
    pairs, others = first_of([label for label, _ in comparison.pairs], _MOST_PAIRS)
    if not pairs:
        return None
    frame = comparison.frame[comparison.frame["scenario"].isin(pairs)]
    frame = frame[frame["ratio"].notna()]
    phases = [p for p in comparison.phases if (frame["phase"] == p).any()]
    metrics = [m for m in METRICS if (frame["metric"] == m).any()]
    styles = marks(pairs)
    height = 2.0 + 0.12 * len(metrics) * (1.4 + len(pairs))
    figure = new_figure(4.0 + 3.0 * len(phases), height, "Before and after")
    axes = figure.subplots(1, len(phases), sharex=True, sharey=True, squeeze=False)[0]
    positive = [float(v) for v in frame["ratio"] if v > 0]
    is_log = log_if_wide(axes[0], "x", [*positive, 1.0], factor=8.0)
    floor = 0.5 * min([*positive, 1.0]) if is_log else 0.0
    rows = {
        (str(r["scenario"]), str(r["phase"]), str(r["metric"])): r for r in frame.to_dict("records")
    }
    step = 0.8 / max(1, len(pairs))
    for ax, phase in zip(axes, phases, strict=True):
        for i, label in enumerate(pairs):
            style = styles[label]
            for y, metric in enumerate(metrics):
                row = rows.get((label, phase, metric))
                if row is None:
                    continue
                at = y + step * (i - (len(pairs) - 1) / 2)
                ratio = max(float(row["ratio"]), floor)
                low, high = float(row["ratio_low"]), float(row["ratio_high"])
                if not math.isnan(low):
                    ax.plot([max(low, floor), high], [at, at], color=style.color, linewidth=1.2)
                # Hollow: it may as well be chance.
                hollow = row["verdict"] in ("not significant", "too few replications")
                ax.plot(
                    [ratio], [at], style.marker, color=style.color, markersize=5.5,
                    markerfacecolor="white" if hollow else style.color,
                )  # fmt: skip
        ax.axvline(1.0, color=GREY, linewidth=0.8, zorder=0)
        ax.set_title(phase, fontsize=10)
        ax.set_xlabel("ratio to the baseline")
        ax.grid(axis="x", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(metrics)), [SHORT_TITLES[m] for m in metrics], fontsize=8)
    axes[0].set_ylim(len(metrics) - 0.4, -0.6)
    for label in pairs:
        style = styles[label]
        name = f"{label} {UNSAFE}" if comparison.safety[label].unsafe else label
        axes[0].plot([], [], style.marker, color=style.color, label=name)
    handles = axes[0].get_legend_handles_labels()
    bases = list(dict.fromkeys(comparison.baselines))
    against = f"against {bases[0]}" if len(bases) == 1 else "against its baseline"
    figure.legend(*handles, loc="outside right upper", fontsize=8, title=against)
    edge = (
        " A mark at the left edge stands for 0." if is_log and (frame["ratio"] == 0).any() else ""
    )
    add_caption(
        figure,
        [runs[0] for runs in comparison.runs],
        f"Left of 1: less than the baseline. Lines: {100 * comparison.level:g}% intervals; hollow:"
        f" not significant, or too few replications. {replications_text(comparison)}{edge}{others}",
    )
    return figure
