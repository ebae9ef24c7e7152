# SPDX-License-Identifier: MIT
"""
Barriers by architecture, as tables
-----------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.frames import ResultFrames
from simulator.report.header import cited_kernels, static_key_lines, trust_text, version_text
from simulator.report.text import (
    command_line,
    format_count,
    format_ns,
    format_share,
    format_table,
    underlined,
    wrapped,
)
from simulator.studies.ordering_cost import KERNEL_OF, OrderingCost
from simulator.studies.ordering_cost.numbers import MIDDLE, Barriers, value_of

__all__ = ("ordering_report",)

#: The fill that the series was measured with.
_PUBLISHED_PAGES = 524288
_HEADER = (
    "arch", "smp_wmb", "range", "how\noften", "in all", "barriers\n[1]", "of the\ntime",
    "least\nto most [2]",
)  # fmt: skip
_NOTES = (
    "All barriers: on arm64 also DSB ISHST and ISB after each store to a page table, 512 of them"
    " when a PMD is split.",
    "The share with smp_wmb() at both ends of its range.",
)


def ordering_report(found: Sequence[Barriers], runs: Sequence[ResultFrames], command: str) -> str:
    """Return the tables as plain text, at most 72 columns wide."""
    first = runs[0]
    head = [
        underlined(f"{OrderingCost.QUESTION} (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(first.provenance), "version    "),
        wrapped(f"{', '.join(KERNEL_OF)}; one task; seed {first.scenario.seed}", "simulated  "),
        *(
            wrapped(f"{r.scenario.machine_model.isa}: {trust_text(r.provenance)}", "model      ")
            for r in runs
        ),
        *cited_kernels(runs),
        *static_key_lines(runs),
        wrapped(_answer(found), "answer     "),
    ]
    groups = dict.fromkeys((row.page_size, row.phase) for row in found)
    tables = [
        f"{underlined(f'{_pages(found, size):,} pages of {size}: {phase}')}\n"
        f"{_table(found, size, phase)}"
        for size, phase in groups
    ]
    notes = [wrapped(note, f"[{i}] ") for i, note in enumerate(_NOTES, 1)]
    return "\n\n\n".join(["\n".join(head), *tables, "\n".join(notes)]) + "\n"


def _answer(found: Sequence[Barriers]) -> str:
    parts = []
    for machine in KERNEL_OF:
        row = value_of(found, machine, "2M", "alloc")[MIDDLE]
        scale = _PUBLISHED_PAGES / row.pages
        parts.append(f"{row.isa} {format_ns(row.all_wmb_ns * scale)} ({format_share(row.share)})")
    return (
        f"smp_wmb() of a fill of {_PUBLISHED_PAGES:,} pages of 2 MB, by proportion (and all"
        f" barriers of its time): {', '.join(parts)}; values assumed."
    )


def _pages(found: Sequence[Barriers], size: str) -> int:
    return next(row.pages for row in found if row.page_size == size)


def _table(found: Sequence[Barriers], size: str, phase: str) -> str:
    rows = []
    for machine in KERNEL_OF:
        by = value_of(found, machine, size, phase)
        row, least, most = by[MIDDLE], by.get("least", by[MIDDLE]), by.get("most", by[MIDDLE])
        rows.append(
            (
                row.isa,
                format_ns(row.wmb_ns),
                f"{least.wmb_ns:g}..{most.wmb_ns:g} ns",
                format_count(row.nr_wmb),
                format_ns(row.all_wmb_ns),
                format_ns(row.barrier_ns),
                format_share(row.share),
                f"{format_share(least.share)}..{format_share(most.share)}",
            )
        )
    return format_table(rows, _HEADER, align="lrrrrrrr")
