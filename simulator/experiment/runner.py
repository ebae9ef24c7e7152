# SPDX-License-Identifier: MIT
"""
Running cells, wherever
-----------------------

A runner takes cells from a store, simulates the others in this process, in
processes beside it, or through any executor, and keeps each in the store as
soon as it ends. What ends the process that simulates it is found by sending what was
under way once more, one by one: it fails alone, and the others go on. Which of these
it was cannot be told from a cell.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import ExitStack
from typing import Self

from simulator.errors import InputError
from simulator.experiment.cell import Cell, decode, failed_cell, simulate_cell
from simulator.experiment.code import code_key
from simulator.experiment.estimate import size_of
from simulator.experiment.store import Store
from simulator.experiment.travel import Parcel, pack, simulate_parcels
from simulator.experiment.workers import START_S, check_jobs, most_jobs, process_pool
from simulator.scenario import Scenario

__all__ = ("Runner",)

# How long a task of an executor should be, so that sending it is nothing beside it.
_TASK_S = 1.0
# Tasks that an executor has at a time, for each CPU that it may have.
_AHEAD = 2

Batch = tuple[int, ...]
Answer = Future[tuple[list[bytes], float]]


class Runner:
    """
    Simulates cells; a context, since it may have processes to end.

    ``jobs`` simulate at a time, ``None``: as many as pay; an ``executor`` takes the
    place of processes of our own, with so many ``workers``, and is left running.
    Without ``check``, runs are not held against what must hold.  ``progress`` is called
    after every cell.  What had to be noticed (a damaged file) is in ``notices``.
    """

    def __init__(
        self,
        *,
        jobs: int | None = 1,
        executor: Executor | None = None,
        workers: int | None = None,
        store: Store | None = None,
        check: bool = True,
        progress: Callable[[], object] | None = None,
    ) -> None:
        if jobs is not None:
            check_jobs(jobs)
        self.notices: list[str] = []
        self._jobs = jobs
        self._executor = executor
        self._own = executor is None
        self._workers = workers or os.cpu_count() or 1
        self._store = store
        self._check = check
        self._progress = progress
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]  # passed on as they come

    def run(
        self, scenarios: Sequence[Scenario], *, quietly: bool = False
    ) -> Iterator[tuple[int, Cell]]:
        """
        Yield the cells of scenarios with their places, as they are done.

        `quietly`: what was not asked for makes no progress.
        """
        wanted: list[int] = []
        for i, scenario in enumerate(scenarios):
            cell = self._stored(scenario)
            if cell is None:
                wanted.append(i)
            else:
                self._done(quietly=quietly)
                yield i, cell
        for i, cell in self._simulated(scenarios, wanted):
            if self._store is not None:
                self._store.put(cell)
            self._done(quietly=quietly)
            yield i, cell

    def _stored(self, scenario: Scenario) -> Cell | None:
        if self._store is None:
            return None
        cell, notice = self._store.get(scenario)
        if notice:
            self.notices.append(f"store: {notice}")
        return cell

    def _done(self, *, quietly: bool) -> None:
        if self._progress is not None and not quietly:
            self._progress()

    def _simulated(
        self, scenarios: Sequence[Scenario], wanted: Sequence[int]
    ) -> Iterator[tuple[int, Cell]]:
        left = list(wanted)
        pace: float | None = None
        while left and self._executor is None:
            if self._jobs != 1 and self._pays([scenarios[i] for i in left], pace):
                self._start(len(left))
                break
            i = left.pop(0)
            begin = time.perf_counter()
            cell = simulate_cell(scenarios[i], check=self._check)
            # The first ones include what is compiled once.
            pace = _paced(pace, time.perf_counter() - begin, [scenarios[i]])
            yield i, cell
        if self._executor is not None:
            yield from self._sent(scenarios, left, pace)

    def _pays(self, scenarios: Sequence[Scenario], pace: float | None) -> bool:
        jobs = min(most_jobs(), len(scenarios)) if self._jobs is None else self._jobs
        if jobs < 2 or len(scenarios) < 2:
            return False
        if self._jobs is not None:
            return True
        if pace is None:
            return False
        work_s = pace * sum(map(size_of, scenarios))
        return work_s > work_s / jobs + START_S

    def _start(self, number: int) -> None:
        self._workers = min(most_jobs() if self._jobs is None else self._jobs, number)
        self._executor = self._stack.enter_context(process_pool(self._workers))

    def _sent(
        self, scenarios: Sequence[Scenario], wanted: Sequence[int], pace: float | None
    ) -> Iterator[tuple[int, Cell]]:
        queue = list(wanted)
        # One of them ended the process that had it.
        suspects: list[int] = []
        running: dict[Answer, Batch] = {}
        code = code_key()

        def send(batch: Batch) -> None:
            parcels: list[Parcel] = [pack(scenarios[i]) for i in batch]
            assert self._executor is not None  # noqa: S101 - or nothing would be sent
            answer = self._executor.submit(simulate_parcels, parcels, code, check=self._check)
            running[answer] = batch

        try:
            while queue or suspects or running:
                if suspects and not running:
                    send((suspects.pop(0),))
                while queue and not suspects and len(running) < _AHEAD * self._workers:
                    batch = _batch(scenarios, queue, pace)
                    del queue[: len(batch)]
                    send(batch)
                for answer in wait(running, return_when=FIRST_COMPLETED).done:
                    batch = running.pop(answer)
                    error = _error_of(answer)
                    if error is None:
                        data, took = answer.result()
                        pace = _paced(pace, took, [scenarios[i] for i in batch])
                        for i, of in zip(batch, data, strict=True):
                            yield i, decode(of, scenarios[i])
                        continue
                    if isinstance(error, BrokenExecutor):
                        # With it went all that was under way.
                        self._restart(error)
                        batch += tuple(i for others in running.values() for i in others)
                        running.clear()
                    if len(batch) == 1:
                        text = f"{type(error).__name__}: the worker was lost"
                        yield batch[0], failed_cell(scenarios[batch[0]], text, lost=True)
                    else:
                        suspects += batch
                    if not running:
                        break
        finally:
            for answer in running:
                answer.cancel()

    def _restart(self, error: BrokenExecutor) -> None:
        if not self._own:
            raise InputError(f"executor: has lost a process ({type(error).__name__})") from None
        self._executor = self._stack.enter_context(process_pool(self._workers))


# What ended a batch, if anything; raised, where that is not the batch's doing.
def _error_of(answer: Answer) -> BaseException | None:
    if answer.cancelled():
        return CancelledError()
    error = answer.exception()
    # Other code there, an interrupt.
    if isinstance(error, InputError) or not isinstance(error, Exception | None):
        raise error
    return error


# Seconds for a unit of size, the least that was seen.
def _paced(pace: float | None, took: float, scenarios: Sequence[Scenario]) -> float:
    found = took / sum(map(size_of, scenarios))
    return found if pace is None else min(pace, found)


# The next scenarios, about a second of them; one, while nobody knows how long that takes.
def _batch(scenarios: Sequence[Scenario], queue: Sequence[int], pace: float | None) -> Batch:
    if pace is None:
        return (queue[0],)
    batch: list[int] = []
    seconds = 0.0
    for i in queue:
        batch.append(i)
        seconds += pace * size_of(scenarios[i])
        if seconds >= _TASK_S:
            break
    return tuple(batch)
