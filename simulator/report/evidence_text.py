# SPDX-License-Identifier: MIT
"""
What a conclusion hangs on, as text
-----------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.report.text import format_ratio, format_table, underlined, wrapped

if TYPE_CHECKING:
    import pandas as pd

    from simulator.experiment.axes import Point
    from simulator.experiment.breakeven import BreakEven
    from simulator.experiment.evidence import Evidence

__all__ = ("crossing_text", "evidence_text")

_MOST_FACTORS = 8


def evidence_text(evidence: Evidence) -> str:
    """Return what an uncertainty and a search for the break-even tell; empty without either."""
    parts = []
    if evidence.ranking is not None and evidence.ends is not None:
        parts.append(_uncertainty_text(evidence.ranking, evidence.ends))
    if evidence.crossings:
        parts.append(_break_even_text(evidence.crossings))
    return "".join(f"\n{part}" for part in parts)


def _uncertainty_text(ranking: pd.DataFrame, tornado: pd.DataFrame) -> str:
    """Return which uncertain costs the ratio of elapsed times hangs on, and how far it goes."""
    blocks = []
    for (point, phase), found in ranking.groupby(["point", "phase"], sort=False):
        ends = tornado[(tornado["point"] == point) & (tornado["phase"] == phase)]
        by_factor = ends.set_index("factor")
        rows = []
        for row in found.head(_MOST_FACTORS).to_dict("records"):
            end = by_factor.loc[row["factor"]]
            rows.append((
                _short(row["factor"]), f"{row['correlation']:+.2f}",
                f"{100 * row['share']:.0f}%" if row["clear"] else "not clear",
                format_ratio(end["low_ratio"]), format_ratio(end["high_ratio"]),
            ))  # fmt: skip
        title = underlined(f"What the ratio of {found['label'].iloc[0]} hangs on, {phase}")
        header = ("uncertain cost", "correlation", "explains", "at low end", "at high end")
        blocks.append(f"{title}\n{format_table(rows, header)}\n")
    note = wrapped(
        "Simulated. Correlation: Spearman's, of the elapsed time's ratio with the cost over all"
        " draws. Ends: that cost alone at the ends of its range, all else as in the profile, but"
        " for costs that were fitted to times: these are fitted again."
    )
    return "\n".join([*blocks, note]) + "\n"


def _break_even_text(crossings: Sequence[tuple[Point, BreakEven]]) -> str:
    """Return where scenarios break even with their baselines, a paragraph each."""
    lines = [underlined("break-even (simulated)")]
    lines += [wrapped(crossing_text(point, found)) for point, found in crossings]
    return "\n".join(lines) + "\n"


def crossing_text(point: Point, found: BreakEven) -> str:
    """Return where a scenario breaks even with its baseline, in a line."""
    first, last = found.steps[0], found.steps[-1]
    where = f"{found.phase}, {point.label}:"
    if not found.places:
        word = "faster" if first.ratio < 1 else "not faster"
        return (
            f"{where} {word} than the baseline everywhere from {found.field} {first.value:g}"
            f" ({format_ratio(first.ratio)}) to {last.value:g} ({format_ratio(last.ratio)})"
        )
    ratios = {step.value: step.ratio for step in found.steps}
    told = []
    for left, right in found.places:
        side = f"pays from {found.field} {right:.6g} on"
        if ratios[left] < 1:
            side = f"stops paying above {found.field} {left:.6g}"
        told.append(
            f"{side} ({format_ratio(ratios[left])} at {left:.6g},"
            f" {format_ratio(ratios[right])} at {right:.6g})"
        )
    return f"{where} {'; '.join(told)}"


def _short(name: str) -> str:
    first, *more = name.split(",")
    return f"{first} and {len(more)} more" if more else first
