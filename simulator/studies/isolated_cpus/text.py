# SPDX-License-Identifier: MIT
"""
Isolated CPUs, as tables
------------------------
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.analysis.frames import ResultFrames
from simulator.report.header import machine_title, study_lines
from simulator.report.text import (
    format_count,
    format_ns,
    format_table,
    underlined,
    wrapped,
)
from simulator.studies.isolated_cpus import COUNTED, ENTRIES_PER_S, NR_ISOLATED, WAYS, IsolatedCpus
from simulator.studies.isolated_cpus.numbers import Disturbed

__all__ = ("isolated_report",)

_NOTES = (
    "Published: V. Schneider, RFC v4, 6 hours on an E5-2699 with 26 isolated CPUs that stay in"
    " user mode, v6.13-rc6. How many broadcasts there were, 531, is given; that each is one entry"
    " on each isolated CPU, and none with deferral, is what is held against the counts.",
    "HVO's flush_tlb_all() is not deferred by the series: the last row is a what-if. Since v8 a CPU"
    " flushes at every kernel entry, deferred work or not: that is what it pays. Entries per second"
    " are given, not simulated. A flush at an entry is a full flush without refills; published:"
    " getpid() on an E5-2699 took 770 ns, and 1340 with it. How many CPUs the machine has is"
    " assumed.",
)


def isolated_report(
    storms: Mapping[str, Mapping[str, int]],
    found: Sequence[Disturbed],
    runs: Sequence[ResultFrames],
    command: str,
) -> str:
    """Return the tables as plain text, at most 72 columns wide."""
    first = runs[0]
    simulated = (
        f"{machine_title(first)}; {NR_ISOLATED} isolated CPUs; {first.scenario.pages:,} huge pages"
        f" of 2 MB; one task; seed {first.scenario.seed}"
    )
    head = [
        *study_lines(IsolatedCpus.QUESTION, command, simulated, runs),
        wrapped(_answer(found), "answer     "),
    ]
    before, after = (storms[way] for way in list(WAYS)[:2])
    counted = [
        (kind, format_count(nr), format_count(before[kind]), "0", format_count(after[kind]))
        for kind, nr in COUNTED.items()
    ]
    header = ("", "published", "simulated", "deferred:\npublished", "simulated")
    tables = [
        f"{underlined('Entries on isolated CPUs')}\n{format_table(counted, header, 'lrrrr')}",
        *(
            f"{underlined(f'{phase}: an isolated CPU loses, by its kernel entries')}\n"
            f"{_table(found, phase)}"
            for phase in dict.fromkeys(row.phase for row in found)
        ),
    ]
    notes = "\n".join(wrapped(note) for note in _NOTES)
    return "\n\n\n".join(["\n".join(head), *tables, notes]) + "\n"


def _rows(found: Sequence[Disturbed], way: str, phase: str) -> list[Disturbed]:
    return [row for row in found if (row.way, row.phase) == (way, phase)]


def _answer(found: Sequence[Disturbed]) -> str:
    posted, all_ = (_rows(found, way, "alloc")[0] for way in list(WAYS)[1:])
    bare = _rows(found, "not deferred", "alloc")[0]
    return (
        "an isolated CPU in user mode is interrupted"
        f" {format_count(bare.interrupts / NR_ISOLATED)} times by a fill,"
        f" {format_count(posted.interrupts / NR_ISOLATED)} times with the deferral as posted and"
        f" {format_count(all_.interrupts / NR_ISOLATED)} times if HVO's flushes were deferred too;"
        f" it loses {format_ns(bare.lost_ns)}, {format_ns(posted.lost_ns)} and"
        f" {format_ns(all_.lost_ns)}, and a flush at each kernel entry."
    )


def _table(found: Sequence[Disturbed], phase: str) -> str:
    rows = []
    for way in WAYS:
        of_way = _rows(found, way, phase)
        rows.append(
            (
                way,
                format_count(of_way[0].interrupts / NR_ISOLATED),
                *(format_ns(row.lost_ns) for row in of_way),
            )
        )
    header = ("", "interrupts", *(f"{entries:,}/s" for entries in ENTRIES_PER_S))
    return format_table(rows, header, "l" + "r" * (len(header) - 1))
