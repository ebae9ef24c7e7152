# SPDX-License-Identifier: MIT
"""
Flushes by what they are for
----------------------------

A panel per situation, a bar per kernel: the time of the phase, and in it the time in
flushes of each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.flush_kinds import FLUSH_KINDS, FlushCase, flush_kinds
from simulator.analysis.frames import ResultFrames, name_of
from simulator.report.plots.style import add_caption, new_figure, one_machine, time_unit
from simulator.report.text import format_count, format_ns

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_flush_kinds",)

_COLORS = {
    "split": "#0072B2",
    "batch": "#009E73",
    "late": "#D55E00",
    "remap": "#FDBE85",
    "other": "#CC79A7",
}
_LABELS = {
    "split": "split of a PMD",
    "batch": "once for a list",
    "late": "late split",
    "remap": "remap of a folio",
    "other": "other flush",
}
_REST = "everything else"
_REST_COLOR = "#BDBDBD"
_WARNING = "#B2182B"


def plot_flush_kinds(cases: Sequence[FlushCase], phase: str = "alloc") -> Figure:
    """
    Return bars of the time of a phase, flushes apart by kind, one panel per case.

    :param cases: runs of one machine, one per kernel in each case.
    """
    results = [r for case in cases for r in case.results]
    one_machine(results)
    pairs = [cases[i : i + 2] for i in range(0, len(cases), 2)]
    bars = sum(max(len(case.results) for case in pair) for pair in pairs)
    figure = new_figure(
        11.0, 1.2 + 0.8 * len(pairs) + 0.28 * bars, "What each form spends in flushes"
    )
    grid = figure.subplots(len(pairs), 2, squeeze=False)
    axes = [ax for row in grid for ax in row]
    for ax, case in zip(axes, cases, strict=False):
        _panel(ax, case, phase)
    for ax in axes[len(cases) :]:
        ax.set_visible(False)
    found: dict[str, Artist] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    order = [name for name in (*_LABELS.values(), _REST) if name in found]
    figure.legend(
        [found[name] for name in order],
        order,
        loc="outside right upper",
        title="time in",
        fontsize=8,
    )
    add_caption(
        figure,
        results,
        f"One bar is one run of {phase}, as long as it took; the panels have scales of their own."
        " In red: PMDs split and not flushed before vmemmap pages were given back.",
    )
    return figure


def _panel(ax: Axes, case: FlushCase, phase: str) -> None:
    elapsed = [_elapsed_ns(r, phase) for r in case.results]
    kinds = [flush_kinds(r, phase) for r in case.results]
    unit, unit_ns = time_unit(max(elapsed))
    at = range(len(elapsed))
    left = [0.0] * len(elapsed)
    for kind in FLUSH_KINDS:
        if not any(k[kind].count for k in kinds):
            continue
        widths = [k[kind].ns / unit_ns for k in kinds]
        ax.barh(at, widths, 0.72, left=left, color=_COLORS[kind], label=_LABELS[kind])
        left = [a + b for a, b in zip(left, widths, strict=True)]
    rest = [ns / unit_ns - done for ns, done in zip(elapsed, left, strict=True)]
    ax.barh(at, rest, 0.72, left=left, color=_REST_COLOR, label=_REST)
    for y, (r, ns, k) in enumerate(zip(case.results, elapsed, kinds, strict=True)):
        flushes = sum(found.count for found in k.values())
        text = f"{format_ns(ns)}, {format_count(flushes)} flushes"
        note = ax.annotate(
            text, (ns / unit_ns, y), (3, 0), textcoords="offset points", va="center", fontsize=7
        )
        unflushed = case.unflushed[name_of(r.scenario.kernel)]
        if unflushed:
            ax.annotate(
                f" {format_count(unflushed)} unflushed",
                (1, 0.5),
                xycoords=note,
                va="center",
                fontsize=7,
                color=_WARNING,
            )
    # Room for what stands behind the longest bar.
    ax.set_xlim(0, 1.9 * max(elapsed) / unit_ns)
    ax.set_yticks(list(at), [name_of(r.scenario.kernel) for r in case.results], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel(f"{phase} ({unit})", fontsize=8)
    ax.set_title(case.title, fontsize=9, loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=7)


def _elapsed_ns(result: ResultFrames, phase: str) -> int:
    summary = result.summary
    return int(summary.loc[summary["phase"] == phase, "elapsed_ns"].iloc[0])
