# SPDX-License-Identifier: MIT
"""
Two kernels under several noises
--------------------------------

Their times and their speed-up, and how long a flush of the first one takes,
under the presets and along one key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.frames import ResultTotals
from simulator.report.plots.style import (
    add_caption,
    line_styles,
    log_if_wide,
    new_figure,
)
from simulator.report.text import unit_of_ns
from simulator.studies.noise.numbers import NoiseCase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_noise",)

_DASHES = {0.5: "-", 0.99: "--"}
_NAMES = {0.5: "median flush", 0.99: "99th percentile"}


def plot_noise(
    presets: Sequence[NoiseCase],
    swept: Sequence[NoiseCase],
    key: str,
    changed: str,
    results: Sequence[ResultTotals],
) -> Figure:
    """
    Return times (above) and flushes (below), by preset (left) and along a key (right).

    :param presets: cases of one phase, in the order of the axis.
    :param swept: cases of the same phase with values of ``key``.
    :param changed: what the swept noises are, in words.
    :param results: under the presets, for the caption.
    """
    phase = presets[0].phase
    figure = new_figure(10.0, 6.8, f"{phase.capitalize()} under several noises")
    axes = figure.subplots(2, 2, sharey="row", squeeze=False)
    every = [*presets, *swept]
    styles = line_styles(every[0].kernels)
    unit, unit_ns = unit_of_ns(max(of.mean for case in every for of in case.elapsed_ns))
    flush_ns = [h.tail(q) or 0 for case in every for h in case.flushes for q in _DASHES]
    flush_unit, flush_unit_ns = unit_of_ns(max(flush_ns))
    times = [of.mean / unit_ns for case in every for of in case.elapsed_ns]
    log_if_wide(axes[0][0], "y", times, 5.0)
    log_if_wide(axes[1][0], "y", [ns / flush_unit_ns for ns in flush_ns], 5.0)
    for column, cases in enumerate((presets, swept)):
        top, bottom = axes[0][column], axes[1][column]
        x = [float(i) for i in range(len(cases))]
        for i, kernel in enumerate(every[0].kernels):
            color, width = styles[kernel]
            common = {"color": color, "linewidth": width if column else 0, "marker": "o"}
            y = [case.elapsed_ns[i].mean / unit_ns for case in cases]
            top.plot(x, y, label=f"{kernel}, mean time", **common)
            for at, case in zip(x, cases, strict=True):
                of = case.elapsed_ns[i]
                if of.low is not None and of.high is not None:
                    ends = [max(of.low, 0.05 * of.mean) / unit_ns, of.high / unit_ns]
                    top.plot([at, at], ends, color=color, linewidth=1.0)
            for q, dashes in _DASHES.items():
                found = [case.flushes[i].tail(q) for case in cases]
                y = [math.nan if ns is None else ns / flush_unit_ns for ns in found]
                shape = "o" if q == 0.5 else "^"
                style = {**common, "linestyle": dashes, "marker": shape}
                if not all(map(math.isnan, y)):
                    bottom.plot(x, y, label=f"{kernel}, {_NAMES[q]}", **style)
        _speed_ups(top, x, cases)
        for ax in (top, bottom):
            ax.set_xticks(x, [case.label for case in cases], fontsize=8)
            ax.set_xlim(-0.5, len(cases) - 0.3)
            ax.grid(alpha=0.3)
            ax.spines[["top", "right"]].set_visible(False)
        bottom.set_xlabel("preset" if not column else key)
    for ax in (axes[0][0], axes[1][0]):
        if ax.get_yscale() == "linear":
            ax.set_ylim(0, 1.06 * ax.get_ylim()[1])
    axes[0][0].set_ylabel(f"elapsed time ({unit})")
    axes[1][0].set_ylabel(f"time of one flush ({flush_unit})")
    # A legend for each row: what a marker stands for is not the same in both.
    for ax in axes[:, -1]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8)
    add_caption(
        figure,
        results,
        f"Above: mean time, its 95% interval ({_runs_text(every[0])}), and how many times as long"
        f" {every[0].kernels[0]} takes. Below: median and 99th percentile of the flushes, where"
        " there are enough of them. "
        f"Right: {changed}; not to scale.",
    )
    return figure


def _runs_text(case: NoiseCase) -> str:
    n = case.speed_up.n
    return f"n={n}" if n > 1 else "none: n=1"


# Over the panel, where no line can cross them.
def _speed_ups(ax: Axes, x: Sequence[float], cases: Sequence[NoiseCase]) -> None:
    before, after = cases[0].kernels
    ax.set_title(f"time of {before} over that of {after}:", fontsize=8, loc="left", pad=16)
    for at, case in zip(x, cases, strict=True):
        ax.annotate(
            f"{case.speed_up.mean:.3g}x", (at, 1), (0, 3), xycoords=ax.get_xaxis_transform(),
            textcoords="offset points", fontsize=8, ha="center", va="bottom",
        )  # fmt: skip
