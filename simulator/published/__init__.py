# SPDX-License-Identifier: MIT
"""
What others measured
--------------------

Counts, times and histograms of real machines as they were published: a CSV file
each, and one reader for it.  Timings and counts of one's own have the same columns
and the same readers.  Nothing here simulates.
"""

from __future__ import annotations

from simulator.published.benchmarks import PublishedFigure, published_figures
from simulator.published.hvo_2021 import PublishedRun, published_hvo_2021
from simulator.published.times import Timing, read_timings

__all__ = (
    "PublishedFigure",
    "PublishedRun",
    "Timing",
    "published_figures",
    "published_hvo_2021",
    "read_timings",
)
