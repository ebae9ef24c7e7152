# SPDX-License-Identifier: MIT
"""
Flushes by what they are for
----------------------------

A panel per situation, a row per kernel, a column per kind of flush: how many there are,
and how many PMDs were split and not flushed in time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.frames import name_of
from simulator.report.plots.style import GREY, add_caption, new_figure, one_machine
from simulator.report.text import format_count
from simulator.studies.posted_forms.numbers import (
    FLUSH_KINDS,
    FlushCase,
    flush_kinds,
    unflushed_pmds,
)
from simulator.trace.words import own_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_flush_kinds",)

_COLORS = {
    "split": "#0072B2",
    "batch": "#009E73",
    "late": "#D55E00",
    "remap": "#E69F00",
    "other": "#CC79A7",
}
_LABELS = {
    "split": "split of\na PMD",
    "batch": "once for\na list",
    "late": "late\nsplit",
    "remap": "remap of\na folio",
    "other": "other\nflush",
}
_ALL = "all\nflushes"
_UNFLUSHED = "PMDs left\nunflushed"
_WARNING = "#B2182B"
_LIGHT = "#E5E5E5"
# Areas of the marker for one, and what each factor of ten adds (square points).
_ONE, _TENFOLD = 25.0, 55.0
_LEFT = 0.24


def plot_flush_kinds(cases: Sequence[FlushCase], phase: str = "alloc") -> Figure:
    """
    Return the numbers of flushes by kind, as markers that grow with them, a panel per case.

    :param cases: runs of one machine, one per kernel in each case.
    """
    results = [r for case in cases for r in case.results]
    one_machine(results)
    pairs = [cases[i : i + 2] for i in range(0, len(cases), 2)]
    rows = sum(max(len(case.results) for case in pair) for pair in pairs)
    title = "How often each form flushes, and for what"
    figure = new_figure(11.0, 1.2 + 0.9 * len(pairs) + 0.3 * rows, title)
    grid = figure.subplots(len(pairs), 2, squeeze=False)
    axes = [ax for row in grid for ax in row]
    seen = {k for r in results for k, found in flush_kinds(r, phase).items() if found.count}
    kinds = [*(kind for kind in FLUSH_KINDS if kind in seen), *own_words(FLUSH_KINDS, seen)]
    for ax, case in zip(axes, cases, strict=False):
        _panel(ax, case, phase, kinds)
    for ax in axes[len(cases) :]:
        ax.set_visible(False)
    add_caption(
        figure,
        results,
        f"Number of flushes in one {phase}, by what they are for; the area of a marker grows with"
        " the logarithm. Every flush interrupts all other CPUs; those for a PMD or a list empty"
        " their TLBs, that for a folio does not. In red: PMDs that were split and not flushed"
        " before PTEs of them were stored.",
    )
    return figure


def _panel(ax: Axes, case: FlushCase, phase: str, kinds: Sequence[str]) -> None:
    columns = [*(_LABELS.get(kind, kind) for kind in kinds), _ALL, _UNFLUSHED]
    for y, r in enumerate(case.results):
        found = flush_kinds(r, phase)
        for x, kind in enumerate(kinds):
            count = found[kind].count if kind in found else 0
            _count(ax, x, y, count, _COLORS.get(kind, GREY))
        total = format_count(sum(kind.count for kind in found.values()))
        ax.annotate(total, (len(kinds), y), ha="center", va="center", fontsize=8.5)
        unflushed = unflushed_pmds(r)
        _count(ax, len(kinds) + 1, y, unflushed, _WARNING, "X")
        ax.axhline(y + 0.5, color=_LIGHT, linewidth=0.8, zorder=0)
    ax.axvline(len(kinds) - 0.5, color=_LIGHT, linewidth=0.8, zorder=0)
    ax.set_xlim(-0.5, len(columns) - 0.4)
    ax.set_ylim(len(case.results) - 0.5, -0.5)
    ax.set_xticks(range(len(columns)), columns, fontsize=7.5)
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(case.results)), [name_of(r.scenario.kernel) for r in case.results],
                  fontsize=8)  # fmt: skip
    ax.get_xticklabels()[-1].set_color(_WARNING)
    ax.set_title(case.title, fontsize=9, loc="left", fontweight="bold")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


# A marker and its number; a dash for none.
def _count(ax: Axes, x: float, y: float, count: int, color: str, shape: str = "o") -> None:
    if not count:
        ax.annotate("-", (x, y), ha="center", va="center", fontsize=8, color=GREY)
        return
    area = _ONE + _TENFOLD * math.log10(count)
    # Marker and number together are in the middle.
    x -= _LEFT
    beside = (area**0.5 / 2 + 3, 0)
    ax.scatter([x], [y], s=area, color=color, marker=shape, linewidths=0)
    ax.annotate(
        format_count(count), (x, y), beside, textcoords="offset points", va="center",
        fontsize=8.5, color=_WARNING if color == _WARNING else "black",
    )  # fmt: skip
