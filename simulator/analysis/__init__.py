# SPDX-License-Identifier: MIT
"""
Analysis
--------

What the numbers of one or more simulations mean: confidence intervals, paired
comparison, quantiles of merged histograms, published times to compare with.
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
)
from simulator.analysis.histogram import Histogram
from simulator.analysis.pressure import FillOutcome, outcome_of
from simulator.analysis.published import PublishedTime, published_for, published_times
from simulator.analysis.published_benchmarks import PublishedFigure, published_figures
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
    "FillOutcome",
    "Histogram",
    "PublishedFigure",
    "PublishedTime",
    "ResultFrames",
    "ResultTotals",
    "Totals",
    "call_times",
    "compare_results",
    "fields_of",
    "mean_interval",
    "name_of",
    "nr_cpus",
    "outcome_of",
    "paired_difference",
    "paired_ratio",
    "published_figures",
    "published_for",
    "published_times",
)
