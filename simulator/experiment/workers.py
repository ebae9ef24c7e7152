# SPDX-License-Identifier: MIT
"""
Simulating in processes beside each other
-----------------------------------------

Long simulations run beside each other in processes of their own, of which only
the totals come back.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.experiment.estimate import LITTLE_FOLIOS, measured_pace, size_of
from simulator.fields import Between
from simulator.run import simulate
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from simulator.analysis.frames import Totals

__all__ = (
    "START_S",
    "check_jobs",
    "default_jobs",
    "most_jobs",
    "process_pool",
    "simulate_totals",
)

Progress = Callable[[], object]

_MAX_JOBS = 1024
# What processes have to save. Their start takes less (imports, compiled code from its cache), but
# on CPUs that others use they save little, and the first simulation is slower than the rest.
START_S = 3.0
# Memory for one simulation of half a million pages, generously.
_JOB_BYTES = 2 << 30


def check_jobs(jobs: int) -> None:
    """Raise InputError unless so many simulations can run at a time."""
    try:
        Between(1, _MAX_JOBS)(jobs)
    except InputError as error:
        raise InputError(f"jobs: {error}") from None


def default_jobs(scenarios: Sequence[Scenario]) -> int:
    """
    Return how many simulations should run at a time.

    As many as CPUs and memory allow, where all there is to do pays for starting
    them; that is measured, unless there is little.
    """
    jobs = min(most_jobs(), len(scenarios))
    if jobs < 2 or sum(map(size_of, scenarios)) < LITTLE_FOLIOS:
        return 1
    seconds = measured_pace(scenarios).seconds(scenarios)
    return jobs if seconds > seconds / jobs + START_S else 1


def most_jobs() -> int:
    """Return how many simulations this machine can run at a time."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(len(os.sched_getaffinity(0)), memory_bytes // _JOB_BYTES))


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
    with process_pool(min(jobs, len(scenarios))) as workers:
        with _interrupts_held():
            futures = [workers.submit(_totals, scenario) for scenario in scenarios]
        yield (future.result() for future in as_completed(futures))


def _totals(scenario: Scenario) -> Totals:
    from simulator.analysis.frames import Totals

    return Totals.of(simulate(scenario))


@contextmanager
def process_pool(number: int) -> Iterator[Executor]:
    """Yield an executor of processes that end with this one, whatever ends it."""
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
    # What a user's kernel prints must not stand in the middle of a report.
    sys.stdout = sys.stderr
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
