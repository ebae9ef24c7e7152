# SPDX-License-Identifier: MIT
"""
Barriers by architecture, as bars
---------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from simulator.analysis.frames import ResultFrames
from simulator.report.plots.style import add_caption, new_figure
from simulator.report.text import format_share
from simulator.studies.ordering_cost import KERNEL_OF, OrderingCost
from simulator.studies.ordering_cost.numbers import MIDDLE, Barriers, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_ordering",)

_COLORS = {"alloc": "#0072B2", "free": "#E69F00"}
_HATCHES = {"alloc": "", "free": "///"}


def plot_ordering(found: Sequence[Barriers], runs: Sequence[ResultFrames]) -> Figure:
    """Return the share of barriers, a panel for each page size, a bar for each machine."""
    sizes = list(dict.fromkeys(row.page_size for row in found))
    figure = new_figure(8.4, 3.6, OrderingCost.QUESTION)
    panels = figure.subplots(1, len(sizes), squeeze=False, sharex=True, sharey=True)[0]
    for ax, size in zip(panels, sizes, strict=True):
        _panel(ax, size, found)
    most = max(row.share for row in found)
    panels[0].set(xlim=(0, 1.2 * most or 1), ylim=(len(KERNEL_OF) - 0.5, -0.5))  # both panels
    panels[-1].legend(fontsize=8, loc="upper right")
    add_caption(
        figure,
        runs,
        "Bars: share of the time in smp_wmb() and, on arm64, DSB ISHST after page-table stores;"
        " whiskers: smp_wmb() at both ends of its range. All latencies are assumed; HVO on arm64 is"
        " a what-if.",
    )
    return figure


def _panel(ax: Axes, size: str, found: Sequence[Barriers]) -> None:
    names = []
    for at, machine in enumerate(KERNEL_OF):
        for nth, phase in enumerate(_COLORS):
            by = value_of(found, machine, size, phase)
            row = by[MIDDLE]
            least, most = (by.get(end, row).share for end in ("least", "most"))
            place = at + (nth - 0.5) * 0.4
            ax.barh(
                place, row.share, 0.36, color=_COLORS[phase], hatch=_HATCHES[phase],
                edgecolor="white", label=phase if at == 0 else None,
            )  # fmt: skip
            ax.errorbar(
                row.share, place, xerr=[[row.share - least], [most - row.share]], color="black",
                linewidth=0.8, capsize=2,
            )  # fmt: skip
            ax.annotate(
                format_share(row.share), (max(row.share, most), place), fontsize=7, va="center",
                xytext=(4, 0), textcoords="offset points",
            )  # fmt: skip
        names.append(f"{row.isa}\n{machine}")
    ax.set_yticks(np.arange(len(names)), names, fontsize=8)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel("share of the elapsed time")
    ax.set_title(f"pages of {size}", fontsize=9, loc="left")
    ax.spines[["top", "right"]].set_visible(False)
