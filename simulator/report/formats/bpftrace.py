# SPDX-License-Identifier: MIT
"""
Histograms as bpftrace prints them
----------------------------------

Of each scenario and phase: how long a folio, a flush, an acknowledgement and a
handler took, over all replications; under each, how many there were, their median and,
if at least one is beyond it, their 99th percentile.

Source of that line: the statistics of ``perf ftrace latency``. It has the mean and the
largest; buckets know neither, and quantiles to within a bucket.
"""

from __future__ import annotations

from simulator.analysis.histogram import Histogram
from simulator.report.formats.material import Material, fact_lines
from simulator.report.histogram_text import histogram_text
from simulator.report.text import underlined
from simulator.trace.words import LATENCIES

__all__ = ("render",)


def render(material: Material) -> str:
    """Return the histograms."""
    blocks = ["\n".join(fact_lines(material))]
    for label in material.comparison.labels:
        runs = material.runs(label)
        safety = material.comparison.safety[label]
        mark = f" {safety.label}" if safety.unsafe else ""
        blocks.append(underlined(f"{label}{mark} (simulated)"))
        for phase in material.phases:
            for what in LATENCIES:
                whole = Histogram.of_runs(runs, phase, what)
                if whole.total:
                    blocks.append(
                        f"{histogram_text(f'{phase}_{what}', whole)}\n{_statistics(whole)}"
                    )
    return "\n\n".join(blocks) + "\n"


def _statistics(histogram: Histogram) -> str:
    found = {"median": histogram.quantile(0.5), "99th percentile": histogram.tail(0.99)}
    shown = [f"{name} {value} ns" for name, value in found.items() if value is not None]
    return ", ".join([f"count {histogram.total}", *shown])
