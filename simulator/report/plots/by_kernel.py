# SPDX-License-Identifier: MIT
"""
Times by kernel
---------------

A panel for each group of phases: a mark for each kernel and phase, all panels logarithmic
or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from simulator.analysis.by_kernel import KernelPhase, of_kernels
from simulator.analysis.frames import ResultFrames
from simulator.report.plots.style import add_caption, marks, new_figure
from simulator.report.text import format_ns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_by_kernel",)

_FEW_DECADES = 100.0  # up to which ratio there is room for two ticks in each
_WIDE = 30.0  # from which ratio on a scale is logarithmic


def plot_by_kernel(
    title: str, rows: Sequence[KernelPhase], runs: Sequence[ResultFrames], how_to_read: str
) -> Figure:
    """Return marks at the time of each phase, a panel for each group."""
    groups = list(dict.fromkeys(row.group for row in rows))
    height = 1.8 + 0.34 * len(of_kernels(rows)) * max(1, _nr_phases(rows) / 2)
    figure = new_figure(max(6.4, 5.0 * len(groups)), height, title)
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    every = [row.elapsed_ns for row in rows if row.elapsed_ns]
    is_log = max(every) > _WIDE * min(every)
    for ax, group in zip(panels, groups, strict=True):
        _panel(ax, group, [row for row in rows if row.group == group], is_log=is_log)
    add_caption(figure, runs, f"{how_to_read} n=1: each is one run.")
    return figure


def _nr_phases(rows: Sequence[KernelPhase]) -> int:
    return len({row.phase for row in rows})


def _panel(ax: Axes, group: str, rows: Sequence[KernelPhase], *, is_log: bool) -> None:
    kernels = of_kernels(rows)
    phases = list(dict.fromkeys(row.phase for row in rows))
    apart = 0.8 / len(phases)
    if is_log:
        # A bar has a length, which means nothing on such an axis.
        ax.set_xscale("log")
    for nth, (phase, mark) in enumerate(marks(phases).items()):
        of_phase = [row for row in rows if row.phase == phase]
        at = [kernels.index(row.kernel) + (nth - (len(phases) - 1) / 2) * apart for row in of_phase]
        times = [row.elapsed_ns for row in of_phase]
        ax.plot(times, at, mark.marker, color=mark.color, markersize=6, label=phase)
        for ns, y in zip(times, at, strict=True):
            ax.annotate(
                format_ns(ns), (ns, y), (7, 0), textcoords="offset points", va="center", fontsize=7
            )
    ax.set_yticks(np.arange(len(kernels)), kernels, fontsize=8)
    ax.set_ylim(len(kernels) - 0.4, -0.6)
    ax.grid(axis="x", alpha=0.3)
    if not is_log:
        ax.set_xlim(left=0)
    # Room for the number beside the last mark.
    left, right = ax.get_xlim()
    ax.set_xlim(left, right * (right / left) ** 0.25 if is_log else 1.22 * right)
    if is_log:
        few = right / left < _FEW_DECADES
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if few else (1.0,), numticks=6))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ns, _: format_ns(ns, 1)))
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel("elapsed time")
    ax.set_title(group, fontsize=9, loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    if len(phases) > 1:
        ax.legend(fontsize=8, loc="best")
