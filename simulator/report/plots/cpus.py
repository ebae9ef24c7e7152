# SPDX-License-Identifier: MIT
"""
Scaling with the number of CPUs
-------------------------------

A line per scenario with the interval of each point, named at its end; what was
measured of the same is drawn in.  One scale for all machines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.ticker import FixedLocator, NullLocator

from simulator.analysis.compare import Comparison, described
from simulator.analysis.frames import ResultTotals, name_of, nr_cpus, phases_of
from simulator.analysis.measured import measured_for
from simulator.published.times import read_timings
from simulator.report.plots.style import (
    Mark,
    add_caption,
    distinct,
    label_lines,
    log_if_wide,
    marks,
    new_figure,
    replications_text,
)
from simulator.report.text import unit_of_ns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ("plot_cpus",)

# Labels of CPU counts closer than this part of a logarithmic axis would collide.
_ROOM = 0.09


@dataclass(frozen=True)
class _Point:
    machine: str
    line: str
    phase: str
    cpus: int
    mean_ns: float
    low_ns: float
    high_ns: float


def plot_cpus(comparison: Comparison) -> Figure | None:
    """
    Return elapsed time against the number of CPUs, a row per machine, a column per phase.

    None where no scenario has another number of CPUs than the others of its line.
    """
    points = _points(comparison)
    counts = sorted({p.cpus for p in points})
    if not any(len({p.cpus for p in points if _line(p) == _line(q)}) > 1 for q in points):
        return None
    machines, phases = distinct(p.machine for p in points), distinct(p.phase for p in points)
    styles = marks([p.line for p in points])
    ends = [ns for p in points for ns in (p.mean_ns, p.low_ns, p.high_ns) if ns > 0]
    measured = _measured([runs[0] for runs in comparison.runs])
    unit, unit_ns = unit_of_ns(max(ends))
    figure = new_figure(
        2.4 + 3.4 * len(phases), 1.8 + 2.5 * len(machines), "Elapsed time against CPUs"
    )
    grid = figure.subplots(len(machines), len(phases), sharex=True, sharey=True, squeeze=False)
    every = [*ends, *(ns for *_, ns in measured)]
    log_if_wide(grid[0][0], "y", [ns / unit_ns for ns in every])
    if counts[-1] / counts[0] > 4:
        grid[0][0].set_xscale("log")
    panels = {
        (machine, phase): ax
        for axes, machine in zip(grid, machines, strict=True)
        for ax, phase in zip(axes, phases, strict=True)
    }
    ends_of = {place: _draw(ax, points, place, styles, unit_ns) for place, ax in panels.items()}
    for (machine, phase), ax in panels.items():
        for at, of, when, ns in measured:
            if (of, when) == (machine, phase):
                ax.plot([at], [ns / unit_ns], "x", color="#B2182B", markersize=8, zorder=5)
        ax.set_title(phase if len(machines) == 1 else f"{machine}: {phase}", fontsize=10)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    for axes, machine in zip(grid, machines, strict=True):
        axes[0].set_ylabel(f"elapsed time ({unit})")
        label_lines(axes[-1], ends_of[machine, phases[-1]])
    for ax in grid[-1]:
        ax.set_xlabel("CPUs")
    grid[0][0].xaxis.set_major_locator(FixedLocator(_spread(counts)))
    grid[0][0].xaxis.set_minor_locator(NullLocator())
    grid[0][0].xaxis.set_major_formatter("{x:.0f}")
    red = " Red crosses: measured on the real machine." if measured else ""
    add_caption(
        figure,
        [runs[0] for runs in comparison.runs],
        f"Upright lines: {100 * comparison.level:g}% intervals. {replications_text(comparison)}"
        f"{red} The scale is the same in all panels.",
    )
    return figure


# Draw the lines of one panel; return where they end, by name and colour.
def _draw(
    ax: Axes,
    points: Sequence[_Point],
    place: tuple[str, str],
    styles: Mapping[str, Mark],
    unit_ns: int,
) -> list[tuple[float, float, str, str]]:
    ends = []
    for line, style in styles.items():
        found = sorted(
            (p for p in points if (p.machine, p.phase) == place and p.line == line),
            key=lambda p: p.cpus,
        )
        if not found:
            continue
        x, y = [p.cpus for p in found], [p.mean_ns / unit_ns for p in found]
        ax.plot(
            x, y, style.marker, linestyle=style.dashes, color=style.color, markersize=4,
            linewidth=1.3, label=line,
        )  # fmt: skip
        for p in found:
            if not math.isnan(p.low_ns):
                both = [max(0.0, p.low_ns) / unit_ns, p.high_ns / unit_ns]
                ax.plot([p.cpus] * 2, both, color=style.color, linewidth=1)
        ends.append((float(x[-1]), y[-1], line, style.color))
    return ends


def _line(point: _Point) -> tuple[str, str, str]:
    return point.machine, point.line, point.phase


def _points(comparison: Comparison) -> list[_Point]:
    named = [described(runs[0]) for runs in comparison.runs]
    left_out = ("cpus", "machine", "seed", "replication")
    differing = [
        name
        for name in named[0]
        if name not in left_out and len({of.get(name) for of in named}) > 1
    ]
    frame = comparison.frame
    elapsed = frame[frame["metric"] == "elapsed_s"].to_dict("records")
    rows = {(str(row["scenario"]), str(row["phase"])): row for row in elapsed}
    found = []
    for label, runs, fields in zip(comparison.labels, comparison.runs, named, strict=True):
        told = (
            fields[name] if name in ("kernel", "machine") else f"{name} {fields[name]}"
            for name in differing
        )
        line = ", ".join(told) or fields["kernel"]
        for phase in phases_of(runs[0]):
            row = rows[label, phase]
            values = (1e9 * row[name] for name in ("mean", "ci_low", "ci_high"))
            machine = name_of(runs[0].scenario.machine)
            found.append(_Point(machine, line, phase, nr_cpus(runs[0]), *values))
    return found


def _measured(runs: Sequence[ResultTotals]) -> list[tuple[int, str, str, float]]:
    published = read_timings()
    found = {
        (nr_cpus(run), name_of(run.scenario.machine), phase, float(t.elapsed_ns))
        for run in runs
        for phase, t in measured_for(run, published).items()
    }
    return sorted(found)


# Those of the counts whose labels have room on a logarithmic axis, the last always.
def _spread(counts: Sequence[int]) -> list[int]:
    whole = math.log(counts[-1] / counts[0]) or 1.0
    kept = [counts[-1]]
    for count in reversed(counts[:-1]):
        if math.log(kept[-1] / count) / whole >= _ROOM:
            kept.append(count)
    return kept[::-1]
