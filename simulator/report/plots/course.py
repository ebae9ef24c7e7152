# SPDX-License-Identifier: MIT
"""
Flushes over the course of a phase
----------------------------------

How long each flush took, against the time at which it began.

Sources: form: LISA's plots of latencies over time,
https://github.com/ARM-software/lisa.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from simulator.analysis.course import flush_course, thinned
from simulator.analysis.frames import ResultFrames, name_of
from simulator.report.plots.style import (
    add_caption,
    all_phases,
    legend_of,
    log_if_wide,
    marks,
    new_figure,
    one_machine,
)
from simulator.report.text import unit_of_ns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_course",)

#: Windows of time into which more flushes than three for each are thinned.
_WINDOWS: Final = 300


def plot_course(results: Sequence[ResultFrames]) -> Figure | None:
    """
    Return how long flushes took over the time of a phase, a mark per kernel, a panel per phase.

    None where nothing was flushed.

    :param results: runs of one machine and HVO setting, one per kernel.
    """
    one_machine(results)
    phases = all_phases(results)
    drawn = marks([name_of(r.scenario.kernel) for r in results])
    whole = {
        (name_of(r.scenario.kernel), phase): flush_course(r, phase)
        for r in results
        for phase in phases
    }
    courses = {key: thinned(found, _WINDOWS) for key, found in whole.items() if len(found)}
    if not courses:
        return None
    is_thinned = any(len(courses[key]) < len(whole[key]) for key in courses)
    unit, unit_ns = unit_of_ns(max(float(c["at_ns"].max()) for c in courses.values()))
    took = [float(t) for c in courses.values() for t in (c["took_ns"].min(), c["took_ns"].max())]
    took_unit, took_unit_ns = unit_of_ns(max(took))
    figure = new_figure(2.2 + 3.8 * len(phases), 4.0, "Flushes over time")
    axes = figure.subplots(1, len(phases), sharex=True, sharey=True, squeeze=False)[0]
    is_log = log_if_wide(axes[0], "y", [t / took_unit_ns for t in took], factor=5.0)
    for ax, phase in zip(axes, phases, strict=True):
        for kernel, mark in drawn.items():
            course = courses.get((kernel, phase))
            if course is None:
                continue
            ax.plot(
                course["at_ns"] / unit_ns,
                course["took_ns"] / took_unit_ns,
                color=mark.color,
                marker=mark.marker,
                markersize=3.0,
                markerfacecolor="none",
                markeredgewidth=0.7,
                linestyle="none",
                label=kernel,
            )
        ax.set_title(phase, fontsize=10)
        ax.set_xlabel(f"time since the phase began ({unit})")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    if not is_log:
        axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel(f"time of one flush ({took_unit})")
    figure.legend(*legend_of(axes), loc="outside right upper", title="kernel")
    each = (
        f"Of each of {_WINDOWS} windows of time the shortest, the middle and the longest flush."
        if is_thinned
        else "A mark for each flush, from the call to the return."
    )
    add_caption(figure, results, f"{each} n=1.")
    return figure
