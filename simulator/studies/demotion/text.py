# SPDX-License-Identifier: MIT
"""
Demotion on several releases, as a table
----------------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.by_kernel import KernelPhase
from simulator.analysis.frames import ResultFrames
from simulator.report.by_kernel_text import by_kernel_report
from simulator.report.text import format_count, format_ns, format_ratio, format_table, underlined
from simulator.studies.demotion import PUBLISHED_PAGES, PUBLISHED_S, Demotion

__all__ = ("demotion_report",)

_PER_BATCH = 2
_NOTES = (
    "Published: 100 pages of 1 GB, on a machine that is not named; simulated: as many by"
    " proportion, on the machine above; a batch waits for two grace periods whatever its size."
    " The length of a grace period is assumed.",
    "In 6.12.117 all but the first of the 512 pages made of one look optimised, and are skipped.",
)


def demotion_report(
    phases: Sequence[KernelPhase], runs: Sequence[ResultFrames], command: str
) -> str:
    """Return the table as plain text, at most 72 columns wide."""
    rows = {row.kernel: row for row in phases}
    one, all_ = rows["v6.11"], rows["v6.12"]
    answer = (
        f"with v6.11 a page of 1 GB waits for {format_count(one.grace_periods / one.pages)} grace"
        f" periods and takes {format_ns(one.elapsed_ns / one.pages)}; since v6.12 a write waits"
        f" for {all_.grace_periods} and a page takes {format_ns(all_.elapsed_ns / all_.pages)}"
        f" ({format_ratio(one.elapsed_ns / all_.elapsed_ns)} as fast), since v7.1 for none."
    )
    beside = [
        (
            kernel,
            format_ns(seconds * 10**9),
            format_ns(_of_as_many(rows[kernel])),
        )
        for kernel, seconds in PUBLISHED_S.items()
    ]
    table = format_table(beside, ("", "published", "simulated"), align="lrr")
    title = underlined(f"{PUBLISHED_PAGES} pages, as published")
    return by_kernel_report(
        Demotion.QUESTION,
        phases,
        runs,
        answer=answer,
        command=command,
        more=[f"{title}\n{table}"],
        notes=_NOTES,
    )


# The time of as many pages as were published, grace periods of a batch apart.
def _of_as_many(row: KernelPhase) -> float:
    ratio = PUBLISHED_PAGES / row.pages
    per_batch = row.grace_periods <= _PER_BATCH
    return (row.elapsed_ns - row.rcu_ns) * ratio + row.rcu_ns * (1 if per_batch else ratio)
