# SPDX-License-Identifier: MIT
"""
The price of a batch
--------------------

How many folios share a broadcast, against the longest stall and the pages held
meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.analysis.frames import row_of_phase
from simulator.report.plots.style import (
    add_caption,
    first_of,
    log_if_wide,
    marks,
    new_figure,
    replications_text,
    time_unit,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison

__all__ = ("plot_batch",)

_MOST = 8
_STALLS = (("ptl_held_max_ns", "page_table_lock"), ("irqs_off_max_ns", "interrupts off"))


def plot_batch(comparison: Comparison, phase: str = "alloc") -> Figure | None:
    """
    Return folios per broadcast against stalls and pages held; a mark per scenario.

    None where there was no broadcast.  Of many scenarios, the first eight.
    """
    points = {}
    both = list(zip(comparison.labels, comparison.runs, strict=True))
    shown, others = first_of(both, _MOST)
    for label, runs in shown:
        if phase not in set(map(str, runs[0].summary["phase"])):
            continue
        rows = [row_of_phase(run.summary, phase) for run in runs]
        flushes = sum(row["flushes"] for row in rows)
        if flushes:
            worst = {name: max(row[name] for row in rows) for name, _ in _STALLS}
            held = max(row["peak_held_pages"] for row in rows)
            points[label] = (sum(row["pages"] for row in rows) / flushes, worst, held)
    if not points:
        return None
    styles = marks(list(points))
    figure = new_figure(9.6, 4.2, f"The price of a batch, {phase}")
    axes = figure.subplots(1, 3, sharex=True, squeeze=False)[0]
    log_if_wide(axes[0], "x", [x for x, *_ in points.values()])
    for ax, (name, title) in zip(axes, _STALLS, strict=False):
        values = {label: float(worst[name]) for label, (_, worst, _held) in points.items()}
        unit, unit_ns = time_unit(max(values.values()))
        for label, (x, *_rest) in points.items():
            style = styles[label]
            ax.plot(
                [x], [values[label] / unit_ns], style.marker, color=style.color, markersize=7,
                markerfacecolor="none", markeredgewidth=1.6, label=label,
            )  # fmt: skip
        if not log_if_wide(ax, "y", [v / unit_ns for v in values.values()]):
            ax.set_ylim(bottom=0)
        ax.set_title(f"{title}, longest", fontsize=9)
        ax.set_ylabel(unit)
    for label, (x, _worst, held) in points.items():
        style = styles[label]
        axes[2].plot(
            [x], [held], style.marker, color=style.color, markersize=7, markerfacecolor="none",
            markeredgewidth=1.6,
        )  # fmt: skip
    if not log_if_wide(axes[2], "y", [float(held) for *_, held in points.values()]):
        axes[2].set_ylim(bottom=0)
    axes[2].set_title("pages held, peak", fontsize=9)
    axes[2].set_ylabel("base pages")
    for ax in axes:
        ax.set_xlabel("folios per broadcast")
        ax.margins(0.12)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right upper", fontsize=8)
    add_caption(
        figure,
        [runs[0] for runs in comparison.runs],
        f"The worst of all replications. {replications_text(comparison)}{others} Hollow marks, so"
        " that those that lie on each other all stay visible.",
    )
    return figure
