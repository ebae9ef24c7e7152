# SPDX-License-Identifier: MIT
"""
The tails of latencies
----------------------

The share of folios, and of flushes, that took longer: a straight look at the worst
ones, which a mean hides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.analysis.histogram import Histogram
from simulator.report.plots.style import (
    add_caption,
    first_of,
    legend_of,
    log_if_wide,
    marks,
    new_figure,
    replications_text,
)
from simulator.report.text import unit_of_ns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison

__all__ = ("plot_tails",)

_MOST = 8
_WHAT = ("folio", "flush")


def plot_tails(comparison: Comparison) -> Figure | None:
    """
    Return complementary distributions over all replications, a row per kind, a column per phase.

    None where no latency was recorded.  Of many scenarios, the first eight.
    """
    phases = comparison.phases
    labels, others = first_of(comparison.labels, _MOST)
    found = {}
    for label, runs in zip(labels, comparison.runs, strict=False):
        for phase in phases:
            for what in _WHAT:
                whole = Histogram.of_runs(runs, phase, what)
                if whole.total:
                    found[label, phase, what] = whole
    kinds = [what for what in _WHAT if any(key[2] == what for key in found)]
    if not kinds:
        return None
    styles = marks(labels)
    figure = new_figure(3.4 + 3.2 * len(phases), 1.6 + 2.4 * len(kinds), "How many took longer")
    grid = figure.subplots(len(kinds), len(phases), sharey=True, sharex="row", squeeze=False)
    for axes, what in zip(grid, kinds, strict=True):
        of_kind = [h for key, h in found.items() if key[2] == what]
        unit, unit_ns = unit_of_ns(max(float(h.high[-1]) for h in of_kind))
        ends = [float(h.low[0]) for h in of_kind] + [float(h.high[-1]) for h in of_kind]
        log_if_wide(axes[0], "x", [max(end, 1.0) / unit_ns for end in ends], factor=8.0)
        for ax, phase in zip(axes, phases, strict=True):
            for label in labels:
                h = found.get((label, phase, what))
                if h is None:
                    continue
                edges, below = h.cumulative()
                x = np.concatenate([h.low[:1], edges]) / unit_ns
                # At its largest value a curve ends at one of all, and not at none.
                y = np.maximum(np.concatenate([[1.0], 1.0 - below]), 0.5 / h.total)
                style = styles[label]
                ax.step(
                    x, y, where="post", color=style.color, linestyle=style.dashes, linewidth=1.5,
                    label=label,
                )  # fmt: skip
                ax.plot(x[-1:], y[-1:], style.marker, color=style.color, markersize=4)
            ax.set_yscale("log")
            ax.set_title(f"{phase}: {what}", fontsize=10)
            ax.set_xlabel(f"time of one {what} ({unit})")
            ax.grid(alpha=0.25)
            ax.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("share that took longer")
    figure.legend(*legend_of(grid.flat), loc="outside right upper", fontsize=8)
    add_caption(
        figure,
        [runs[0] for runs in comparison.runs],
        "Height: the share that took longer than this. A mark ends each curve at the longest."
        f" All replications together. {replications_text(comparison)}{others} Folio: from the start"
        " of its work to ready, which batched ones become together.",
    )
    return figure
