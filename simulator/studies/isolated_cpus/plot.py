# SPDX-License-Identifier: MIT
"""
What an isolated CPU loses, as lines
------------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter

from simulator.analysis.frames import ResultFrames
from simulator.report.plots.style import add_caption, new_figure
from simulator.report.text import format_ns
from simulator.studies.isolated_cpus import ENTRIES_PER_S, WAYS, IsolatedCpus
from simulator.studies.isolated_cpus.numbers import Disturbed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_isolated",)

_LINEAR_NS = 1000  # below this the scale is linear, down to 0
_LINES = (("#D55E00", "o", "-"), ("#0072B2", "^", "-"), ("#009E73", "s", "--"))


def plot_isolated(found: Sequence[Disturbed], runs: Sequence[ResultFrames]) -> Figure:
    """Return what an isolated CPU loses by its kernel entries, a panel for each phase."""
    phases = list(dict.fromkeys(row.phase for row in found))
    figure = new_figure(8.8, 4.0, IsolatedCpus.QUESTION)
    panels = figure.subplots(1, len(phases), squeeze=False, sharey=True)[0]
    for ax, phase in zip(panels, phases, strict=True):
        _panel(ax, phase, [row for row in found if row.phase == phase])
    panels[0].set_ylabel("lost by an isolated CPU")
    # Of both panels.
    panels[0].set_ylim(0, 3 * max(_LINEAR_NS, *(row.lost_ns for row in found)))
    panels[0].legend(fontsize=8, loc="upper left")
    add_caption(
        figure,
        runs,
        "Lines: time in interrupts, flushes at kernel entries and refills, the mean of the isolated"
        " CPUs, while one task fills the pool (alloc) and empties it (free). The scale is"
        " logarithmic from 1 us on.",
    )
    return figure


def _panel(ax: Axes, phase: str, found: Sequence[Disturbed]) -> None:
    places = range(len(ENTRIES_PER_S))
    for way, (color, marker, line) in zip(WAYS, _LINES, strict=True):
        lost_ns = [row.lost_ns for row in found if row.way == way]
        ax.plot(places, lost_ns, line, color=color, marker=marker, markersize=5, label=way)
    ax.set_xticks(places, [f"{entries:,}" for entries in ENTRIES_PER_S])
    ax.set_yscale("symlog", linthresh=_LINEAR_NS)
    ax.set_yticks([0, *(_LINEAR_NS * 10**power for power in range(5))])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda ns, _: format_ns(ns, 1)))
    ax.tick_params(labelsize=8)
    ax.set_xlabel("kernel entries a second")
    ax.set_title(phase, fontsize=9, loc="left")
    ax.grid(axis="y", linewidth=0.4, alpha=0.5)
    ax.spines[["top", "right"]].set_visible(False)
