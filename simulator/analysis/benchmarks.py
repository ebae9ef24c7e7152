# SPDX-License-Identifier: MIT
"""
Times of single calls
---------------------

What one call of a benchmark took, from the result of a kernel module: on
average, until the last target had it, and at the targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.analysis.frames import ResultFrames, of_phase, records

__all__ = ("CallTimes", "call_times")


@dataclass(frozen=True, slots=True)
class CallTimes:
    """
    One phase of a module.

    ``mean_ns`` is the time of a call, ``received_ns`` until the last target had
    released its csd, ``whole_ns`` with the TLB misses afterwards; ``handler_ns`` what
    one handler took on a target (0 without targets).  ``time_by`` is where the time
    of a call went, by category; ``icr_writes`` belong to one call.
    """

    calls: int
    mean_ns: float
    received_ns: float
    whole_ns: float
    handler_ns: float
    icr_writes: int
    time_by: Mapping[str, float]


def call_times(result: ResultFrames) -> dict[str, CallTimes]:
    """Return the times of each phase, by its name."""
    elapsed_ns = {row["phase"]: row["elapsed_ns"] for row in records(result.summary)}
    found = {}
    for phase, whole_ns in elapsed_ns.items():
        calls = of_phase(result.flushes, phase)
        cpus = of_phase(result.cpus, phase)
        targets = cpus[cpus["role"] == "target"]
        spent = of_phase(result.time_by, phase)
        nr = len(calls)
        found[phase] = CallTimes(
            calls=nr,
            mean_ns=float((calls["end_ns"] - calls["start_ns"]).mean()),
            received_ns=float((calls["last_ack_ns"] - calls["start_ns"]).mean()),
            whole_ns=whole_ns / nr,
            handler_ns=float(targets["handler_ns"].mean()) / nr if len(targets) else 0.0,
            icr_writes=int(calls["icr_writes"].max()),
            time_by={str(c): ns / nr for c, ns in zip(spent["category"], spent["ns"], strict=True)},
        )
    return found
