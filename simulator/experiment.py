# SPDX-License-Identifier: MIT
"""
Experiments: scenarios run several times
----------------------------------------

Replications of a scenario differ in nothing but the draws.  Replication *i* of
every scenario meets the same noise, so scenarios are compared in pairs.

Long simulations run beside each other in processes of their own, of which only
the totals come back.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.fields import MAX_REPLICATION, Between
from simulator.run import simulate
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from simulator.analysis.compare import Comparison
    from simulator.analysis.frames import Totals
    from simulator.run import Result

__all__ = (
    "check_comparable",
    "check_jobs",
    "check_replications",
    "compare",
    "compared",
    "default_jobs",
    "replicate",
    "simulate_all",
    "simulate_totals",
)

Progress = Callable[[], object]

_MAX_JOBS = 1024
# From here on, a simulation takes longer than to start a process for it.
_LONG_PAGES = 4096
# Memory for one simulation of half a million pages, generously.
_JOB_BYTES = 2 << 30


def compare(
    scenarios: Sequence[Scenario], replications: int = 10, progress: Progress | None = None
) -> Comparison:
    """
    Compare scenarios with the first of them, over replications 0, 1, ... of each.

    ``progress`` is called after every simulation.
    """
    check_comparable(scenarios, replications)
    return compared(list(replicate(scenarios, replications, progress)))


def check_comparable(scenarios: Sequence[Scenario], replications: int) -> None:
    """Raise InputError unless scenarios can be compared in pairs."""
    if len(scenarios) < 2:
        raise InputError(f"compare: needs two scenarios or more, not {len(scenarios)}")
    first = scenarios[0]
    for name in ("seed", "phases"):
        for scenario in scenarios[1:]:
            if getattr(scenario, name) != getattr(first, name):
                raise InputError(f"compare: scenarios must have the same {name}")
    check_replications(replications)


def check_replications(replications: int) -> None:
    """Raise InputError unless there can be so many replications."""
    _check("replications", replications, MAX_REPLICATION + 1)


def check_jobs(jobs: int) -> None:
    """Raise InputError unless so many simulations can run at a time."""
    _check("jobs", jobs, _MAX_JOBS)


def _check(name: str, value: int, most: int) -> None:
    try:
        Between(1, most)(value)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def default_jobs(scenarios: Sequence[Scenario]) -> int:
    """Return how many simulations should run at a time: as many as CPUs and memory allow."""
    if max((s.pages for s in scenarios), default=0) < _LONG_PAGES:
        return 1
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(len(os.sched_getaffinity(0)), memory_bytes // _JOB_BYTES))


def simulate_all(
    scenarios: Iterable[Scenario], progress: Progress | None = None
) -> Iterator[Result]:
    """Yield the result of each scenario; ``progress`` is called after every simulation."""
    for scenario in scenarios:
        result = simulate(scenario)
        if progress is not None:
            progress()
        yield result


def simulate_totals(
    scenarios: Sequence[Scenario], jobs: int = 1, progress: Progress | None = None
) -> Iterator[Totals]:
    """
    Yield the totals of the scenarios, in the order in which they are done.

    Each of ``jobs`` processes simulates one scenario at a time, and is spawned: a script
    that asks for more than one has to guard its main code. ``progress`` is called after
    every simulation.
    """
    with _simulated(scenarios, jobs) as done:
        for totals in done:
            if progress is not None:
                progress()
            yield totals


@contextmanager
def _simulated(scenarios: Sequence[Scenario], jobs: int) -> Iterator[Iterator[Totals]]:
    if jobs == 1 or len(scenarios) < 2:
        yield map(_totals, scenarios)
        return
    with _workers(min(jobs, len(scenarios))) as workers:
        with _interrupts_held():
            futures = [workers.submit(_totals, scenario) for scenario in scenarios]
        yield (future.result() for future in as_completed(futures))


def _totals(scenario: Scenario) -> Totals:
    from simulator.analysis.frames import Totals

    return Totals.of(simulate(scenario))


@contextmanager
def _workers(number: int) -> Iterator[Executor]:
    # The other end of the leash is held by the workers alone. They end with it, in the middle
    # of a simulation if need be: after an interrupt, and when this process is killed.
    context = multiprocessing.get_context("spawn")
    theirs, leash = context.Pipe(duplex=False)
    with theirs, leash:
        workers = ProcessPoolExecutor(number, context, _follow, (theirs,))
        try:
            yield workers
        except BaseException:
            leash.close()
            raise
        finally:
            workers.shutdown(cancel_futures=True)


def _follow(leash: Connection) -> None:
    threading.Thread(target=_exit_after, args=(leash,), daemon=True).start()


def _exit_after(leash: Connection) -> None:
    with suppress(EOFError):
        leash.recv()
    os._exit(1)


# A process started meanwhile never sees an interrupt, which is for the one that started it.
@contextmanager
def _interrupts_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def replicate(
    scenarios: Sequence[Scenario], replications: int, progress: Progress | None = None
) -> Iterator[list[Result]]:
    """
    Yield for each replication the results of all scenarios.

    Replications come one after another, so that one who stops early has whole pairs.
    """
    for replication in range(replications):
        yield list(simulate_all([s.replace(replication=replication) for s in scenarios], progress))


def compared(replications: Sequence[Sequence[Result]]) -> Comparison:
    """Return the comparison over what :func:`replicate` yielded."""
    from simulator.analysis.compare import compare_results

    return compare_results(list(zip(*replications, strict=True)))
