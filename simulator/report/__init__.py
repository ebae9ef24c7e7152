# SPDX-License-Identifier: MIT
"""
Report
------

How results are shown: plain text for a terminal and a mail, JSON for a
program, plots. Everything here takes frames; what the numbers mean is decided
in :mod:`simulator.analysis`.
"""

from __future__ import annotations

from simulator.report.compare_text import comparison_text
from simulator.report.run_text import run_report, summary_json

__all__ = ("comparison_text", "run_report", "summary_json")
