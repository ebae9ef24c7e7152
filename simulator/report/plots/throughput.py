# SPDX-License-Identifier: MIT
"""
Throughput over time
--------------------

Huge pages that became ready per second, window by window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from simulator.analysis.frames import ResultFrames, name_of
from simulator.report.plots.style import (
    add_caption,
    all_phases,
    line_styles,
    log_if_wide,
    new_figure,
    one_machine,
    time_unit,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ("plot_throughput",)


def plot_throughput(results: Sequence[ResultFrames]) -> Figure:
    """
    Return huge pages per second against the time since the phase began, a step line per kernel.

    :param results: runs of one machine and HVO setting, one per kernel.
    """
    one_machine(results)
    phases = all_phases(results)
    styles = line_styles([name_of(r.scenario.kernel) for r in results])
    lines = {
        (name_of(r.scenario.kernel), phase): _steps(r.throughput[r.throughput["phase"] == phase])
        for r in results
        for phase in phases
    }
    lines = {key: line for key, line in lines.items() if len(line[1])}
    ends = [float(edges[-1]) for edges, _ in lines.values()]
    rates = [float(rate) for _, values in lines.values() for rate in values]
    unit, unit_ns = time_unit(max(ends, default=0))
    figure = new_figure(2.2 + 3.8 * len(phases), 4.0, "Throughput over time")
    axes = figure.subplots(1, len(phases), sharex=True, sharey=True, squeeze=False)[0]
    is_log_x = log_if_wide(axes[0], "x", ends, factor=8.0)
    is_log_y = log_if_wide(axes[0], "y", rates)
    floor = 0.5 * min((rate for rate in rates if rate > 0), default=0.0) if is_log_y else 0.0
    for ax, phase in zip(axes, phases, strict=True):
        for kernel, (color, width) in styles.items():
            if (kernel, phase) not in lines:
                continue
            edges, values = lines[kernel, phase]
            # From nothing, through the windows, to nothing.
            ax.step(
                np.concatenate([edges[:1], edges]) / unit_ns,
                np.maximum(floor, np.concatenate([[0.0], values, [0.0]])),
                where="post",
                color=color,
                linewidth=width,
                solid_joinstyle="miter",
                label=kernel,
            )
        ax.set_title(phase, fontsize=10)
        ax.set_xlabel(f"time since the phase began ({unit})")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    if is_log_x:
        axes[0].set_xlim(0.3 * min(ends) / unit_ns, 1.1 * max(ends) / unit_ns)
    else:
        axes[0].set_xlim(left=0)
    axes[0].set_ylim(bottom=floor)
    axes[0].set_ylabel("huge pages ready per second")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", title="kernel")
    scales = [name for name, log in (("time", is_log_x), ("throughput", is_log_y)) if log]
    note = f" Logarithmic: {' and '.join(scales)}." if scales else ""
    bottom = " At the bottom edge: none became ready." if is_log_y else ""
    add_caption(
        figure,
        results,
        f"Mean rate in each window of time.{bottom}{note} "
        "Thin lines lie on wide ones where kernels behave alike.",
    )
    return figure


# Edges of the windows from the start of the phase on, and the rate in each.
def _steps(rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    starts = rows["start_ns"].to_numpy(np.int64)
    if not len(starts):
        return starts, np.zeros(0)
    last_end = starts[-1] + int(rows["window_ns"].iloc[-1])
    edges = np.append(starts, last_end) - starts[0]
    return edges, rows["pages_per_s"].to_numpy(np.float64)
