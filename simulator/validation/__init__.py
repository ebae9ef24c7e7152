# SPDX-License-Identifier: MIT
"""
Validation
----------

Simulations held against reality: counts of real kernels, which must be met
exactly, and times of real machines, whole requests and single flushes, of which
the error is told.
"""

from __future__ import annotations

from simulator.validation.benchmarks import BenchmarkCheck, check_benchmarks
from simulator.validation.counts import (
    CountsCheck,
    Mismatch,
    boot_scenario,
    check_counts,
    mismatches,
)
from simulator.validation.times import TimeCheck, TimesPlan, plan_times

__all__ = (
    "BenchmarkCheck",
    "CountsCheck",
    "Mismatch",
    "TimeCheck",
    "TimesPlan",
    "boot_scenario",
    "check_benchmarks",
    "check_counts",
    "mismatches",
    "plan_times",
)
