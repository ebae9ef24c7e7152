# SPDX-License-Identifier: MIT
"""
Validation
----------

Simulations held against reality: counts of real kernels, which must be met
exactly, and times of real machines, of which the error is told.
"""

from __future__ import annotations

from simulator.validation.counts import CountsCheck, boot_scenario, check_counts
from simulator.validation.times import TimeCheck, TimesPlan, plan_times

__all__ = (
    "CountsCheck",
    "TimeCheck",
    "TimesPlan",
    "boot_scenario",
    "check_counts",
    "plan_times",
)
