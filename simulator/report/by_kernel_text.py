# SPDX-License-Identifier: MIT
"""
Tables with a row for each kernel
---------------------------------

What studies of several kernels have in common: a head that says what was simulated, an
answer, a table for each phase of each group, notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulator.analysis.by_kernel import KernelPhase
from simulator.analysis.frames import ResultFrames
from simulator.report.header import machine_title, study_lines
from simulator.report.text import (
    format_count,
    format_ns,
    format_share,
    format_table,
    underlined,
    wrapped,
)

__all__ = ("by_kernel_report", "by_kernel_table")

_HEADER = (
    "", "time", "flushes", "in\nflushes", "grace\nperiods", "in rcu",
    "static\nkey [1]", "lost by\nothers [2]",
)  # fmt: skip

_NOTES = (
    "Broadcasts that patch the code of HVO's static key, of a kernel without modules that use it.",
    "Time in interrupts and TLB refill of all CPUs without a task, while they had work to do.",
)


def by_kernel_report(
    title: str,
    rows: Sequence[KernelPhase],
    runs: Sequence[ResultFrames],
    *,
    answer: str,
    command: str,
    more: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> str:
    """
    Return a report as plain text, at most 72 columns wide.

    :param runs: a result of each kernel.
    :param more: blocks after the tables.
    """
    s = runs[0].scenario
    simulated = (
        f"{machine_title(runs[0])}; one task unless said; noise {s.noise_model.name}; seed {s.seed}"
    )
    head = [*study_lines(title, command, simulated, runs), wrapped(answer, "answer     ")]
    groups = dict.fromkeys((row.group, row.phase) for row in rows)
    tables = [
        f"{underlined(f'{group}: {phase}')}\n"
        f"{by_kernel_table([row for row in rows if (row.group, row.phase) == (group, phase)])}"
        for group, phase in groups
    ]
    numbered = [wrapped(note, f"[{i}] ") for i, note in enumerate(_NOTES, 1)]
    numbered += [wrapped(note) for note in notes]
    return "\n\n\n".join(["\n".join(head), *tables, *more, "\n".join(numbered)]) + "\n"


def by_kernel_table(rows: Sequence[KernelPhase]) -> str:
    """Return a table of one phase, a row for each kernel."""
    cells = [
        (
            row.kernel,
            format_ns(row.elapsed_ns),
            format_count(row.flushes),
            format_share(row.flush_ns / row.elapsed_ns if row.elapsed_ns else 0),
            format_count(row.grace_periods),
            format_share(row.rcu_ns / row.elapsed_ns if row.elapsed_ns else 0),
            format_count(row.static_key),
            format_ns(row.lost_ns),
        )
        for row in rows
    ]
    return format_table(cells, _HEADER, align="lrrrrrrr")
