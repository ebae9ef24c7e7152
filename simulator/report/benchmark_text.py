# SPDX-License-Identifier: MIT
"""
What the reports of benchmarks have in common
---------------------------------------------

The lines above the tables, and a published figure beside the simulated one.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.frames import ResultTotals, name_of
from simulator.published.benchmarks import PublishedFigure
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


def against(figure: PublishedFigure | None, simulated: float | None) -> tuple[str, ...]:
    """
    Return the cells published, simulated, error, and what the figure is to the model.

    >>> from simulator.published.benchmarks import published_figures
    >>> alone, beside_another = published_figures("madvise", "epyc-zen4-vm2")[:2]
    >>> against(alone, 1_112), against(beside_another, 9_400), against(None, 850)
    (('1.11 us', '-', '', 'given'), ('9.42 us', '9.40 us', '(-0.3%)', 'fitted'), ('-', '850 ns', '', ''))
    """  # noqa: E501 - what is printed is one line
    shows = {"loops/s": _per_s, "calls": _calls}
    show = _ns if figure is None else shows.get(figure.unit, _ns)
    if figure is None:
        return "-", show(simulated), "", ""
    published = show(figure.value)
    if simulated is None or figure.role == "given":
        return published, "-", "", figure.role
    error = format_error(simulated / figure.value - 1 if figure.value else simulated)
    return (
        published,
        show(simulated),
        f"({error})" if figure.role == "fitted" else error,
        figure.role,
    )


def _ns(value: float | None) -> str:
    return format_ns(None if value is None else round(value))


def _calls(value: float | None) -> str:
    return format_count(None if value is None else round(value))


def _per_s(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:.0f}k/s"


def notes(texts: Sequence[str]) -> str:
    """Return remarks below the tables."""
    return "\n".join(wrapped(text, "- ") for text in texts) + "\n"
