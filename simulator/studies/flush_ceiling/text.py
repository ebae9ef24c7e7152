# SPDX-License-Identifier: MIT
"""
Flushes by the number of pages
------------------------------

Where the ceiling of single-page flushes should be, beside the published figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.analysis.benchmarks import call_times
from simulator.analysis.frames import ResultFrames
from simulator.published.benchmarks import PublishedFigure
from simulator.report.benchmark_text import against, benchmark_header, notes
from simulator.report.text import format_count, format_table, underlined

__all__ = ("ceiling_report",)

_NOTES = (
    "Each further page: a least-squares line through the flushes of 1 to 33 pages, to which "
    "costs.flush_base and costs.invlpg of this machine are fitted, as costs.flush_full is to the "
    "global flush; 34 and 35 pages are predicted. The published averages hold the trace points, "
    "a couple of hundred cycles, and are up to 14 % off their own line.",
    "Used again: so many translations are missed after a full flush, and each costs a TLB miss. "
    "From the number of pages on that is given, INVLPG one by one costs more than the full "
    "flush and these misses. Two TLBs of the same size, one in use and one not, want different "
    "ceilings: a property of the load, not of the machine.",
    "As in the profile: what the machine loses to a full flush is costs.refill_full there, a "
    "value with a wide range.",
)
_TITLE = "Where should the ceiling of single-page flushes be?"
_LISTED = ("1", "2", "3", "4", "8", "16", "32", "33", "34", "35", "all")


def ceiling_report(
    flushes: ResultFrames,
    by_entries: Mapping[int, int | None],
    by_machine: Mapping[str, int | None],
    published: Sequence[PublishedFigure],
    *,
    command: str,
    ceiling: int,
) -> str:
    """
    Return the report as plain text, at most 72 columns wide.

    :param flushes: a result of tlb_flush on one CPU, without a ceiling.
    :param by_entries: the number of pages from which a full flush is cheaper, by how many
        translations are used again after it; None: none of those tried.
    :param by_machine: the same with what the profile of each machine says.
    :param published: times of flushes by the number of pages.
    :param command: what to type to get the same text again.
    :param ceiling: the kernel's.
    """
    times = call_times(flushes)
    ntimes = next(iter(times.values())).calls
    parts = ["\n".join(benchmark_header(_TITLE, command, [flushes], ntimes))]
    of = {f.figure: f for f in published}
    rows = [(s, *against(of.get(s), times[s].mean_ns)) for s in _LISTED if s in times]
    header = ("pages", "published", "simulated", "error", "")
    table = format_table(rows, header, "rrrrl")
    parts.append(f"{underlined('A flush on one CPU, TLB misses apart')}\n{table}")
    entries = [(format_count(n), _from(pages)) for n, pages in by_entries.items()]
    table = format_table(entries, ("used\nagain", "full flush cheaper"), "rl")
    parts.append(f"{underlined('Where the ceiling should be')}\n{table}")
    machines = [(machine, _from(pages)) for machine, pages in by_machine.items()]
    table = format_table(machines, ("as in the profile", "full flush cheaper"), "ll")
    parts.append(table)
    parts.append(f"The kernel's ceiling is {ceiling} pages: a flush of more is a full one.")
    return "\n\n".join(parts) + "\n\n" + notes(_NOTES[0 if published else 1 :])


def _from(pages: int | None) -> str:
    return "at no size tried" if pages is None else f"from {pages} pages on"
