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

from simulator.analysis.frames import ResultFrames

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
    flushes, cpus, time_by = result.flushes, result.cpus, result.time_by
    elapsed_ns = dict(zip(result.summary["phase"], result.summary["elapsed_ns"], strict=True))
    found = {}
    for phase in result.summary["phase"]:
        calls = flushes[flushes["phase"] == phase]
        targets = cpus[(cpus["phase"] == phase) & (cpus["role"] == "target")]
        spent = time_by[time_by["phase"] == phase]
        nr = len(calls)
        found[str(phase)] = CallTimes(
            calls=nr,
            mean_ns=float((calls["end_ns"] - calls["start_ns"]).mean()),
            received_ns=float((calls["last_ack_ns"] - calls["start_ns"]).mean()),
            whole_ns=int(elapsed_ns[phase]) / nr,
            handler_ns=float(targets["handler_ns"].mean()) / nr if len(targets) else 0.0,
            icr_writes=int(calls["icr_writes"].max()),
            time_by={str(c): ns / nr for c, ns in zip(spent["category"], spent["ns"], strict=True)},
        )
    return found
