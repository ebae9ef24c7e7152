# SPDX-License-Identifier: MIT
"""
Counts and distributions side by side, as text
----------------------------------------------
"""

from __future__ import annotations

from typing import Any

from simulator.analysis.distributions import SideBySide
from simulator.report.text import format_count, format_ns, format_table, underlined, wrapped
from simulator.report.trace_text import QUANTILES

__all__ = ("side_by_side_json", "side_by_side_report")


def side_by_side_report(found: SideBySide) -> str:
    """Return one table of counts and quantiles as plain text, at most 72 columns wide."""
    columns = [f"[{i}]" for i in range(1, len(found.names) + 1)]
    head = [
        underlined("Counts and times side by side"),
        *(wrapped(name, f"{tag} ") for tag, name in zip(columns, found.names, strict=True)),
        wrapped(f"phases: {', '.join(found.phases)}"),
    ]
    rows: list[tuple[str, ...]] = [
        (name, *("-" if value is None else format_count(value) for value in values))
        for name, values in found.counts.items()
    ]
    for what, histograms in found.histograms.items():
        if not any(h.total for h in histograms):
            continue
        rows.append((f"{what}, count", *(format_count(h.total) for h in histograms)))
        rows += [
            (f"  p{100 * q:g}", *(format_ns(h.quantile(q)) for h in histograms)) for q in QUANTILES
        ]
        distances = ("-" if d is None else f"{d:.3f}" for d in found.distances[what])
        rows.append(("  KS distance to [1]", *distances))
    return "\n".join(head) + "\n\n" + format_table(rows, ("", *columns)) + "\n"


def side_by_side_json(found: SideBySide) -> dict[str, Any]:
    """Return the same for a program."""
    return {
        "results": list(found.names),
        "phases": list(found.phases),
        "counts": {name: list(values) for name, values in found.counts.items()},
        "times": {
            what: [
                {"count": h.total, "ks": distance}
                | {f"p{100 * q:g}_ns": h.quantile(q) for q in QUANTILES}
                for h, distance in zip(histograms, found.distances[what], strict=True)
            ]
            for what, histograms in found.histograms.items()
        },
    }
