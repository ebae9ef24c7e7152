# SPDX-License-Identifier: MIT
"""
Analysis
--------

What the numbers of one or more simulations mean: confidence intervals, paired
comparison, quantiles of merged histograms, which published times are of a result.
Everything here reads frames and never a running simulation; nothing here
prints or draws.
"""

from __future__ import annotations

from simulator.analysis.benchmarks import CallTimes, call_times
from simulator.analysis.compare import METRICS, Comparison, compare_results
from simulator.analysis.frames import (
    ResultFrames,
    ResultTotals,
    Totals,
    fields_of,
    name_of,
    nr_cpus,
    of_phase,
    row_of_phase,
)
from simulator.analysis.histogram import Histogram
from simulator.analysis.measured import fitted_to_ns, measured_for, was_fitted
from simulator.analysis.stats import (
    Estimate,
    mean_interval,
    paired_difference,
    paired_ratio,
)

__all__ = (
    "METRICS",
    "CallTimes",
    "Comparison",
    "Estimate",
    "Histogram",
    "ResultFrames",
    "ResultTotals",
    "Totals",
    "call_times",
    "compare_results",
    "fields_of",
    "fitted_to_ns",
    "mean_interval",
    "measured_for",
    "name_of",
    "nr_cpus",
    "of_phase",
    "paired_difference",
    "paired_ratio",
    "row_of_phase",
    "was_fitted",
)
