# SPDX-License-Identifier: MIT
"""
Flushes by the number of CPUs
-----------------------------

What one more CPU costs, beside the published figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.analysis.benchmarks import CallTimes, call_times
from simulator.analysis.frames import ResultFrames, name_of
from simulator.published.benchmarks import PublishedFigure
from simulator.report.benchmark_text import against, benchmark_header, notes
from simulator.report.text import format_count, format_ns, format_table, underlined

__all__ = ("shootdown_report",)

_NOTES = (
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
    return "\n\n".join(parts) + "\n\n" + notes(_NOTES[0 if cases else 2 :])


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
