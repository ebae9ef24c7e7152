# SPDX-License-Identifier: MIT
"""
Simulated beside the first published histograms of HVO
------------------------------------------------------

A panel per histogram: the share of folios in each bucket of bpftrace, published and
simulated, and below it how the simulated times lie within the buckets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simulator.analysis.frames import ResultFrames, name_of
from simulator.published.hvo_2021 import PublishedRun
from simulator.report.plots.style import add_caption, new_figure
from simulator.report.text import format_ns, format_share
from simulator.studies.hvo_2021.numbers import (
    folio_times,
    log2_histogram,
    page_ns,
    published_histogram,
    was_fitted,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_hvo_2021",)

_PUBLISHED = "#B2182B"
_SIMULATED = "#0072B2"
_FINER = "simulated, finer"
_BINS_PER_OCTAVE = 48
# From and to powers of two of nanoseconds: 4 us to 64 us.
_FIRST, _LAST = 12, 16
# How far the finest bin reaches down, in percent of the axis above.
_DEEPEST = 30


def plot_hvo_2021(
    results: Mapping[bool, ResultFrames], published: Sequence[PublishedRun]
) -> Figure:
    """
    Return the four histograms, published and simulated.

    :param results: the run with HVO off and the one with HVO on.
    """
    figure = new_figure(10.0, 6.4, "Time per folio, beside the histograms of 2021")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for ax, p in zip(axes.flat, published, strict=True):
        _panel(ax, p, results[p.hvo])
    for ax in axes[-1]:
        ax.set_xlabel("time of a folio (us)")
    for ax in axes[:, 0]:
        ax.set_ylabel("folios (%)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    # What is below the axis last.
    order = sorted(range(len(labels)), key=lambda i: labels[i] == _FINER)
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="outside right upper",
        fontsize=8,
    )
    add_caption(
        figure,
        [results[False], results[True]],
        f"Bars: share of the folios in each bucket of bpftrace's hist(), a power of two. Below"
        " the axis: how the simulated times lie within the buckets, to a scale of its own."
        f" Published: {published[0].source}; the probes' own cost is in it.",
    )
    return figure


def _panel(ax: Axes, p: PublishedRun, result: ResultFrames) -> None:
    times_ns = folio_times(result, p.phase)
    pairs = (
        (published_histogram(p), _PUBLISHED, "published", 0.08),
        (log2_histogram(times_ns), _SIMULATED, "simulated", 0.52),
    )
    for histogram, color, label, offset in pairs:
        at = np.log2(histogram.low) + offset
        shares = 100 * histogram.count / histogram.total
        drawn = ax.bar(at, shares, 0.4, align="edge", color=color, label=label)
        texts = [format_share(share / 100) for share in shares]
        ax.bar_label(drawn, texts, fontsize=7, padding=2, color=color)
    edges = np.linspace(_FIRST, _LAST, (_LAST - _FIRST) * _BINS_PER_OCTAVE + 1)
    density, _ = np.histogram(np.log2(times_ns), edges)
    ax.stairs(
        -_DEEPEST * density / density.max(), edges, fill=True, color=_SIMULATED, alpha=0.45,
        label=_FINER,
    )  # fmt: skip
    ax.axhline(0, color="black", linewidth=0.8)
    for octave in range(_FIRST, _LAST + 1):
        ax.axvline(octave, color="#D9D9D9", linewidth=0.8, zorder=0)
    ticks = range(_FIRST, _LAST + 1)
    ax.set_xticks(list(ticks), [f"{2**octave / 1000:.3g}" for octave in ticks])
    ax.set_xlim(_FIRST, _LAST)
    ax.set_ylim(-_DEEPEST - 4, 112)
    ax.set_yticks(range(0, 101, 20))
    role = "fitted" if was_fitted(result, p) else "predicted"
    ax.set_title(
        f"{p.phase}, HVO {name_of(p.hvo)}: published {format_ns(p.page_ns)} a page,"
        f" {role} {format_ns(page_ns(result, p.phase))}",
        fontsize=9,
        loc="left",
    )
    ax.spines[["top", "right"]].set_visible(False)
