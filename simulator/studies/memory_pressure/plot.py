# SPDX-License-Identifier: MIT
"""
Memory pressure
---------------

What each answer to ENOMEM ends with, against the number of free base pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from simulator.analysis.frames import ResultFrames
from simulator.report.plots.style import (
    add_caption,
    distinct,
    line_styles,
    log_if_wide,
    new_figure,
    time_unit,
)
from simulator.studies.memory_pressure.numbers import FillOutcome, outcome_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_pressure",)


_ONE = "One PTE page\ncannot be had"
_DODGE = 0.15


def plot_pressure(
    swept: Mapping[str, Sequence[ResultFrames]], one_fails: Sequence[ResultFrames] = ()
) -> Figure:
    """
    Return what a fill ends with against free pages, a line per kernel, a row per quantity.

    :param swept: by how the pages lie (a column of panels each), runs of each kernel with
        each number of free pages.
    :param one_fails: runs of each kernel in which a single PTE page cannot be had.
    """
    outcomes = {where: [outcome_of(r) for r in runs] for where, runs in swept.items()}
    single = [outcome_of(r) for r in one_fails]
    every = [o for found in (*outcomes.values(), single) for o in found]
    styles = line_styles(distinct(o.kernel for o in every))
    unit, unit_ns = time_unit(max(o.elapsed_ns for o in every))
    rows: dict[str, Callable[[FillOutcome], float]] = {
        "part of the folios\noptimised": lambda o: o.optimized / o.pages,
        "base pages in use\nat the peak": lambda o: o.taken_pages,
        "flushes": lambda o: o.flushes,
        f"elapsed time\n({unit})": lambda o: o.elapsed_ns / unit_ns,
    }
    titles = [*outcomes, *([_ONE] if single else [])]
    ratios = [1.0] * len(outcomes) + [0.36] * bool(single)
    figure = new_figure(2.4 + 3.9 * sum(ratios), 9.6, "What a fill ends with when memory is short")
    grid = figure.subplots(
        len(rows), len(titles), sharex="col", sharey="row", squeeze=False, width_ratios=ratios
    )
    for axes, (label, show) in zip(grid, rows.items(), strict=True):
        axes[0].set_ylabel(label)
        for ax, found in zip(axes, outcomes.values(), strict=False):
            for kernel, (color, width) in styles.items():
                of_kernel = sorted(
                    (o for o in found if o.kernel == kernel), key=lambda o: o.free_pages
                )
                x = [o.free_pages for o in of_kernel]
                ax.plot(
                    x, [show(o) for o in of_kernel], color=color, linewidth=width, marker="o",
                    markersize=2.0 + 1.2 * width, label=kernel,
                )  # fmt: skip
        for i, o in enumerate(single):
            at = _DODGE * (i - (len(single) - 1) / 2)
            axes[-1].plot([at], [show(o)], "o", markersize=7, color=styles[o.kernel][0])
        for ax in axes:
            ax.grid(alpha=0.3)
            ax.spines[["top", "right"]].set_visible(False)
    for axes, show in ((grid[1], lambda o: o.taken_pages), (grid[2], lambda o: o.flushes)):
        _log_with_zero(axes[0], max(map(show, every)))
    grid[0][0].set_ylim(-0.04, 1.04)
    log_if_wide(grid[-1][0], "y", [o.elapsed_ns / unit_ns for o in every])
    for title, top, bottom in zip(titles, grid[0], grid[-1], strict=True):
        top.set_title(title, fontsize=9)
        if title in outcomes:
            _free_axis(bottom, sorted({o.free_pages for o in outcomes[title]}))
        else:
            bottom.set_xlim(-0.6, 0.6)
            bottom.set_xticks([])
            bottom.set_xlabel("enough others")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", title="kernel", fontsize=9)
    how = (
        "Left in a panel: no free page; right: enough for all PTE pages and head pages at once. "
        "Thin lines lie on wide ones where kernels behave alike; a fill that optimises little "
        "is fast."
    )
    if single:
        how += (
            " Right: there are enough pages, but the one for the split in the middle is refused"
            " once: v6.7 stops splitting there, others go on."
        )
    add_caption(figure, [*(r for found in swept.values() for r in found), *one_fails], how)
    return figure


# Numbers from 0 on, all of them at some distance from the frame.
def _log_with_zero(ax: Axes, most: float) -> None:
    ax.set_yscale("symlog", linthresh=1, linscale=0.5)
    ax.set_ylim(-0.3, 2.0 * max(1.0, most))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


# Logarithmic but for 0, with a tick at every number that was simulated.
def _free_axis(ax: Axes, free: Sequence[int]) -> None:
    ax.set_xscale("symlog", linthresh=1, linscale=0.5)
    ax.set_xlim(-0.3, 1.4 * free[-1])
    ax.set_xticks(free)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.tick_params(axis="x", labelsize=7.5, rotation=60)
    ax.set_xlabel("free base pages")
