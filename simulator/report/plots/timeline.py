# SPDX-License-Identifier: MIT
"""
The CPUs around one flush
-------------------------

One lane per CPU: what the initiator did above, and below it how each target
was queued, interrupted, delayed by its own state, and acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from simulator.analysis.frames import ResultFrames, name_of
from simulator.report.plots.style import GREY, add_caption, new_figure
from simulator.report.text import format_count, format_ns, unit_of_ns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    Color = str | tuple[float, float, float]
    Lanes = NDArray[np.floating[Any]]

__all__ = ("plot_flush_timeline",)

# Okabe and Ito's: what a target was doing when the IPI arrived.
_STATES = {
    "running": ("#0072B2", "running"),
    "irqs_off": ("#E69F00", "interrupts off"),
    "idle": ("#009E73", "idle"),
    "preempted": ("#CC79A7", "vCPU preempted"),
}
_INITIATOR = {"queues": "#FDBE85", "sends": "#FD8D3C", "waits": "#D94801"}
_QUEUED = "#E4E4E4"
_TINT = 0.45
_LANE = 0.8
_FEW_CPUS = 32


def plot_flush_timeline(result: ResultFrames, flush: int, ipis: pd.DataFrame) -> Figure:
    """
    Return the timeline of one broadcast, in time since its start.

    :param flush: its number in the ``flushes`` frame.
    :param ipis: the frame ``ipis``, of this flush or of several.
    """
    rows = result.flushes[result.flushes["flush"] == flush]
    targets = ipis[ipis["flush"] == flush].sort_values("cpu")
    if rows.empty:
        raise ValueError(f"there is no flush {flush}; the run has {len(result.flushes)}")
    if targets.empty:
        raise ValueError(f"no IPIs of flush {flush} were given")
    row = rows.iloc[0]
    start_ns, end_ns = int(row["start_ns"]), int(row["end_ns"])
    unit, unit_ns = unit_of_ns(end_ns - start_ns)
    columns = {
        name: (targets[name].to_numpy(np.float64) - start_ns) / unit_ns
        for name in ("enqueue_ns", "send_ns", "arrive_ns", "start_ns", "end_ns", "ack_ns")
    }
    # Taken by a handler that an earlier IPI had started: its wait begins with the enqueue.
    columns["arrive_ns"] = np.maximum(columns["arrive_ns"], columns["enqueue_ns"])
    # The initiator's lane stays visible above hundreds of others.
    top = max(1.0, len(targets) / 25)
    lanes = np.arange(len(targets)) + top + 1.0
    figure = new_figure(
        10.0,
        min(10.0, 2.3 + 0.2 * (len(targets) + 2)),
        f"One {row['reason']} flush of {name_of(result.scenario.kernel)}: "
        f"{format_count(row['targets'])} targets, {format_ns(end_ns - start_ns)}",
    )
    ax = figure.subplots()
    _draw_initiator(ax, row, columns, unit_ns, top)
    _draw_targets(ax, lanes, columns, targets["state"].astype(str).to_numpy())
    saved = ~targets["sent"].to_numpy(bool)
    crosses = ax.plot(columns["start_ns"][saved], lanes[saved], "kx", markersize=5)
    _lane_axis(ax, lanes, targets["cpu"].to_numpy(), int(row["cpu"]))
    ax.set_xlim(0, 1.01 * max((end_ns - start_ns) / unit_ns, float(columns["ack_ns"].max())))
    ax.set_xlabel(f"time since the flush began ({unit})")
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    _legend(figure, set(targets["state"].astype(str)), crosses if saved.any() else [])
    slowest = targets[targets["cpu"] == row["slowest_cpu"]]
    when = f" (at {format_ns(int(slowest['end_ns'].iloc[0]) - start_ns)})" if len(slowest) else ""
    add_caption(
        figure,
        [result],
        f"Flush {flush} of phase {row['phase']}, {row['kind']}, by CPU {row['cpu']}. A lane runs "
        "from the enqueue to the acknowledgement (tick). Last to finish: "
        f"CPU {row['slowest_cpu']}{when}{_why_slow(slowest)}.",
    )
    return figure


# What kept the CPU that finished last, where that is more than its handler took.
def _why_slow(slowest: pd.DataFrame) -> str:
    if slowest.empty:
        return ""
    row = slowest.iloc[0]
    late_ns = int(row["start_ns"]) - max(int(row["arrive_ns"]), int(row["enqueue_ns"]))
    if late_ns <= int(row["end_ns"]) - int(row["start_ns"]):
        return ""
    why = {
        "idle": "it was idle, and leaving its C-state took",
        "irqs_off": "it had interrupts off for another",
        "preempted": "its vCPU was preempted for another",
    }.get(str(row["state"]), "it was in another handler for")
    return f": {why} {format_ns(late_ns)}"


def _draw_initiator(
    ax: Axes, row: pd.Series, columns: Mapping[str, Lanes], unit_ns: int, height: float
) -> None:
    start_ns = int(row["start_ns"])
    edges = [
        0.0,
        _first_send(columns, row, unit_ns),
        (int(row["send_end_ns"]) - start_ns) / unit_ns,
        (int(row["end_ns"]) - start_ns) / unit_ns,
    ]
    for color, left, right in zip(_INITIATOR.values(), edges, edges[1:], strict=False):
        ax.barh(0, max(0.0, right - left), _LANE * height, left=left, color=color)


# Where no target needed an IPI, the initiator queued to the end.
def _first_send(columns: Mapping[str, Lanes], row: pd.Series, unit_ns: int) -> float:
    sends = columns["send_ns"][columns["send_ns"] >= 0]
    end = (int(row["send_end_ns"]) - int(row["start_ns"])) / unit_ns
    return float(sends.min()) if len(sends) else end


def _draw_targets(
    ax: Axes, lanes: Lanes, columns: Mapping[str, Lanes], states: NDArray[Any]
) -> None:
    def bars(of: NDArray[np.bool_], first: str, last: str, height: float, color: Color) -> None:
        # One collection: hundreds of patches would take longer than the simulation.
        left, right = columns[first][of], columns[last][of]
        low, high = lanes[of] - height / 2, lanes[of] + height / 2
        corners = [(left, low), (left, high), (right, high), (right, low)]
        ax.add_collection(
            PolyCollection(list(np.moveaxis(np.array(corners), 2, 0)), facecolors=color),
            autolim=False,
        )

    few = len(lanes) <= _FEW_CPUS
    # Gaps between hundreds of lanes would only flicker.
    height = _LANE if few else 1.0
    everyone = np.ones(len(lanes), dtype=bool)
    bars(everyone, "enqueue_ns", "ack_ns", 0.25 * _LANE if few else 1.0, _QUEUED)
    for state, (color, _) in _STATES.items():
        bars(states == state, "arrive_ns", "start_ns", height, _tint(color))
        bars(states == state, "start_ns", "end_ns", height, color)
    ax.vlines(columns["ack_ns"], lanes - height / 2, lanes + height / 2, color=GREY, linewidth=0.8)


# A lighter shade, opaque so that nothing below shows through.
def _tint(color: str) -> tuple[float, float, float]:
    red, green, blue = to_rgb(color)
    return (1 - _TINT * (1 - red), 1 - _TINT * (1 - green), 1 - _TINT * (1 - blue))


def _lane_axis(ax: Axes, lanes: Lanes, cpus: NDArray[np.int64], initiator: int) -> None:
    ax.set_ylim(lanes[-1] + 1, -lanes[0] / 2)
    if len(cpus) <= _FEW_CPUS:
        shown = list(range(len(cpus)))
    else:
        wanted = MaxNLocator(12, integer=True).tick_values(cpus[0], cpus[-1])
        shown = [int(i) for i in np.flatnonzero(np.isin(cpus, wanted))]
    ax.set_yticks(
        [0, *(lanes[i] for i in shown)],
        [f"initiator {initiator}", *(f"CPU {cpus[i]}" for i in shown)],
        fontsize=8,
    )


def _legend(figure: Figure, states: set[str], crosses: Sequence[Line2D]) -> None:
    handles: list[Artist] = [
        Patch(color=color, label=f"initiator {what}") for what, color in _INITIATOR.items()
    ]
    handles.append(Patch(color=_QUEUED, label="queued, or done and not yet read"))
    for state, (color, label) in _STATES.items():
        if state in states:
            handles.append(Patch(color=color, label=f"handler ({label})"))
            if state != "running":
                handles.append(Patch(color=_tint(color), label=f"delay ({label})"))
    for cross in crosses:
        cross.set_label("no IPI: its queue was not empty")
        handles.append(cross)
    figure.legend(handles=handles, loc="outside right upper", fontsize=8)
