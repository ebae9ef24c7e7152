# SPDX-License-Identifier: MIT
"""
synchronize_rcu() in a batch and one by one
-------------------------------------------

The time of a page, and the part of it that passes in grace periods, against the
number of pages, with the range of what a grace period may take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from simulator.analysis.frames import ResultFrames
from simulator.report.header import machine_title, version_text
from simulator.report.plots.style import GREY, new_figure, write_caption
from simulator.report.text import format_ns, format_ns_range
from simulator.studies.synchronize_rcu.numbers import RcuCost, small_from

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_rcu",)

_COLORS = {"pool": "#0072B2", "surplus": "#D55E00"}
_TICK_ROOM = 4
_LABELS = {"pool": "one batch", "surplus": "one by one"}


def plot_rcu(
    costs: Sequence[RcuCost], first: ResultFrames, *, share: float, phase: str = "alloc"
) -> Figure:
    """
    Return the time of a page (left) and the share of grace periods in it (right).

    :param costs: of two kernels, the older first; of the newer with several lengths of a
        grace period.
    :param first: any of the results with the machine as it is.
    :param share: what part of the time is small.
    """
    before, after = dict.fromkeys(c.kernel for c in costs)
    of_phase = [c for c in costs if c.phase == phase]
    mean_ns = float(first.scenario.machine_model.costs.synchronize_rcu.exact_ns)
    ends = sorted({c.mean_ns for c in costs})
    figure = new_figure(10.0, 4.6, f"What does synchronize_rcu() of {after} cost?")
    left, right = figure.subplots(1, 2)
    for path, color in _COLORS.items():
        old = [c for c in of_phase if (c.kernel, c.path) == (before, path)]
        style = {"color": color, "marker": "o", "markersize": 3.5}
        left.plot(
            [c.pages for c in old], [_page_us(c) for c in old], linestyle="--", linewidth=1.4,
            label=f"{before}, {_LABELS[path]}", **style,
        )  # fmt: skip
        lines = [
            [c for c in of_phase if (c.kernel, c.path, c.mean_ns) == (after, path, end)]
            for end in (ends[0], mean_ns, ends[-1])
        ]
        pages = [c.pages for c in lines[1]]
        for ax, show in ((left, _page_us), (right, _percent)):
            low, middle, high = ([show(c) for c in line] for line in lines)
            ax.plot(pages, middle, linewidth=2.0, label=f"{after}, {_LABELS[path]}", **style)
            ax.fill_between(pages, low, high, color=color, alpha=0.18, linewidth=0)
    left.set_yscale("log")
    left.yaxis.set_major_locator(LogLocator())
    left.yaxis.set_major_formatter(FuncFormatter(lambda us, _: format_ns(1000 * us, 1)))
    left.yaxis.set_minor_formatter(NullFormatter())
    left.set_ylabel(f"{phase}: time of a page")
    right.set_ylim(0, 104)
    right.set_ylabel(f"{phase}: part of the time in synchronize_rcu() (%)")
    _crossing(right, [c for c in of_phase if (c.kernel, c.path) == (after, "pool")], share, ends)
    for ax in (left, right):
        ax.set_xscale("log", base=2)
        ax.set_xticks(_ticks(sorted({c.pages for c in of_phase})))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(axis="x", labelsize=8)
        ax.set_xlabel("huge pages of 2 MB")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    left.legend(loc="lower left", fontsize=8)
    s = first.scenario
    facts = [
        f"simulated: {machine_title(first)}",
        f"noise {s.noise_model.name}",
        f"seed {s.seed}",
        version_text(first.provenance),
    ]
    write_caption(
        figure,
        facts,
        f"Lines: a grace period of {format_ns(mean_ns)} on average, which is"
        f" {s.machine_model.costs.synchronize_rcu.kind}; bands: its range,"
        f" {format_ns_range(ends[0], ends[-1])}. Left: few pages bear all of what patches HVO's"
        f" static key. Right: a diamond is where a grace period of {_listed(ends)} on average is"
        f" {100 * share:g} % of a batch.",
    )
    return figure


def _listed(ends: Sequence[float]) -> str:
    *others, last = map(format_ns, ends)
    return f"{', '.join(others)} or {last}" if others else last


# The sizes whose labels have room: from the largest down.
def _ticks(sizes: Sequence[int]) -> list[int]:
    found: list[int] = []
    for size in reversed(sizes):
        if not found or found[-1] >= _TICK_ROOM * size:
            found.append(size)
    return found


def _page_us(cost: RcuCost) -> float:
    return cost.elapsed_ns / cost.pages / 1000


def _percent(cost: RcuCost) -> float:
    return 100 * cost.share


def _crossing(ax: Axes, batches: Sequence[RcuCost], share: float, ends: Sequence[float]) -> None:
    ax.axhline(100 * share, color=GREY, linewidth=1.0, linestyle=":")
    ax.annotate(f"{100 * share:g} %", (1, 100 * share), (0, 3), textcoords="offset points",
                fontsize=8, color=GREY)  # fmt: skip
    found = [small_from([c for c in batches if c.mean_ns == end], share) for end in ends]
    at = [pages for pages in found if pages is not None]
    ax.plot(at, [100 * share] * len(at), "D", markersize=6, markerfacecolor="white",
            color=_COLORS["pool"], linestyle="none", zorder=5)  # fmt: skip
