# SPDX-License-Identifier: MIT
"""
Distributions side by side
--------------------------

Cumulative distributions of what was timed, a line per result or trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from simulator.analysis.distributions import SideBySide
from simulator.report.plots.style import line_styles, log_if_wide, write_caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simulator.analysis.histogram import Histogram

__all__ = ("plot_side_by_side",)


def plot_side_by_side(found: SideBySide) -> Figure:
    """Return cumulative distributions, a panel for each thing that was timed in any."""
    timed = {what: hs for what, hs in found.histograms.items() if any(h.total for h in hs)}
    figure = Figure(figsize=(2.2 + 3.6 * max(1, len(timed)), 4.2), layout="constrained")
    figure.suptitle("Times side by side", x=0.01, ha="left", fontsize=11, fontweight="bold")
    axes = figure.subplots(1, max(1, len(timed)), sharey=True, squeeze=False)[0]
    styles = line_styles([f"[{i}]" for i in range(1, len(found.names) + 1)])
    for ax, (what, histograms) in zip(axes, timed.items(), strict=False):
        ends = [float(end) for h in histograms if h.total for end in (h.low[0], h.high[-1])]
        log_if_wide(ax, "x", [end / 1000 for end in ends], factor=5.0)
        for (label, style), histogram in zip(styles.items(), histograms, strict=True):
            _line(ax, histogram, label, style)
        ax.set_title(what, fontsize=10)
        ax.set_xlabel(f"time of one {what} (us)")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(fontsize=8)
    axes[0].set_ylim(0, 1.02)
    axes[0].set_ylabel("fraction")
    write_caption(
        figure,
        [f"[{i}] {name}" for i, name in enumerate(found.names, start=1)],
        "Height: the fraction (0 to 1) that took at most this long.",
    )
    return figure


def _line(ax: Axes, histogram: Histogram, label: str, style: tuple[str, float]) -> None:
    if not histogram.total:
        return
    edges, fraction = histogram.cumulative()
    color, width = style
    ax.step(
        np.concatenate([histogram.low[:1], edges]) / 1000,
        np.concatenate([[0.0], fraction]),
        where="post",
        color=color,
        linewidth=width,
        label=label,
    )
