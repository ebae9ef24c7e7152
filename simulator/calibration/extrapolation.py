# SPDX-License-Identifier: MIT
"""
The time of many pages from runs of few
---------------------------------------

A phase of half a million folios is simulated with a few thousand and extrapolated.

Modelled: two runs differ by whole blocks, a block being one PMD's worth of folios
on every NUMA node, so that splits, nodes and the rest of the division are those of
the full size; the time per block of their difference is added up.  What happens as
often in both runs (the broadcasts of a static key, a grace period, the flushes of a
batched kernel) is of the phase, not of its folios: it is taken out before and added
once, as the longer run had it, so that a vCPU that was preempted just then delays
the extrapolated phase once as well.  The last-level cache is as of the full size,
see :mod:`simulator.experiment.few_pages`.

Not modelled: whatever sets in above the size that is simulated.  Counting the users
of a static key, an atomic for each folio, goes with its broadcasts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.analysis.frames import ResultTotals, records
from simulator.geometry import PageSize, folios_of_pmd
from simulator.machine import Machine

__all__ = ("PhaseTime", "Setting", "extrapolated_ns", "phase_times", "sizes")

# Folios between the two runs. 2M: about 0.3 s of host time with 252 CPUs and a flush for each.
_FOLIOS = {"2M": 4096, "1G": 64}
# What may happen as often in both runs, by the names of its counts, and where its time goes.
_COUNTED = {
    "flushes": ("flush_enqueue", "flush_send", "flush_local", "flush_wait"),
    "other_broadcasts": ("static_key",),
    "synchronize_rcu_calls": ("rcu",),
}


@dataclass(frozen=True)
class Setting:
    """What is simulated once for the cells of all its phases."""

    kernel: str
    hvo: bool
    pages: int
    page_size: PageSize


@dataclass(frozen=True)
class PhaseTime:
    """
    What a phase of a run took.

    ``counted`` has by name how often something happened that may not depend on the pages, and
    what it took in all.
    """

    pages: int
    elapsed_ns: int
    counted: Mapping[str, tuple[int, int]]


def phase_times(result: ResultTotals) -> dict[str, PhaseTime]:
    """Return what the phases of a run with one task took, by phase."""
    spent_ns: dict[tuple[str, str], int] = defaultdict(int)
    for row in records(result.time_by):
        spent_ns[row["phase"], row["category"]] += row["ns"]
    counts = {row["phase"]: row for row in records(result.counts)}
    found = {}
    for row in records(result.summary):
        phase = row["phase"]
        numbers = counts[phase] | row
        found[phase] = PhaseTime(
            pages=result.scenario.pages,
            elapsed_ns=row["elapsed_ns"],
            counted={
                name: (numbers[name], sum(spent_ns[phase, category] for category in categories))
                for name, categories in _COUNTED.items()
            },
        )
    return found


def extrapolated_ns(short: PhaseTime, long: PhaseTime, pages: int) -> float:
    """
    Return what a phase takes with more pages than two runs of it had.

    >>> short = PhaseTime(64, 5_000, {"flushes": (2, 4_000)})
    >>> long = PhaseTime(128, 9_000, {"flushes": (2, 7_000)})  # a CPU was slow to answer
    >>> extrapolated_ns(short, long, 640)
    17000.0
    """
    if pages == long.pages:
        return long.elapsed_ns
    once = [name for name, (nr, _) in long.counted.items() if short.counted[name][0] == nr]
    less_ns, more_ns = (
        run.elapsed_ns - sum(run.counted[name][1] for name in once) for run in (short, long)
    )
    each_ns = (more_ns - less_ns) / (long.pages - short.pages)
    return long.elapsed_ns + each_ns * (pages - long.pages)


def sizes(setting: Setting, machine: Machine) -> tuple[int, int]:
    """Return two numbers of pages that differ from the full one by whole blocks."""
    block = folios_of_pmd(setting.page_size) * machine.nr_nodes
    between = -(-_FOLIOS[setting.page_size] // block) * block
    short = setting.pages % block + block
    long = short + between
    return (short, long) if long < setting.pages else (setting.pages, setting.pages)
