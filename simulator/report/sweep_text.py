# SPDX-License-Identifier: MIT
"""
The report of a sweep
---------------------

What ``tlbsim sweep`` lists before it begins, and prints when it is done: the
metrics that were asked for at every point, each against its baseline, and what
failed, with the command that repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.frames import name_of
from simulator.report.compare_text import comparison_text
from simulator.report.text import underlined, wrapped

if TYPE_CHECKING:
    from simulator.experiment.axes import Plan
    from simulator.experiment.precision import Wanted
    from simulator.experiment.sweeps import Sweep

__all__ = ("plan_text", "sweep_text")

_MINUTE_S, _HOUR_S = 60, 3600


def plan_text(plan: Plan, wanted: Wanted, seconds: float | None) -> str:
    """Return the axes of a plan and how long it will take; ``None``: too short to say."""
    rows = []
    for axis in plan.axes:
        values = (",".join(map(name_of, value)) for value in axis.values)
        rows.append((",".join(axis.names), "  ".join(values)))
    width = max((len(name) for name, _ in rows), default=0)
    lines = [wrapped(values, f"{name:<{width}}  ") for name, values in rows]
    n = len(plan.points)
    each = f"{wanted.replications} replications"
    if wanted.precision is not None:
        each = f"{wanted.first} to {wanted.cap} replications"
    lines.append(f"{n} {'point' if n == 1 else 'points'}, {each} each: {_duration(seconds)}")
    if plan.compared and n > 1:
        base = plan.points[plan.points[0].baseline].changes
        told = ", ".join(f"{name} {name_of(base[name])}" for name in plan.compared)
        lines.append(wrapped(f"against {told}, at the same point of all other axes"))
    return "\n".join(lines) + "\n"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "a few seconds"
    if seconds < _MINUTE_S:
        return f"about {max(1, round(seconds))} s"
    if seconds < _HOUR_S:
        return f"about {round(seconds / _MINUTE_S)} min"
    return f"about {seconds / _HOUR_S:.1f} h"


def sweep_text(sweep: Sweep, metrics: Sequence[str]) -> str:
    """Return a sweep as plain text, at most 72 columns wide."""
    blocks = []
    if sweep.comparison is not None:
        blocks.append(comparison_text(sweep.comparison, metrics))
    if len(sweep.failed):
        lines = [underlined("failed")]
        for row in sweep.failed.to_dict("records"):
            which = f", replication {row['replication']}" if row["command"] else ""
            lines.append(wrapped(f"{row['label'] or 'scenario'}{which}: {row['error']}"))
            if row["command"]:
                # In one line, so that it can be pasted.
                lines.append(f"  {row['command']}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)
