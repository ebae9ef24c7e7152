# SPDX-License-Identifier: MIT
"""
Two kernels under several noises
--------------------------------

Whether what one kernel gains over another depends on what the other CPUs do:
the ratio of their times, and how long a flush of each takes, under every noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simulator.analysis.frames import ResultTotals, name_of, row_of_phase
from simulator.analysis.histogram import Histogram
from simulator.analysis.safety import any_unsafe
from simulator.analysis.stats import Estimate, mean_interval, paired_ratio

__all__ = ("NoiseCase", "noise_case")


@dataclass(frozen=True)
class NoiseCase:
    """
    Two kernels under one noise, in one phase, over some replications.

    ``label`` is a preset, or the value of the ``key`` that is swept.  ``speed_up`` is
    the mean time of the first kernel divided by that of the second.
    """

    label: str
    key: str  # empty: a preset
    phase: str
    kernels: tuple[str, str]
    elapsed_ns: tuple[Estimate, Estimate]
    speed_up: Estimate
    flushes: tuple[Histogram, Histogram]
    unsafe: bool  # a run broke what must hold

    def row(self) -> dict[str, Any]:
        """Return the numbers as plain values, those of each kernel under its name."""
        row: dict[str, Any] = {"phase": self.phase, "noise": self.label, "key": self.key or None}
        for kernel, elapsed, flushes in zip(
            self.kernels, self.elapsed_ns, self.flushes, strict=True
        ):
            row[kernel] = {
                "elapsed_ns": elapsed.mean,
                "elapsed_low_ns": elapsed.low,
                "elapsed_high_ns": elapsed.high,
                "flushes": flushes.total,
                "flush_p50_ns": flushes.tail(0.5),
                "flush_p99_ns": flushes.tail(0.99),
            }
        speed_up = self.speed_up
        return row | {"speed_up": speed_up.mean, "low": speed_up.low, "high": speed_up.high}


def noise_case(
    label: str, key: str, phase: str, runs: Sequence[Sequence[ResultTotals]]
) -> NoiseCase:
    """Return a case from the replications of both kernels."""
    before, after = runs
    times = [[_elapsed_ns(r, phase) for r in of_kernel] for of_kernel in (before, after)]
    speed_up = paired_ratio(times[0], times[1])
    if speed_up is None:
        raise ValueError(f"a phase {phase} without time has no speed-up")
    return NoiseCase(
        label=label,
        key=key,
        phase=phase,
        kernels=(name_of(before[0].scenario.kernel), name_of(after[0].scenario.kernel)),
        elapsed_ns=(mean_interval(times[0]), mean_interval(times[1])),
        speed_up=speed_up,
        flushes=(
            Histogram.of_runs(before, phase, "flush"),
            Histogram.of_runs(after, phase, "flush"),
        ),
        unsafe=any_unsafe([*before, *after]),
    )


def _elapsed_ns(result: ResultTotals, phase: str) -> float:
    return float(row_of_phase(result.summary, phase)["elapsed_ns"])
