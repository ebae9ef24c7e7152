# SPDX-License-Identifier: MIT
"""
Throughput over time
--------------------

Huge pages worked on per second, window by window: work done, not pages that became
ready, which batched ones do together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import StrMethodFormatter

from simulator.analysis.frames import ResultTotals, name_of, of_phase
from simulator.report.plots.style import (
    add_caption,
    all_phases,
    line_styles,
    log_if_wide,
    new_figure,
    one_machine,
)
from simulator.report.text import unit_of_ns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ("plot_throughput",)


def plot_throughput(results: Sequence[ResultTotals]) -> Figure:
    """
    Return huge pages worked on, in all and per second, against the time since the phase began.

    A line per kernel, a column of panels per phase: the number so far above, the rate below.

    :param results: runs of one machine and HVO setting, one per kernel.
    """
    one_machine(results)
    phases = all_phases(results)
    styles = line_styles([name_of(r.scenario.kernel) for r in results])
    lines = {
        (name_of(r.scenario.kernel), phase): _steps(of_phase(r.throughput, phase))
        for r in results
        for phase in phases
    }
    lines = {key: line for key, line in lines.items() if len(line[1])}
    ends = [float(edges[-1]) for edges, *_ in lines.values()]
    unit, unit_ns = unit_of_ns(max(ends, default=0))
    figure = new_figure(2.2 + 3.8 * len(phases), 6.0, "Throughput over time")
    totals, rates = figure.subplots(2, len(phases), sharex=True, sharey="row", squeeze=False)
    # A line that rises steadily is one only on a linear axis.
    is_log_x = log_if_wide(totals[0], "x", ends, factor=200.0)
    positive = [float(rate) for *_, values in lines.values() for rate in values if rate > 0]
    is_log_y = log_if_wide(rates[0], "y", positive)
    floor = 0.5 * min(positive, default=0.0) if is_log_y else 0.0
    for total, rate, phase in zip(totals, rates, phases, strict=True):
        for kernel, (color, width) in styles.items():
            if (kernel, phase) not in lines:
                continue
            edges, folios, values = lines[kernel, phase]
            so_far = np.concatenate([[0], np.cumsum(folios)])
            total.plot(edges / unit_ns, so_far, color=color, linewidth=width, label=kernel)
            # From nothing, through the windows, to nothing.
            rate.step(
                np.concatenate([edges[:1], edges]) / unit_ns,
                np.maximum(floor, np.concatenate([[0.0], values, [0.0]])),
                where="post",
                color=color,
                linewidth=width,
                solid_joinstyle="miter",
                label=kernel,
            )
        total.set_title(phase, fontsize=10)
        rate.set_xlabel(f"time since the phase began ({unit})")
        for ax in (total, rate):
            ax.grid(alpha=0.3)
            ax.spines[["top", "right"]].set_visible(False)
    if is_log_x:
        totals[0].set_xlim(0.3 * min(ends) / unit_ns, 1.1 * max(ends) / unit_ns)
    else:
        totals[0].set_xlim(left=0)
    totals[0].set_ylim(bottom=0)
    totals[0].set_ylabel("huge pages worked on")
    totals[0].yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    rates[0].set_ylim(bottom=floor)
    if not is_log_y:
        rates[0].yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    rates[0].set_ylabel("huge pages per second")
    figure.legend(*totals[0].get_legend_handles_labels(), loc="outside right upper", title="kernel")
    bottom = " At the bottom edge: none." if is_log_y else ""
    add_caption(
        figure,
        results,
        f"Above: huge pages worked on so far. Below: mean rate in each window of time.{bottom} "
        "Thin lines lie on wide ones where kernels behave alike. n=1.",
    )
    return figure


# Edges of the windows from the start of the phase on; folios and rate in each.
def _steps(
    rows: pd.DataFrame,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    starts = rows["start_ns"].to_numpy(np.int64)
    if not len(starts):
        return starts, starts, np.zeros(0)
    last_end = starts[-1] + int(rows["window_ns"].iloc[-1])
    edges = np.append(starts, last_end) - starts[0]
    worked = rows["folios_worked"].to_numpy(np.int64)
    return edges, worked, worked / np.maximum(np.diff(edges), 1) * 1e9
