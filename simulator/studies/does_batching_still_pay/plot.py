# SPDX-License-Identifier: MIT
"""
Batched and not, as lines
-------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from simulator.analysis.frames import ResultFrames
from simulator.report.plots.style import add_caption, new_figure
from simulator.report.text import format_ns
from simulator.studies.does_batching_still_pay import (
    BATCHED,
    UNBATCHED,
    DoesBatchingStillPay,
)
from simulator.studies.does_batching_still_pay.numbers import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_batching",)

# By colour and by form: what is printed grey can still be told apart.
_LINES = {
    ("ipi", UNBATCHED): ("IPI, folio by folio", "#D55E00", "o", "-"),
    ("ipi", BATCHED): ("IPI, batched", "#D55E00", "o", "--"),
    ("invlpgb", UNBATCHED): ("INVLPGB, folio by folio", "#0072B2", "^", "-"),
    ("invlpgb", BATCHED): ("INVLPGB, batched", "#0072B2", "^", "--"),
}


def plot_batching(found: Sequence[Point], runs: Sequence[ResultFrames]) -> Figure:
    """Return the time of a page by the number of CPUs, a panel for each phase."""
    phases = list(dict.fromkeys(point.phase for point in found))
    figure = new_figure(9.2, 4.6, DoesBatchingStillPay.QUESTION)
    panels = figure.subplots(1, len(phases), squeeze=False, sharey=True)[0]
    for ax, phase in zip(panels, phases, strict=True):
        _panel(ax, phase, [point for point in found if point.phase == phase])
    panels[0].set_ylabel("time of a huge page")
    panels[-1].legend(fontsize=8, loc="upper left")
    add_caption(
        figure,
        runs,
        "Lines: elapsed time by pages; the same kernel with and without batching, and with"
        " tlbi=ipi. Both scales are logarithmic. Of INVLPGB all is extrapolated.",
    )
    return figure


def _panel(ax: Axes, phase: str, found: Sequence[Point]) -> None:
    for (mechanism, kernel), (label, color, marker, line) in _LINES.items():
        of_line = [p for p in found if (p.mechanism, p.kernel) == (mechanism, kernel)]
        cpus = [p.cpus for p in of_line]
        each_ns = [p.elapsed_ns / p.pages for p in of_line]
        ax.plot(cpus, each_ns, line, color=color, marker=marker, markersize=4, label=label)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    every = list(dict.fromkeys(p.cpus for p in found))
    ax.set_xticks(every, [str(cpus) for cpus in every])
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda ns, _: format_ns(ns, 1)))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelsize=8)
    ax.set_xlabel("CPUs")
    ax.set_title(phase, fontsize=9, loc="left")
    ax.grid(axis="y", linewidth=0.4, alpha=0.5)
    ax.spines[["top", "right"]].set_visible(False)
