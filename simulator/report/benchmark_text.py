# SPDX-License-Identifier: MIT
"""
What the reports of benchmarks have in common
---------------------------------------------

The lines above the tables, and a published figure beside the simulated one.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.frames import ResultTotals, name_of
from simulator.report.header import machine_title, trust_text, version_text
from simulator.report.text import (
    command_line,
    format_count,
    format_error,
    format_ns,
    underlined,
    wrapped,
)

__all__ = ("against", "benchmark_header", "notes")


def benchmark_header(
    title: str, command: str, results: Sequence[ResultTotals], ntimes: int
) -> list[str]:
    """Return the lines that open a report: what was run, where, and how far to trust it."""
    s = results[0].scenario
    machines = dict.fromkeys(
        f"{name_of(r.scenario.machine) if len(results) > 1 else machine_title(r)}:"
        f" {trust_text(r.provenance)}"
        for r in results
    )
    lines = [
        underlined(f"{title} (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(results[0].provenance), "version    "),
        wrapped(
            f"{format_count(ntimes)} calls of each; noise {name_of(s.noise)};"
            f" seed {s.seed}, replication {s.replication}",
            "simulated  ",
        ),
    ]
    for nth, text in enumerate(machines):
        lines.append(wrapped(text, "machine    " if not nth else " " * 11))
    return lines


def against(published_ns: float | None, simulated_ns: float, fitted: bool) -> tuple[str, ...]:
    """
    Return the cells published, simulated, error, and how the two are related.

    >>> against(92_821.6, 93_000, True), against(None, 850, False)
    (('92.8 us', '93.0 us', '(+0.2%)', 'fitted'), ('-', '850 ns', '', ''))
    """
    simulated = format_ns(round(simulated_ns))
    if published_ns is None:
        return "-", simulated, "", ""
    error = format_error(simulated_ns / published_ns - 1)
    published = format_ns(round(published_ns))
    if fitted:
        return published, simulated, f"({error})", "fitted"
    return published, simulated, error, "predicted"


def notes(texts: Sequence[str]) -> str:
    """Return remarks below the tables."""
    return "\n".join(wrapped(text, "- ") for text in texts) + "\n"
