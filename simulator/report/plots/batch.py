# SPDX-License-Identifier: MIT
"""
The price of a batch
--------------------

How many folios share a broadcast, against the longest stall and the pages held
meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.analysis.batch import batch_price
from simulator.report.plots.style import (
    add_caption,
    first_of,
    log_if_wide,
    marks,
    new_figure,
    replications_text,
)
from simulator.report.text import unit_of_ns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison

__all__ = ("plot_batch",)

_MOST = 8
_STALLS = (("ptl_held_ns", "page_table_lock"), ("irqs_off_ns", "interrupts off"))


def plot_batch(comparison: Comparison, phase: str = "alloc") -> Figure | None:
    """
    Return folios per broadcast against stalls and pages held; a mark per scenario.

    None where there was no broadcast.  Of many scenarios, the first eight.
    """
    both = list(zip(comparison.labels, comparison.runs, strict=True))
    shown, others = first_of(both, _MOST)
    prices = {label: batch_price(runs, phase) for label, runs in shown}
    points = {
        label: (price.folios_per_flush, price)
        for label, price in prices.items()
        if price is not None and price.folios_per_flush is not None
    }
    if not points:
        return None
    styles = marks(list(points))
    figure = new_figure(9.6, 4.2, f"The price of a batch, {phase}")
    axes = figure.subplots(1, 3, sharex=True, squeeze=False)[0]
    log_if_wide(axes[0], "x", [x for x, _ in points.values()])
    for ax, (name, title) in zip(axes, _STALLS, strict=False):
        values = {label: float(getattr(price, name)) for label, (_, price) in points.items()}
        unit, unit_ns = unit_of_ns(max(values.values()))
        for label, (x, _price) in points.items():
            style = styles[label]
            ax.plot(
                [x], [values[label] / unit_ns], style.marker, color=style.color, markersize=7,
                markerfacecolor="none", markeredgewidth=1.6, label=label,
            )  # fmt: skip
        if not log_if_wide(ax, "y", [v / unit_ns for v in values.values()]):
            ax.set_ylim(bottom=0)
        ax.set_title(f"{title}, longest", fontsize=9)
        ax.set_ylabel(unit)
    for label, (x, price) in points.items():
        style = styles[label]
        axes[2].plot(
            [x], [price.held_pages], style.marker, color=style.color, markersize=7,
            markerfacecolor="none", markeredgewidth=1.6,
        )  # fmt: skip
    if not log_if_wide(axes[2], "y", [float(price.held_pages) for _, price in points.values()]):
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
