# SPDX-License-Identifier: MIT
"""
Agreement and time
------------------

Nothing is timed before all implementations agree on it.  Times are CPU time of
the thread, in rounds that are interleaved, so that what disturbs the machine
disturbs all alike; medians of them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.work import Implementation, Outcome, Work, differences

__all__ = ("Cost", "DisagreementError", "agree", "costs", "interleaved", "lower_cpus", "seconds")

#: Most flushes of a task, where few CPUs answer.
_MOST_FLUSHES = 10_000


class DisagreementError(Exception):
    """Two implementations have different answers."""


@dataclass(frozen=True)
class Cost:
    """
    What an implementation costs.

    ``marginal_ns`` is (time at N CPUs - time at the fewest) / calls in between,
    ``whole_ns`` is time / calls, both medians over the rounds.
    """

    cpus: int
    tasks: int
    flushes: int
    marginal_ns: float
    whole_ns: float
    rounds: tuple[tuple[float, float], ...]  # both of them, in seconds

    def plain(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def agree(implementations: Sequence[Implementation], work: Work) -> None:
    """Let all carry out some work, and compare; :raises DisagreementError: if one differs."""
    first: tuple[str, Outcome] | None = None
    for implementation in implementations:
        prepared = implementation.prepare(work, checked=True)
        prepared.run()
        outcome = prepared.outcome()
        if first is None:
            first = implementation.name, outcome
            continue
        found = differences(first[1], outcome)
        if found:
            raise DisagreementError(
                f"{implementation.name} and {first[0]} differ in {', '.join(found)}: {work}"
            )


def seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of a call."""
    gc.collect()
    before_ns = time.thread_time_ns()
    run()
    return (time.thread_time_ns() - before_ns) / 1e9


def interleaved(nr_rounds: int, measures: Sequence[Callable[[], float]]) -> list[tuple[float, ...]]:
    """Return the values of every measure, each taken once a round."""
    rounds = [[measure() for measure in measures] for _ in range(nr_rounds)]
    return list(zip(*rounds, strict=True))


def lower_cpus(tasks: int) -> int:
    """Return the fewest CPUs to compare with: one that only answers."""
    return tasks + 1


def costs(
    implementations: Sequence[Implementation],
    machine: str,
    cpus: int,
    tasks: int,
    nr_rounds: int,
    effort: float,
) -> dict[str, Cost]:
    """Return what each implementation costs on one machine; ``effort`` scales the work."""
    flushes = [
        max(2, min(_MOST_FLUSHES, int(effort * one.csds / (tasks * (cpus - 1)))))
        for one in implementations
    ]
    low = lower_cpus(tasks)

    def measure(one: Implementation, nr: int, nr_cpus: int) -> Callable[[], float]:
        work = Work(machine, nr_cpus, tasks, nr)
        return lambda: seconds(one.prepare(work, checked=False).run)

    measures = [
        measure(one, nr, nr_cpus)
        for one, nr in zip(implementations, flushes, strict=True)
        for nr_cpus in (cpus, low)
    ]
    taken = interleaved(nr_rounds, measures)
    found = {}
    for i, (one, nr) in enumerate(zip(implementations, flushes, strict=True)):
        rounds = tuple(zip(taken[2 * i], taken[2 * i + 1], strict=True))
        between = tasks * nr * (cpus - low)
        found[one.name] = Cost(
            cpus=cpus,
            tasks=tasks,
            flushes=nr,
            marginal_ns=median(high_s - low_s for high_s, low_s in rounds) / between * 1e9,
            whole_ns=median(high_s for high_s, _ in rounds) / (tasks * nr * (cpus - 1)) * 1e9,
            rounds=rounds,
        )
    return found
