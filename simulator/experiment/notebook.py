# SPDX-License-Identifier: MIT
"""
What results show of themselves in a notebook
---------------------------------------------

As HTML, every name escaped, or in a line or a few of text.
"""

from __future__ import annotations

from html import escape

from simulator.analysis.compare import Comparison
from simulator.analysis.frames import ResultTotals, name_of, records
from simulator.analysis.safety import safety_of
from simulator.experiment.material import material_of
from simulator.experiment.sweeps import Sweep
from simulator.report.formats.html_page import fact_list, metric_tables
from simulator.report.text import format_count, format_ns, format_ratio

__all__ = ("html_of", "text_of")

_MOST_PAIRS = 12


def html_of(found: ResultTotals | Comparison | Sweep) -> str:
    """Return what it shows as HTML: its numbers, and what has to stand beside them."""
    failed = _failed(found) if isinstance(found, Sweep) else ""
    if isinstance(found, Sweep) and found.comparison is None:
        return failed
    material = material_of(found)
    facts = f"<details><summary>simulated</summary>{fact_list(material)}</details>"
    return f"{metric_tables(material, 4)}{failed}{facts}"


def text_of(found: ResultTotals | Comparison | Sweep) -> str:
    """Return what it is, in a line for a result and one for each pair of a comparison."""
    if isinstance(found, Sweep):
        n, failed = len(found.plan.points), len(found.failed)
        first = f"<Sweep of {n} points{f', {failed} failed' if failed else ''}, simulated>"
        return first if found.comparison is None else f"{first}\n{text_of(found.comparison)}"
    if isinstance(found, Comparison):
        return _pairs_text(found)
    s = found.scenario
    safety = safety_of([found])
    times = [f"{row['phase']} {format_ns(row['elapsed_ns'])}" for row in records(found.summary)]
    unsafe = f", {safety.label}: {safety.verdict}" if safety.unsafe else ""
    return (
        f"<Result {name_of(s.kernel)} on {name_of(s.machine)}, {format_count(s.pages)} x"
        f" {s.page_size}: {', '.join(times)}, simulated{unsafe}>"
    )


def _pairs_text(found: Comparison) -> str:
    rows = [
        row
        for row in records(found.frame)
        if row["metric"] == "elapsed_s" and row["scenario"] != row["baseline"]
    ]
    lines = [f"<Comparison of {len(found.labels)} scenarios, n={found.replications}, simulated>"]
    for row in rows[:_MOST_PAIRS]:
        sure = "" if row["verdict"] == "significant" else f" ({row['verdict']})"
        ratio = format_ratio(row["ratio"])
        lines.append(
            f"  {row['phase']}: {row['scenario']} takes {ratio} of {row['baseline']}{sure}"
        )
    if len(rows) > _MOST_PAIRS:
        lines.append(f"  and {len(rows) - _MOST_PAIRS} more: .frame")
    return "\n".join(lines)


def _failed(found: Sweep) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(row['label']))}</td><td>{escape(str(row['error']))}</td>"
        f"<td><code>{escape(str(row['command']))}</code></td></tr>"
        for row in found.failed.to_dict("records")
    )
    return f"<h4>failed</h4><table>{rows}</table>" if rows else ""
