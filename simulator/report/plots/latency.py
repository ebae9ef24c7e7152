# SPDX-License-Identifier: MIT
"""
Latency: how long one folio, flush, acknowledgement or handler takes
--------------------------------------------------------------------

Cumulative distributions out of the histograms of a run, a line per kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from simulator.analysis.frames import ResultTotals, name_of
from simulator.analysis.histogram import Histogram
from simulator.report.plots.style import (
    GREY,
    add_caption,
    all_phases,
    legend_of,
    line_styles,
    log_if_wide,
    new_figure,
    one_machine,
)
from simulator.report.text import unit_of_ns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_latency",)

_LONGEST = 10_000  # on the axis, in its unit
# Singular, plural, and from when to when.
_NAMES = {
    "folio": (
        "folio",
        "folios",
        "from the start of its work to ready, which batched ones become together",
    ),
    "flush": ("flush", "flushes", "from the call to the return"),
    "ack": ("acknowledgement", "acknowledgements", "from enqueue to release"),
    "handler": ("handler", "handlers", "from entry to exit"),
}


def plot_latency(results: Sequence[ResultTotals], what: str = "folio") -> Figure:
    """
    Return the cumulative distribution of a latency, a line per kernel, a panel per phase.

    :param results: runs of one machine and HVO setting, one per kernel.
    :param what: ``folio``, ``flush``, ``ack`` or ``handler``.
    """
    one_machine(results)
    name, plural, span = _NAMES[what]
    phases = all_phases(results)
    styles = line_styles([name_of(r.scenario.kernel) for r in results])
    found = {
        (name_of(r.scenario.kernel), phase): Histogram.of_frame(r.latency, phase, what)
        for r in results
        for phase in phases
    }
    filled = {key: h for key, h in found.items() if h.total}
    ends = [float(end) for h in filled.values() for end in (h.low[0], h.high[-1])]
    unit, unit_ns = _unit(ends)
    article = "an" if name[0] in "aeiou" else "a"
    figure = new_figure(2.2 + 3.6 * len(phases), 4.0, f"Latency of {article} {name}")
    axes = figure.subplots(1, len(phases), sharey=True, sharex=True, squeeze=False)[0]
    log_if_wide(axes[0], "x", ends, factor=5.0)
    for ax, phase in zip(axes, phases, strict=True):
        for kernel, (color, width) in styles.items():
            h = filled.get((kernel, phase))
            if h is None:
                continue
            edges, fraction = h.cumulative()
            ax.step(
                np.concatenate([h.low[:1], edges]) / unit_ns,
                np.concatenate([[0.0], fraction]),
                where="post",
                color=color,
                linewidth=width,
                label=kernel,
            )
        ax.axhline(0.5, color=GREY, linewidth=0.6, zorder=0)
        ax.set_title(phase, fontsize=10)
        ax.set_xlabel(f"time of one {name} ({unit})")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylim(0, 1.02)
    axes[0].set_ylabel(f"fraction of {plural}")
    handles, labels = legend_of(axes)
    if handles:
        figure.legend(handles, labels, loc="outside right upper", title="kernel")
    add_caption(
        figure,
        results,
        f"Latency: {span}. Height: the fraction (0 to 1) of {plural} that took at most "
        "this long; the line at 0.5 marks the median. Thin lines lie on wide ones where kernels "
        "behave alike.",
    )
    return figure


# The unit that suits the middle of the axis, unless numbers at its end would be very long.
def _unit(ends_ns: Sequence[float]) -> tuple[str, int]:
    if not ends_ns:
        return unit_of_ns(0)
    longest_ns = max(ends_ns)
    unit, unit_ns = unit_of_ns(math.sqrt(max(1.0, longest_ns) * max(1.0, min(ends_ns))))
    return (unit, unit_ns) if longest_ns < _LONGEST * unit_ns else unit_of_ns(longest_ns)
