# SPDX-License-Identifier: MIT
"""
Experiments: scenarios run several times, and what they show together
---------------------------------------------------------------------
"""

from __future__ import annotations

from simulator.experiment.pairs import check_comparable, check_replications, simulate_all
from simulator.experiment.sweeps import Sweep, compare, sweep
from simulator.experiment.workers import check_jobs, default_jobs, simulate_totals

__all__ = (
    "Sweep",
    "check_comparable",
    "check_jobs",
    "check_replications",
    "compare",
    "default_jobs",
    "simulate_all",
    "simulate_totals",
    "sweep",
)
