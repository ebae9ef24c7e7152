# SPDX-License-Identifier: MIT
"""
Times by kernel
---------------

A panel for each group of phases: a bar for each kernel and phase, to a common scale of
its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from simulator.analysis.by_kernel import KernelPhase, of_kernels
from simulator.analysis.frames import ResultFrames
from simulator.report.plots.style import add_caption, new_figure
from simulator.report.text import format_ns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_by_kernel",)

_COLORS = ("#0072B2", "#D55E00", "#009E73")
_WIDE = 30.0  # from which ratio on a scale is logarithmic


def plot_by_kernel(
    title: str, rows: Sequence[KernelPhase], runs: Sequence[ResultFrames], how_to_read: str
) -> Figure:
    """Return bars of the time of each phase, a panel for each group."""
    groups = list(dict.fromkeys(row.group for row in rows))
    height = 1.8 + 0.34 * len(of_kernels(rows)) * max(1, _nr_phases(rows) / 2)
    figure = new_figure(max(6.4, 5.0 * len(groups)), height, title)
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    for ax, group in zip(panels, groups, strict=True):
        _panel(ax, group, [row for row in rows if row.group == group])
    add_caption(figure, runs, how_to_read)
    return figure


def _nr_phases(rows: Sequence[KernelPhase]) -> int:
    return len({row.phase for row in rows})


def _panel(ax: Axes, group: str, rows: Sequence[KernelPhase]) -> None:
    kernels = of_kernels(rows)
    phases = list(dict.fromkeys(row.phase for row in rows))
    thick = 0.8 / len(phases)
    for nth, phase in enumerate(phases):
        of_phase = [row for row in rows if row.phase == phase]
        at = [kernels.index(row.kernel) + (nth - (len(phases) - 1) / 2) * thick for row in of_phase]
        times = [row.elapsed_ns for row in of_phase]
        bars = ax.barh(at, times, thick, color=_COLORS[nth % len(_COLORS)], label=phase)
        ax.bar_label(bars, [format_ns(ns) for ns in times], fontsize=7, padding=2)
    ax.set_yticks(np.arange(len(kernels)), kernels, fontsize=8)
    ax.invert_yaxis()
    every = [row.elapsed_ns for row in rows if row.elapsed_ns]
    if max(every) > _WIDE * min(every):
        ax.set_xscale("log")
    ax.margins(x=0.22)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ns, _: format_ns(ns, 1)))
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel("elapsed time")
    ax.set_title(group, fontsize=9, loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    if len(phases) > 1:
        ax.legend(fontsize=8, loc="best")
