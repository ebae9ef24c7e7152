# SPDX-License-Identifier: MIT
"""
Plots
-----

Each ``plot_*`` takes results and returns a matplotlib ``Figure`` that belongs
to the caller; :func:`save` writes it as PNG. pyplot and its global state are
not used. Each figure says in its caption that it is simulated, for which
machine, kernels and seed, and how to read it.
"""

from __future__ import annotations

from simulator.report.plots.elapsed import plot_elapsed, plot_scaling
from simulator.report.plots.latency import plot_latency
from simulator.report.plots.style import save
from simulator.report.plots.throughput import plot_throughput
from simulator.report.plots.time_by import plot_time_by
from simulator.report.plots.timeline import plot_flush_timeline

__all__ = (
    "plot_elapsed",
    "plot_flush_timeline",
    "plot_latency",
    "plot_scaling",
    "plot_throughput",
    "plot_time_by",
    "save",
)
