# SPDX-License-Identifier: MIT
"""
Experiments: scenarios run several times, and what they show together
---------------------------------------------------------------------
"""

from __future__ import annotations

from simulator.experiment.pairs import (
    check_comparable,
    check_replications,
    compare,
    compared,
    replicate,
    simulate_all,
)
from simulator.experiment.workers import check_jobs, default_jobs, simulate_totals

__all__ = (
    "check_comparable",
    "check_jobs",
    "check_replications",
    "compare",
    "compared",
    "default_jobs",
    "replicate",
    "simulate_all",
    "simulate_totals",
)
