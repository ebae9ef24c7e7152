# SPDX-License-Identifier: MIT
"""
Where the time of a broadcast goes
----------------------------------
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from simulator.analysis.benchmarks import call_times
from simulator.analysis.frames import ResultFrames, name_of, nr_cpus
from simulator.published.benchmarks import PublishedFigure
from simulator.report.header import machine_title, version_text
from simulator.report.plots.style import new_figure, write_caption
from simulator.report.text import unit_of_ns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_broadcasts",)

_PARTS = (
    ("ipi_enqueue", "enqueue a csd on every CPU", "#56B4E9"),
    ("ipi_send", "send (in a guest: exits, injection)", "#D55E00"),
    ("ipi_wait", "wait for all, read every csd", "#8C6D31"),
)


def plot_broadcasts(
    runs: Mapping[str, ResultFrames], line: str, published: Sequence[PublishedFigure]
) -> Figure:
    """
    Return a bar per case, by where the time went, with the published time as a mark.

    :param runs: by case, a result of ipi_benchmark.
    :param line: the broadcast to show, as the module names it.
    :param published: figures by the same cases.
    """
    times = {case: call_times(result)[line] for case, result in runs.items()}
    of = {f.case: f for f in published if f.figure == line}
    longest_ns = max([t.mean_ns for t in times.values()] + [f.ns for f in of.values()])
    unit, unit_ns = unit_of_ns(longest_ns)
    first = next(iter(runs.values()))
    figure = new_figure(8.0, 1.9 + 0.55 * len(times), "Where the time of a broadcast goes")
    ax = figure.subplots()
    cases = list(times)
    left = [0.0] * len(cases)
    for category, label, color in _PARTS:
        width = [times[case].time_by.get(category, 0.0) / unit_ns for case in cases]
        ax.barh(cases, width, left=left, height=0.55, color=color, label=label)
        left = [a + b for a, b in zip(left, width, strict=True)]
    for role, face in (("fitted", "white"), ("predicted", "black")):
        marked = [case for case in cases if case in of and of[case].role == role]
        if marked:
            ax.plot(
                [of[case].ns / unit_ns for case in marked],
                [cases.index(case) for case in marked],
                "D",
                color="black",
                markerfacecolor=face,
                markersize=7,
                label=f"published, {role}",
            )
    ax.invert_yaxis()
    ax.set_xlim(0, 1.06 * longest_ns / unit_ns)
    ax.set_xlabel(f"time of one call ({unit})")
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8)
    s = first.scenario
    facts = [
        f"simulated: {machine_title(first)}",
        f"CPUs {nr_cpus(first)}",
        f"{next(iter(times.values())).calls:,} calls",
        f"noise {name_of(s.noise)}",
        f"seed {s.seed}",
        version_text(first.provenance),
    ]
    how = " Diamonds: published; the model was fitted to the open ones." if of else ""
    write_caption(figure, facts, f"{line} of ipi_benchmark. Bars: simulated.{how}")
    return figure
