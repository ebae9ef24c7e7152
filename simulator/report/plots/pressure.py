# SPDX-License-Identifier: MIT
"""
Memory pressure
---------------

What each answer to ENOMEM ends with, against the number of free base pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, NullLocator

from simulator.analysis.frames import ResultFrames
from simulator.analysis.pressure import outcome_of
from simulator.report.plots.style import (
    add_caption,
    distinct,
    line_styles,
    log_if_wide,
    new_figure,
    time_unit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_pressure",)


def plot_pressure(swept: Mapping[str, Sequence[ResultFrames]]) -> Figure:
    """
    Return folios optimised (above) and time (below) against free pages, a line per kernel.

    :param swept: by how the pages lie (a column of panels each), runs of each kernel with
        each number of free pages.
    """
    outcomes = {where: [outcome_of(r) for r in runs] for where, runs in swept.items()}
    every = [o for found in outcomes.values() for o in found]
    styles = line_styles(distinct(o.kernel for o in every))
    unit, unit_ns = time_unit(max(o.elapsed_ns for o in every))
    figure = new_figure(2.6 + 4.0 * len(outcomes), 6.4, "When memory is short")
    above, below = figure.subplots(2, len(outcomes), sharey="row", squeeze=False)
    log_if_wide(below[0], "y", [o.elapsed_ns / unit_ns for o in every])
    for top, bottom, (where, found) in zip(above, below, outcomes.items(), strict=True):
        free = sorted({o.free_pages for o in found})
        for kernel, (color, width) in styles.items():
            of_kernel = sorted((o for o in found if o.kernel == kernel), key=lambda o: o.free_pages)
            style = {
                "color": color,
                "linewidth": width,
                "marker": "o",
                "markersize": 2.5 + 1.3 * width,
                "label": kernel,
            }
            x = [o.free_pages for o in of_kernel]
            top.plot(x, [o.optimized / o.pages for o in of_kernel], **style)
            bottom.plot(x, [o.elapsed_ns / unit_ns for o in of_kernel], **style)
        top.set_title(where, fontsize=9, wrap=True)
        for ax in (top, bottom):
            _free_axis(ax, free)
        bottom.set_xlabel("free base pages")
    above[0].set_ylim(-0.04, 1.04)
    above[0].set_ylabel("fraction of folios optimised")
    below[0].set_ylabel(f"elapsed time of the fill ({unit})")
    handles, labels = above[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", title="kernel")
    runs = [r for found in swept.values() for r in found]
    add_caption(
        figure,
        runs,
        "Above: huge pages of the fill whose vmemmap was optimised. Below: the time of the fill; "
        "one that optimises little is fast. Left: no free page; right: enough for all PTE pages "
        "and head pages at once. Thin lines lie on wide ones where kernels behave alike.",
    )
    return figure


# Logarithmic but for 0, with ticks at numbers that were simulated, all of them at both ends.
def _free_axis(ax: Axes, free: Sequence[int]) -> None:
    ax.set_xscale("symlog", linthresh=1, linscale=0.5)
    ax.set_xticks([*free[:2], *free[3:-2:2], *free[-2:]])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.tick_params(axis="x", labelsize=7, rotation=45)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
