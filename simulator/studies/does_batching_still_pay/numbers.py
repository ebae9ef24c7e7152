# SPDX-License-Identifier: MIT
"""
What a page takes, and what of it are flushes
---------------------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.analysis.frames import ResultFrames, name_of, of_phase, records

__all__ = ("Point", "break_even_ns", "gain", "points")


@dataclass(frozen=True)
class Point:
    """
    One phase of a run.

    ``lost_ns`` is what one of the other CPUs lost, the median of them.
    """

    kernel: str
    mechanism: str
    cpus: int
    phase: str
    pages: int
    elapsed_ns: int
    flushes: int
    flush_ns: int
    lost_ns: int

    @property
    def flush_share(self) -> float:
        """How much of the time were flushes."""
        return self.flush_ns / self.elapsed_ns if self.elapsed_ns else 0.0


def points(result: ResultFrames) -> list[Point]:
    """Return the phases of a run."""
    flushes = result.flushes[result.flushes["kind"] != "none"]
    return [
        Point(
            kernel=name_of(result.scenario.kernel),
            mechanism=str(of_phase(flushes, row["phase"])["mechanism"].iloc[0]),
            cpus=result.scenario.nr_cpus,
            phase=row["phase"],
            pages=row["pages"],
            elapsed_ns=row["elapsed_ns"],
            flushes=row["flushes"],
            flush_ns=row["flush_ns"],
            lost_ns=row["victim_lost_median_ns"],
        )
        for row in records(result.summary)
    ]


def gain(found: Sequence[Point], mechanism: str, cpus: int, phase: str) -> float:
    """Return how many times as fast batching makes a phase."""
    unbatched, batched = _pair(found, mechanism, cpus, phase)
    return unbatched.elapsed_ns / batched.elapsed_ns


def break_even_ns(found: Sequence[Point], cpus: int, phase: str) -> float:
    """
    Return what a flush by hardware would have to take for batching to double the speed.

    One that is never waited for by another CPU adds its time to the phase, whatever else is
    done: of (W + n t) / (W + m t) = 2 the t, where W is all work beside flushes.
    """
    unbatched, batched = _pair(found, "invlpgb", cpus, phase)
    work_ns = batched.elapsed_ns - batched.flush_ns
    return work_ns / (unbatched.flushes - 2 * batched.flushes)


def _pair(found: Sequence[Point], mechanism: str, cpus: int, phase: str) -> tuple[Point, Point]:
    unbatched, batched = (
        point
        for point in found
        if (point.mechanism, point.cpus, point.phase) == (mechanism, cpus, phase)
    )
    return unbatched, batched
