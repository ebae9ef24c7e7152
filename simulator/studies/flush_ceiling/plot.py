# SPDX-License-Identifier: MIT
"""
A flush against its pages, beside full flushes
----------------------------------------------
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from simulator.analysis.benchmarks import call_times
from simulator.analysis.frames import ResultFrames
from simulator.published.benchmarks import PublishedFigure
from simulator.report.header import machine_title, version_text
from simulator.report.plots.style import GREY, new_figure, write_caption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_ceiling",)

_FULL_COLORS = ("#009E73", "#56B4E9", "#0072B2", "#CC79A7", "#D55E00")


def plot_ceiling(
    flushes: ResultFrames,
    full_ns: Mapping[int, float],
    published: Sequence[PublishedFigure],
    *,
    ceiling: int,
) -> Figure:
    """
    Return the time of a flush against its pages, beside full flushes.

    :param flushes: a result of tlb_flush on one CPU, without a ceiling.
    :param full_ns: a full flush and the misses after it, by how many translations are used
        again.
    :param published: times of flushes by the number of pages.
    :param ceiling: the kernel's.
    """
    times = {int(p): t for p, t in call_times(flushes).items() if p.isdigit()}
    figure = new_figure(8.0, 5.0, "Where should the ceiling be?")
    ax = figure.subplots()
    pages = sorted(times)
    whole = [times[n].whole_ns / 1000 for n in pages]
    ax.plot(pages, whole, color="black", linewidth=1.8, label="INVLPG, with misses")
    alone = [times[n].mean_ns / 1000 for n in pages]
    ax.plot(pages, alone, color=GREY, linewidth=1.2, linestyle="--", label="INVLPG, misses apart")
    found = {int(f.figure): f for f in published if f.figure.isdigit()}
    for role, face in (("fitted", "none"), ("predicted", "black")):
        marked = [n for n, f in found.items() if f.role == role]
        if marked:
            label = f"published, {role}"
            y = [found[n].ns / 1000 for n in marked]
            if role == "predicted":
                # To what was predicted for it: which line it belongs to.
                ax.vlines(marked, [times[n].mean_ns / 1000 for n in marked], y, color="black")
            ax.plot(
                marked, y, "D", markersize=4.5, color="black", markerfacecolor=face, label=label
            )
    for color, (entries, ns) in zip(_FULL_COLORS, full_ns.items(), strict=False):
        ax.axhline(ns / 1000, color=color, linewidth=1.4)
        text = f"full flush, {entries} used again"
        ax.annotate(text, (pages[-1], ns / 1000), (0, 3), textcoords="offset points", ha="right",
                    fontsize=8, color=color)  # fmt: skip
    ax.axvline(ceiling, color=GREY, linewidth=1.0, linestyle=":")
    top = max(times[pages[-1]].whole_ns, *full_ns.values()) / 1000
    ax.annotate(f"ceiling: {ceiling}", (ceiling, 1.06 * top), (-4, 0), textcoords="offset points",
                fontsize=8, color=GREY, ha="right")  # fmt: skip
    ax.set_xlim(0, pages[-1] + 1)
    ax.set_ylim(0, 1.1 * top)
    ax.set_xlabel("pages of the flush")
    ax.set_ylabel("time on one CPU (us)")
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    s = flushes.scenario
    facts = [f"simulated: {machine_title(flushes)}", f"seed {s.seed}"]
    write_caption(
        figure,
        [*facts, version_text(flushes.provenance)],
        "The ceiling should be where INVLPG with the misses that it causes crosses the line of "
        "the full flush. Which line that is depends on how many of the other translations are "
        "used again. Diamonds: published averages, which belong to the dashed line: it was fitted "
        "to the open ones, and predicts the filled ones, with lines as long as its error.",
    )
    return figure
