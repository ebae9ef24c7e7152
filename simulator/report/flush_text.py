# SPDX-License-Identifier: MIT
"""
Flushes by the number of CPUs and by the number of pages
--------------------------------------------------------

What one more CPU costs, and where the ceiling should be, beside the published
figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.analysis.benchmarks import CallTimes, call_times
from simulator.analysis.frames import ResultFrames, name_of
from simulator.analysis.published_benchmarks import PublishedFigure
from simulator.report.benchmark_text import against, benchmark_header, notes
from simulator.report.text import format_count, format_ns, format_table, underlined

__all__ = ("ceiling_report", "shootdown_report")

_SHOOTDOWN_NOTES = (
    "The published calls hold more than the flush: the system call, page tables, a page fault. "
    "That is taken from the call alone on its CPU, which is given, less the simulated flush; what "
    "other CPUs add to it is simulated.",
    "Of the Haswell no cost is fitted: csd and queue are cache-line transfers, delivery and entry "
    "are assumed, and over their ranges the prediction moves as far as the last column says. The "
    "mail names neither the Haswell nor whether page-table isolation was on. Of the small VM the "
    "way to the first peer is fitted to madvise() of one page.",
    "Each further CPU: the time on all CPUs less that on two, divided by the others. The CPUs "
    "run, none idles or is preempted.",
)

_CEILING_NOTES = (
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
_CEILING_TITLE = "Where should the ceiling of single-page flushes be?"
_LISTED = ("1", "2", "3", "4", "8", "16", "32", "33", "34", "35", "all")


def shootdown_report(
    runs: Mapping[str, Mapping[int, ResultFrames]],
    published: Sequence[PublishedFigure],
    lost: Sequence[PublishedFigure],
    *,
    command: str,
    ends: Mapping[str, Sequence[Mapping[int, ResultFrames]]] | None = None,
) -> str:
    """
    Return the report as plain text, at most 72 columns wide.

    :param runs: by machine and number of CPUs, a result of tlb_flush.
    :param published: times of a system call by the number of threads.
    :param lost: what a peer loses to a flush, by the number of pages.
    :param command: what to type to get the same text again.
    :param ends: by machine, the runs with all assumed costs least, and with all greatest.
    """
    every = [result for by_cpus in runs.values() for result in by_cpus.values()]
    times = {m: {n: call_times(r) for n, r in by_cpus.items()} for m, by_cpus in runs.items()}
    ntimes = next(iter(call_times(every[0]).values())).calls
    title = "What does one more CPU cost?"
    parts = ["\n".join(benchmark_header(title, command, _one_of_each(every), ntimes))]
    between = {
        machine: [{n: call_times(r)["1"].mean_ns for n, r in runs.items()} for runs in both]
        for machine, both in (ends or {}).items()
    }
    cases = _cases(times, published, lost, between)
    if cases:
        header = ("", "published", "simulated", "error", "", "assumed costs\nat their ends")
        parts.append(f"{underlined('As published')}\n{format_table(cases, header, 'lrrrlr')}")
    rows = [_row(machine, by_cpus) for machine, by_cpus in times.items()]
    columns = ("", "alone", "first\nother CPU", "each\nfurther", "all CPUs", "of\nCPUs")
    table = format_table(rows, columns)
    parts.append(f"{underlined('A flush of one page')}\n{table}")
    return "\n\n".join(parts) + "\n\n" + notes(_SHOOTDOWN_NOTES[0 if cases else 2 :])


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
    parts = ["\n".join(benchmark_header(_CEILING_TITLE, command, [flushes], ntimes))]
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
    return "\n\n".join(parts) + "\n\n" + notes(_CEILING_NOTES[0 if published else 1 :])


def _from(pages: int | None) -> str:
    return "at no size tried" if pages is None else f"from {pages} pages on"


def _one_of_each(results: Sequence[ResultFrames]) -> list[ResultFrames]:
    return list({name_of(r.scenario.machine): r for r in results}.values())


# The figures of a machine that was simulated with as many CPUs as the figure has.
def _cases(
    times: Mapping[str, Mapping[int, Mapping[str, CallTimes]]],
    published: Sequence[PublishedFigure],
    lost: Sequence[PublishedFigure],
    between: Mapping[str, Sequence[Mapping[int, float]]],
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for machine, case in dict.fromkeys((f.machine, f.case) for f in published):
        figures = {int(f.figure): f for f in published if (f.machine, f.case) == (machine, case)}
        pages = _pages(case)
        flushes = {n: t[pages].mean_ns for n, t in times.get(machine, {}).items() if pages in t}
        if not figures.keys() <= flushes.keys():
            continue
        rows.append((f"{machine}: {case}, by threads",))
        rest_ns = figures[1].ns - flushes[1]
        for n, figure in figures.items():
            cells = against(figure, rest_ns + flushes[n])
            low_high = [
                format_ns(round(figures[1].ns - by_cpus[1] + by_cpus[n]))
                for by_cpus in between.get(machine, ())
                if n > 1
            ]
            rows.append((f"  {n}", *cells, " to ".join(low_high)))
    for machine in dict.fromkeys(f.machine for f in lost):
        two = times.get(machine, {}).get(2, {})
        rows += [(f"{machine}: {lost[0].case}, by pages",)] * bool(two)
        for f in lost:
            if f.machine == machine and f.figure in two:
                cells = against(f, two[f.figure].handler_ns)
                rows.append((f"  {f.figure}", *cells, ""))
    return rows


def _pages(case: str) -> str:
    return next((word for word in case.split() if word.isdigit()), "1")


def _row(machine: str, by_cpus: Mapping[int, Mapping[str, CallTimes]]) -> tuple[str, ...]:
    ns = {n: t["1"].mean_ns for n, t in by_cpus.items()}
    most = max(ns)
    further = (ns[most] - ns[2]) / (most - 2) if most > 2 else None
    first = ns[2] - ns[1] if most > 1 else None
    return (
        machine,
        format_ns(round(ns[1])),
        format_ns(None if first is None else round(first)),
        format_ns(None if further is None else round(further)),
        format_ns(round(ns[most])),
        format_count(most),
    )
