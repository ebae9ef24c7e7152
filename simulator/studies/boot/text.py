# SPDX-License-Identifier: MIT
"""
Boots on several releases, as tables
------------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.analysis.by_kernel import KernelPhase
from simulator.analysis.frames import ResultFrames
from simulator.report.by_kernel_text import by_kernel_report
from simulator.report.text import format_count, format_table, underlined
from simulator.studies.boot import Boot
from simulator.studies.whole_memory import USED

__all__ = ("boot_report",)

_NOTES = (
    "Asked for: all memory. Of it 1.6 % are struct pages, and {used:g} % are taken as used by"
    " others before (assumed). What a batch frees is free once it has flushed; as huge pages again"
    " where 64 neighbours were all optimised.",
    "Published: a guest of 384 GB reached less than 376 GB with one batch, and more than 381 GB"
    " if pages were given back as it went (20250919092353.41671-1-lizhe.67@bytedance.com).",
)


def boot_report(phases: Sequence[KernelPhase], runs: Sequence[ResultFrames], command: str) -> str:
    """Return the tables as plain text, at most 72 columns wide."""
    small = [row for row in phases if row.group.endswith("2M")]
    best = max(small, key=lambda row: row.pages_got)
    batched = next(row for row in small if row.kernel == "v6.7")
    last = small[-1]
    answer = (
        f"of all memory v6.7 gets {_share(batched)} as huge pages, {last.kernel} {_share(last)};"
        f" most gets {best.kernel}, {_share(best)}. Of 384 GB that is {_of_384(batched):.1f} and"
        f" {_of_384(last):.1f} GB."
    )
    rows = [
        (
            row.kernel,
            format_count(row.pages_got),
            _share(row),
            f"{_of_384(row):.1f} GB",
            format_count(row.pages - row.pages_got),
        )
        for row in small
    ]
    header = ("", "huge pages", "of the\nmemory", "of\n384 GB", "pages\nmissed")
    table = format_table(rows, header, align="lrrrr")
    return by_kernel_report(
        Boot.QUESTION,
        phases,
        runs,
        answer=answer,
        command=command,
        more=[f"{underlined('What a boot gets that asks for all memory')}\n{table}"],
        notes=[note.format(used=USED / 10) for note in _NOTES],
    )


def _share(row: KernelPhase) -> str:
    return f"{100 * row.pages_got / row.pages:.2f} %"


def _of_384(row: KernelPhase) -> float:
    return 384 * row.pages_got / row.pages
