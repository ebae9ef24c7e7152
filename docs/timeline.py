# SPDX-License-Identifier: MIT
"""
Draws the picture of a timeline that the documentation shows
------------------------------------------------------------

From a Perfetto trace alone, decoded with the protobufs of the package ``perfetto``::

    tlbsim run --machine epyc-7j13-vm252 --kernel v6.6 --pages 64 --seed 1 --noise idle \
        --window 3.7ms:4.35ms --perfetto out/run.pftrace
    python docs/timeline.py out/run.pftrace docs/timeline.png
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.collections import PatchCollection
from matplotlib.patches import Patch, Rectangle
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

COLOURS = {
    "function": "#9db4c0", "broadcast": "#e07a5f", "call": "#3d405b", "handler": "#3d405b",
    "wake": "#f2cc8f", "idle": "#e8e8e8",
}  # fmt: skip
NAMES = {
    "function": "kernel functions of the task", "broadcast": "enqueue, send, wait",
    "handler": "handler of the IPI", "wake": "leaving a C-state, or back from the host",
}  # fmt: skip


class Slice(NamedTuple):
    """A slice: its track from the group down, what it is about, its name, times in ns, depth."""

    track: tuple[str, ...]
    what: str
    name: str
    start_ns: int
    end_ns: int
    depth: int


def slices(path: Path) -> list[Slice]:
    """Return the slices of a trace."""
    trace = protos.Trace()
    trace.ParseFromString(path.read_bytes())
    names: dict[int, str] = {}
    whats: dict[int, str] = {}
    tracks: dict[int, tuple[str, ...]] = {}
    open_: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
    found = []
    for packet in trace.packet:
        names |= {e.iid: e.name for e in packet.interned_data.event_names}
        whats |= {e.iid: e.name for e in packet.interned_data.event_categories}
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            tracks[track.uuid] = (*tracks.get(track.parent_uuid, ()), track.name)
        event = packet.track_event
        stack = open_[event.track_uuid]
        if event.type == event.TYPE_SLICE_BEGIN:
            what = whats[event.category_iids[0]]
            stack.append((what, names[event.name_iid], packet.timestamp))
        elif event.type == event.TYPE_SLICE_END:
            what, name, start_ns = stack.pop()
            track = tracks[event.track_uuid][1:]
            found.append(Slice(track, what, name, start_ns, packet.timestamp, len(stack)))
    return found


def draw(found: list[Slice], path: Path) -> None:
    """Draw the task above, and the handlers on every CPU below."""
    figure, (above, below) = plt.subplots(
        2, 1, sharex=True, figsize=(9, 5.4), height_ratios=(1, 1.7), layout="constrained"
    )
    zero_ns = min(s.start_ns for s in found)
    for axes, rows in (
        (above, [(s, s.depth) for s in found if s.track[0] == "tasks"]),
        (below, [(s, int(s.track[1].split()[1])) for s in found
                 if s.track[0] == "CPUs" and s.what in ("handler", "wake")]),
    ):  # fmt: skip
        for what, colour in COLOURS.items():
            boxes = [
                Rectangle(((s.start_ns - zero_ns) / 1000, y), (s.end_ns - s.start_ns) / 1000, 0.9)
                for s, y in rows
                if s.what == what
            ]
            edge = "white" if axes is above else "face"
            axes.add_collection(PatchCollection(boxes, facecolor=colour, edgecolor=edge, lw=0.3))
        axes.autoscale_view()
    width_us = (max(s.end_ns for s in found) - zero_ns) / 1000
    for s in found:
        long_us = (s.end_ns - s.start_ns) / 1000
        if s.track[0] == "tasks" and long_us > width_us * len(s.name) * 0.009:
            above.text((s.start_ns - zero_ns) / 1000 + long_us / 2, s.depth + 0.45, s.name,
                       ha="center", va="center", fontsize=6, clip_on=True)  # fmt: skip
    above.invert_yaxis()
    above.set_yticks([])
    above.set_ylabel("the task's calls")
    below.set_ylabel("CPU")
    below.set_xlabel(f"microseconds from {zero_ns / 1e6:g} ms on (simulated)")
    shown = [Patch(color=COLOURS[what], label=NAMES[what]) for what in NAMES]
    figure.legend(handles=shown, loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Draw the trace of the first argument into the file of the second."""
    source, target = map(Path, sys.argv[1:3])
    draw(slices(source), target)


if __name__ == "__main__":
    main()
