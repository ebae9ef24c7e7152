# SPDX-License-Identifier: MIT
"""
Elapsed time: before and after, and against the number of CPUs
--------------------------------------------------------------

The two plots of how long ``echo N > nr_hugepages`` takes; beside the bars,
what was measured on the real machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from simulator.analysis.frames import ResultTotals, name_of, nr_cpus, phases_of, row_of_phase
from simulator.analysis.measured import measured_for
from simulator.published.times import Timing
from simulator.report.plots.style import (
    add_caption,
    all_phases,
    distinct,
    line_styles,
    log_if_wide,
    marks,
    new_figure,
    one_machine,
)
from simulator.report.text import format_ns, unit_of_ns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

__all__ = ("plot_elapsed", "plot_scaling")

_GROUP_WIDTH = 0.84
_MEASURED = "#B2182B"
# Labels of CPU counts closer than this part of the axis would run into each other.
_LABEL_ROOM = 0.05


def plot_elapsed(
    results: Sequence[ResultTotals],
    published: Sequence[Timing] = (),
    *,
    beside: Sequence[ResultTotals] = (),
) -> Figure:
    """
    Return the elapsed time per phase and kernel, HVO off beside on: bars, or points on a log axis.

    :param results: one machine; one run per kernel and HVO setting.
    :param published: times of real machines; a line across the bar of the same.
    :param beside: runs that other figures show to the same scale.
    """
    one_machine(results)
    kernels = distinct(name_of(r.scenario.kernel) for r in results)
    settings = [hvo for hvo in (False, True) if any(bool(r.scenario.hvo) is hvo for r in results)]
    phases = all_phases(results)
    scale = [*results, *beside]
    times = [ns for r in scale for ns in r.summary["elapsed_ns"]]
    measured = [t.elapsed_ns for r in scale for t in measured_for(r, published).values()]
    unit, unit_ns = unit_of_ns(max(times))
    bars = len(kernels) * len(phases) * len(settings)
    figure = new_figure(max(6.0, 2.2 + 0.42 * bars), 4.2, "Elapsed time by kernel")
    axes = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    styles, shapes = line_styles(kernels), marks(kernels)
    is_log = log_if_wide(axes[0], "y", [*times, *measured])
    for ax, hvo in zip(axes, settings, strict=True):
        runs = [r for r in results if bool(r.scenario.hvo) is hvo]
        for kernel in kernels:
            of_kernel = [r for r in runs if name_of(r.scenario.kernel) == kernel]
            elapsed = _elapsed(of_kernel, phases)
            at = np.arange(len(phases)) + _offset(kernels.index(kernel), len(kernels))
            width = 0.92 * _GROUP_WIDTH / len(kernels)
            heights = [np.nan if ns is None else ns / unit_ns for ns in elapsed]
            if is_log:
                # A bar has a length, which means nothing on such an axis.
                mark = shapes[kernel]
                ax.plot(
                    at, heights, mark.marker, color=mark.color, markersize=7, label=kernel
                )  # fmt: skip
            else:
                ax.bar(at, heights, width, color=styles[kernel][0], label=kernel)
            real = _measured(of_kernel, phases, published)
            _mark_measured(ax, at, width, real, unit_ns)
            # A mark reaches above what it marks.
            _label_bars(ax, at, elapsed, real, unit_ns, above=7 if is_log else 4)
        ax.set_xticks(range(len(phases)), phases)
        ax.set_xlim(-0.6, len(phases) - 0.4)
        ax.set_title(f"HVO {name_of(hvo)}", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="x", length=0)
    axes[0].set_ylabel(f"elapsed time ({unit})")
    _room_for_labels(axes[0], [ns / unit_ns for ns in [*times, *measured] if ns > 0], is_log)
    handles, labels = axes[0].get_legend_handles_labels()
    how = "n=1: each is one run; there is no spread to show."
    if any(measured_for(r, published) for r in results):
        handles.append(Line2D([], [], color=_MEASURED, linewidth=2))
        labels.append("measured")
        how += f" Measured, also in red: the real machine, {_sources(results, published)}."
    figure.legend(handles, labels, loc="outside right upper", title="kernel")
    if is_log:
        how += " The axis is logarithmic."
    add_caption(figure, results, how)
    return figure


def plot_scaling(results: Sequence[ResultTotals], *, beside: Sequence[ResultTotals] = ()) -> Figure:
    """
    Return the elapsed time against the number of CPUs, a line per kernel, a panel per phase.

    :param results: one machine; runs of each kernel with several numbers of CPUs.
    :param beside: runs that other figures show to the same scale.
    """
    one_machine(results)
    phases = all_phases(results)
    styles = line_styles([_line_name(r, results) for r in results])
    times = [ns for r in [*results, *beside] for ns in r.summary["elapsed_ns"]]
    unit, unit_ns = unit_of_ns(max(times))
    counts = sorted({nr_cpus(r) for r in results})
    figure = new_figure(2.2 + 3.6 * len(phases), 4.0, "Elapsed time against the number of CPUs")
    axes = figure.subplots(1, len(phases), sharey=True, squeeze=False)[0]
    log_if_wide(axes[0], "y", times)
    for ax, phase in zip(axes, phases, strict=True):
        for name, (color, width) in styles.items():
            points = sorted(
                (nr_cpus(r), ns)
                for r in results
                if _line_name(r, results) == name
                for ns in _elapsed([r], [phase])
                if ns is not None
            )
            ax.plot(
                [cpus for cpus, _ in points],
                [ns / unit_ns for _, ns in points],
                color=color,
                linewidth=width,
                marker="o",
                markersize=3 + 1.2 * width,
                label=name,
            )
        _cpu_axis(ax, counts)
        ax.set_title(phase, fontsize=10)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"elapsed time ({unit})")
    if axes[0].get_yscale() == "linear":
        axes[0].set_ylim(0, 1.05 * max(times) / unit_ns)
    else:
        axes[0].set_ylim(0.8 * min(times) / unit_ns, 1.25 * max(times) / unit_ns)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", title="kernel")
    add_caption(
        figure,
        sorted(results, key=nr_cpus),
        "One point is one run on the first n CPUs of the machine; lines guide the eye. "
        "Thin lines lie on wide ones where kernels behave alike.",
    )
    return figure


# The first run that has the phase; None where no run has it.
def _elapsed(runs: Sequence[ResultTotals], phases: Sequence[str]) -> list[int | None]:
    times: dict[str, int] = {}
    for r in runs:
        for phase in phases_of(r):
            times.setdefault(phase, row_of_phase(r.summary, phase)["elapsed_ns"])
    return [times.get(phase) for phase in phases]


def _measured(
    runs: Sequence[ResultTotals], phases: Sequence[str], published: Sequence[Timing]
) -> list[int | None]:
    times = {phase: t.elapsed_ns for r in runs for phase, t in measured_for(r, published).items()}
    return [times.get(phase) for phase in phases]


def _sources(results: Sequence[ResultTotals], published: Sequence[Timing]) -> str:
    return ", ".join(
        distinct(t.source for r in results for t in measured_for(r, published).values())
    )


def _mark_measured(
    ax: Axes, at: Floats, width: float, measured: Sequence[int | None], unit_ns: int
) -> None:
    for x, ns in zip(at, measured, strict=True):
        if ns is not None:
            ax.hlines(
                ns / unit_ns,
                x - 0.56 * width,
                x + 0.56 * width,
                color=_MEASURED,
                linewidth=2,
            )


# Upright above bar and line: the simulated time, and at its right the measured one.
def _label_bars(
    ax: Axes,
    at: Floats,
    elapsed: Sequence[int | None],
    measured: Sequence[int | None],
    unit_ns: int,
    above: float,
) -> None:
    for x, ns, real in zip(at, elapsed, measured, strict=True):
        if ns is None:
            continue
        highest = max(ns, real or 0) / unit_ns
        apart = 0.0 if real is None else 4.5
        _upright(ax, x, highest, (-apart, above), format_ns(ns), "black")
        if real is not None:
            _upright(ax, x, highest, (apart, above), format_ns(real), _MEASURED)


def _upright(
    ax: Axes, x: float, y: float, points: tuple[float, float], text: str, color: str
) -> None:
    ax.annotate(
        text,
        (x, y),
        points,
        textcoords="offset points",
        ha="center",
        va="bottom",
        rotation=90,
        fontsize=7,
        color=color,
    )


def _line_name(result: ResultTotals, results: Sequence[ResultTotals]) -> str:
    kernel = name_of(result.scenario.kernel)
    if len({bool(r.scenario.hvo) for r in results}) == 1:
        return kernel
    return f"{kernel}, HVO {name_of(bool(result.scenario.hvo))}"


def _offset(index: int, count: int) -> float:
    return _GROUP_WIDTH * ((index + 0.5) / count - 0.5)


# The upright labels stand on the bars; leave them a quarter of the axis.
def _room_for_labels(ax: Axes, values: Sequence[float], is_log: bool) -> None:
    if is_log:
        bottom = 10.0 ** np.floor(np.log10(min(values) / 1.5))
        ax.set_ylim(bottom, max(values) * (max(values) / bottom) ** 0.25)
    else:
        ax.set_ylim(0, 1.25 * max(values, default=1.0))


def _cpu_axis(ax: Axes, counts: Sequence[int]) -> None:
    ax.set_xlabel("CPUs")
    if counts[-1] / counts[0] >= 8:
        ax.set_xscale("log", base=2)
        position = np.log2(counts)
    else:
        position = np.asarray(counts, dtype=np.float64)
    span = max(1e-9, position[-1] - position[0])
    labelled: list[int] = []
    # From the largest down: the whole machine is the count that must be named.
    for i in reversed(range(len(counts))):
        if not labelled or position[labelled[-1]] - position[i] >= _LABEL_ROOM * span:
            labelled.append(i)
    ax.set_xticks([counts[i] for i in labelled], [str(counts[i]) for i in labelled])
    ax.set_xticks([], minor=True)
