# SPDX-License-Identifier: MIT
"""
Report
------

How results are shown: plain text for a terminal and a mail, JSON for a
program, plots. Everything here takes frames; what the numbers mean is decided
in :mod:`simulator.analysis`.
"""

from __future__ import annotations

from simulator.report.batching_text import batching_report
from simulator.report.compare_text import comparison_text
from simulator.report.flush_kinds_text import flush_kinds_report
from simulator.report.flush_text import ceiling_report, shootdown_report
from simulator.report.hvo_2021_text import hvo_2021_report
from simulator.report.ipi_text import ipi_report
from simulator.report.noise_text import noise_report
from simulator.report.pressure_text import pressure_report
from simulator.report.rcu_text import rcu_report
from simulator.report.run_text import run_report, summary_json

__all__ = (
    "batching_report",
    "ceiling_report",
    "comparison_text",
    "flush_kinds_report",
    "ipi_report",
    "noise_report",
    "hvo_2021_report",
    "pressure_report",
    "rcu_report",
    "run_report",
    "shootdown_report",
    "summary_json",
)
