# SPDX-License-Identifier: MIT
"""
Memory pressure
---------------

What each answer to ENOMEM ends with, against the number of free base pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from simulator.analysis.frames import ResultFrames
from simulator.report.plots.style import (
    add_caption,
    distinct,
    line_styles,
    log_if_wide,
    marks,
    new_figure,
)
from simulator.report.text import unit_of_ns
from simulator.studies.memory_pressure.numbers import AllMemory, FillOutcome, outcome_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_pressure", "plot_prices")


Show = Callable[[FillOutcome], float]

_ONE = "One PTE page\ncannot be had"
_DODGE = 0.15


def plot_pressure(
    swept: Mapping[str, Sequence[ResultFrames]], one_fails: Sequence[ResultFrames] = ()
) -> Iterator[tuple[str, Figure]]:
    """
    Yield a figure for each question with its name: against free pages, a line per kernel.

    What part is optimised (``optimised``), how many base pages that took at the peak
    (``pages``), how many flushes (``flushes``) and how long (``elapsed``).

    :param swept: by how the pages lie (a column of panels each), runs of each kernel with
        each number of free pages.
    :param one_fails: runs of each kernel in which a single PTE page cannot be had.
    """
    outcomes = {where: [outcome_of(r) for r in runs] for where, runs in swept.items()}
    single = [outcome_of(r) for r in one_fails]
    every = [o for found in (*outcomes.values(), single) for o in found]
    unit, unit_ns = unit_of_ns(max(o.elapsed_ns for o in every))
    runs = [*(r for found in swept.values() for r in found), *one_fails]

    def drawn(title: str, label: str, show: Show, scale: Callable[[Axes], object]) -> Figure:
        figure = _figure(title, label, show, outcomes, single, scale)
        how = (
            "Left in a panel: no free page; right: enough for all PTE pages and head pages at"
            " once. Thin lines lie on wide ones where kernels behave alike; a fill that optimises"
            " little is fast. n=1: each is one run."
        )
        if single:
            how += (
                " Right: there are enough pages, but the one for the split in the middle is"
                " refused once: v6.7 stops splitting there, others go on."
            )
        add_caption(figure, runs, how)
        return figure

    yield "optimised", drawn(
        "What part is optimised when memory is short", "part of the folios\noptimised",
        lambda o: o.optimized / o.pages, lambda ax: ax.set_ylim(-0.04, 1.04),
    )  # fmt: skip
    yield "pages", drawn(
        "How many base pages a fill takes when memory is short",
        "base pages in use\nat the peak", lambda o: o.taken_pages,
        lambda ax: _log_with_zero(ax, max(o.taken_pages for o in every)),
    )  # fmt: skip
    yield "flushes", drawn(
        "How often a fill flushes when memory is short", "flushes", lambda o: o.flushes,
        lambda ax: _log_with_zero(ax, max(o.flushes for o in every)),
    )  # fmt: skip
    yield "elapsed", drawn(
        "How long a fill takes when memory is short", f"elapsed time\n({unit})",
        lambda o: o.elapsed_ns / unit_ns,
        lambda ax: log_if_wide(ax, "y", [o.elapsed_ns / unit_ns for o in every]),
    )  # fmt: skip


def plot_prices(prices: Sequence[AllMemory], runs: Sequence[ResultFrames]) -> Figure:
    """Return a panel for a write and for a boot, a bar of missed huge pages for each kernel."""
    actions = distinct(p.action for p in prices)
    figure = new_figure(8.0, 3.2, "Huge pages that are missed where all memory is asked for")
    axes = figure.subplots(1, len(actions), sharey=True, squeeze=False)[0]
    for ax, action in zip(axes, actions, strict=True):
        found = [p for p in prices if p.action == action]
        bars = ax.bar(range(len(found)), [p.missed for p in found], color="0.55", edgecolor="0.2")
        ax.bar_label(bars, labels=[f"{p.missed:,}" for p in found], fontsize=8)
        ax.set_xticks(range(len(found)), [p.kernel for p in found])
        ax.set_title(f"{action} {found[0].asked:,}", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(y=0.12)
    axes[0].set_ylabel("huge pages of 2 MB\nnot got")
    add_caption(
        figure,
        runs,
        "Struct pages and what others have are in all bars alike; the rest is what a batch holds"
        " until its flush. n=1: each is one run.",
    )
    return figure


def _figure(
    title: str,
    label: str,
    show: Show,
    outcomes: Mapping[str, Sequence[FillOutcome]],
    single: Sequence[FillOutcome],
    scale: Callable[[Axes], object],
) -> Figure:
    kernels = distinct(o.kernel for found in (*outcomes.values(), single) for o in found)
    lines, shapes = line_styles(kernels), marks(kernels)
    titles = [*outcomes, *([_ONE] if single else [])]
    ratios = [1.0] * len(outcomes) + [0.5] * bool(single)
    figure = new_figure(2.4 + 3.9 * sum(ratios), 3.9, title)
    axes = figure.subplots(1, len(titles), sharey=True, squeeze=False, width_ratios=ratios)[0]
    for ax, found in zip(axes, outcomes.values(), strict=False):
        for kernel, (color, width) in lines.items():
            of_kernel = sorted((o for o in found if o.kernel == kernel), key=lambda o: o.free_pages)
            ax.plot(
                [o.free_pages for o in of_kernel], [show(o) for o in of_kernel], color=color,
                linewidth=width, marker=shapes[kernel].marker, markersize=3.0 + 1.2 * width,
                label=kernel,
            )  # fmt: skip
    for i, o in enumerate(single):
        at = _DODGE * (i - (len(single) - 1) / 2)
        mark = shapes[o.kernel]
        axes[-1].plot([at], [show(o)], mark.marker, markersize=7, color=mark.color)
    axes[0].set_ylabel(label)
    scale(axes[0])
    for where, ax in zip(titles, axes, strict=True):
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_title(where, fontsize=9)
        if where in outcomes:
            _free_axis(ax, sorted({o.free_pages for o in outcomes[where]}))
        else:
            ax.set_xlim(-0.6, 0.6)
            ax.set_xticks([])
            ax.set_xlabel("enough others")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", title="kernel", fontsize=8)
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
