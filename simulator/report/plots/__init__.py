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
from simulator.report.plots.flush import plot_ceiling, plot_shootdowns
from simulator.report.plots.flush_kinds import plot_flush_kinds
from simulator.report.plots.hvo_2021 import plot_hvo_2021
from simulator.report.plots.ipi import plot_broadcasts
from simulator.report.plots.latency import plot_latency
from simulator.report.plots.noise import plot_noise
from simulator.report.plots.pressure import plot_pressure
from simulator.report.plots.rcu import plot_rcu
from simulator.report.plots.style import save
from simulator.report.plots.throughput import plot_throughput
from simulator.report.plots.time_by import plot_time_by
from simulator.report.plots.timeline import plot_flush_timeline

__all__ = (
    "plot_broadcasts",
    "plot_ceiling",
    "plot_elapsed",
    "plot_flush_kinds",
    "plot_flush_timeline",
    "plot_hvo_2021",
    "plot_latency",
    "plot_noise",
    "plot_pressure",
    "plot_rcu",
    "plot_scaling",
    "plot_shootdowns",
    "plot_throughput",
    "plot_time_by",
    "save",
)
