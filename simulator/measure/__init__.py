# SPDX-License-Identifier: MIT
"""
Measuring this machine
----------------------

Real system calls on the machine that runs the simulator, and a profile of what
they show.  Nothing here simulates.
"""

from __future__ import annotations

from simulator.measure.findings import Finding, Gap, Median, median_of
from simulator.measure.here import Here, measure_here
from simulator.measure.host import Host, read_host
from simulator.measure.measured_profile import here_profile, measured_costs, values_ns

__all__ = (
    "Finding",
    "Gap",
    "Here",
    "Host",
    "Median",
    "here_profile",
    "measure_here",
    "measured_costs",
    "median_of",
    "read_host",
    "values_ns",
)
