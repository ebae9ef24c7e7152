# SPDX-License-Identifier: MIT
"""
A flush against the number of CPUs
----------------------------------
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from simulator.analysis.benchmarks import call_times
from simulator.analysis.frames import ResultFrames, name_of
from simulator.published.benchmarks import PublishedFigure
from simulator.report.header import version_text
from simulator.report.plots.style import (
    line_styles,
    log_if_wide,
    new_figure,
    write_caption,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_shootdowns",)


def plot_shootdowns(
    runs: Mapping[str, Mapping[int, ResultFrames]], published: Sequence[PublishedFigure]
) -> Figure:
    """
    Return the time of a flush of one page against the number of CPUs, a line per machine.

    :param runs: by machine and number of CPUs, a result of tlb_flush.
    :param published: times of a system call by the number of threads; what the threads
        but the first add is shown.
    """
    ns = {
        machine: {n: call_times(r)["1"].mean_ns for n, r in by_cpus.items()}
        for machine, by_cpus in runs.items()
    }
    styles = line_styles(list(ns))
    figure = new_figure(8.0, 5.4, "What does one more CPU cost?")
    ax = figure.subplots()
    for machine, by_cpus in ns.items():
        color, _ = styles[machine]
        x = sorted(by_cpus)
        y = [by_cpus[n] / 1000 for n in x]
        ax.plot(x, y, color=color, linewidth=1.8, marker="o", markersize=3.5, label=machine)
        of_one = [f for f in published if f.machine == machine and f.case.endswith(" 1 page")]
        given_ns = next((f.ns for f in of_one if f.role == "given"), None)
        for role, face in (("fitted", "none"), ("predicted", color)):
            marked = [f for f in of_one if f.role == role]
            if marked and given_ns is not None:
                ax.plot(
                    [int(f.figure) for f in marked],
                    [(by_cpus[1] + f.ns - given_ns) / 1000 for f in marked],
                    "D",
                    markersize=7,
                    markerfacecolor=face,
                    markeredgecolor=color,
                    zorder=5,
                    label=f"{machine}, published, {role}",
                )
    log_if_wide(ax, "x", [n for by_cpus in ns.values() for n in by_cpus])
    log_if_wide(ax, "y", [t / 1000 for by_cpus in ns.values() for t in by_cpus.values()])
    ax.set_xlabel("CPUs, the one that flushes included")
    ax.set_ylabel("time of a flush of one page (us)")
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    first = next(r for by_cpus in runs.values() for r in by_cpus.values())
    s = first.scenario
    facts = [f"simulated: noise {name_of(s.noise)}", f"seed {s.seed}"]
    write_caption(
        figure,
        [*facts, version_text(first.provenance)],
        "Time until the initiator goes on, average. Diamonds: what further threads add to "
        "madvise() of one page, published, on top of the simulated flush alone; the call alone is "
        "given, and the model was fitted to the open ones. Where CPUs of "
        "another socket, or siblings, come in, a line bends.",
    )
    return figure
