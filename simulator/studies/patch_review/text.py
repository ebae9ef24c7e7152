# SPDX-License-Identifier: MIT
"""
The review's text
-----------------
"""

from __future__ import annotations

from simulator.analysis.compare import Comparison
from simulator.report.formats import Material, render
from simulator.report.text import format_table, underlined

__all__ = ("review_text",)


def review_text(comparison: Comparison, material: Material) -> str:
    """Return times as a cover letter has them, then whether each kernel is safe."""
    rows = [(label, safety.label, safety.verdict) for label, safety in comparison.safety.items()]
    table = format_table(rows, ("scenario", "", "what must hold"), "lll")
    return f"{render('cover-letter', material)}\n{underlined('Safety (simulated)')}\n{table}\n"
