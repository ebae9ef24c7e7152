# SPDX-License-Identifier: MIT
"""
Tasks that take turns
---------------------

The compiled engine needs no process and no event of SimPy: what is pending is a heap of
keys with the tasks whose turn it is then, in the order of :mod:`simulator.engine.timeline`,
and tasks switch to each other directly.  A task that is next itself does not switch at all;
nor does one that would only find that it has to wait on: whoever gives way asks in its
place whether it goes on (:data:`Goes`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from heapq import heappop, heappush
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from simulator.engine.compiled.flat.state import NEVER
from simulator.engine.keys import KEY_BITS, MAX_NS, TOO_LONG
from simulator.engine.task import Task
from simulator.engine.timeline import Timeline
from simulator.errors import InputError

__all__ = ("Ahead", "Goes", "TurnTask", "Turns", "goes")

#: Whether a task goes on when it is its turn, at a key; if not, it has another turn, or waits.
Goes = Callable[[Any, int], bool]


def goes(task: TurnTask, event_key: int) -> bool:  # noqa: ARG001 - as others
    """Go on, whatever has happened."""
    return True


class Ahead:
    """What else happens: nothing, where ``next_key`` is 0, or something next at that key."""

    def __init__(self) -> None:
        self.next_key = 0

    def advance(self, until_key: int) -> tuple[int, TurnTask] | None:  # noqa: ARG002
        """Let happen what comes before a key, up to a task that goes on, and at which key."""
        return None


class Turns(Timeline):
    """A timeline without SimPy's events; ``ahead`` is asked for what comes before a turn."""

    def __init__(self) -> None:
        # The last is never taken: there always is a first.
        super().__init__([(NEVER, 0, None, None)])
        self.now = 0  # an event key
        self._nr = 0
        self.ahead = Ahead()

    def push(self, event_key: int, task: Task, goes_on: Goes = goes) -> None:
        """Give a task a turn at a key; of equal ones, the first that was pushed is first."""
        if event_key >> KEY_BITS > MAX_NS:
            raise InputError(TOO_LONG)
        self._nr += 1
        heappush(self.pending, (event_key, self._nr, task, goes_on))

    def follow(self, ended: tuple[int, TurnTask] | None) -> None:
        """Give a task a turn that goes on, as Ahead.advance() says, if there is one."""
        if ended is not None:
            self.push(max(ended[0], self.now), ended[1])
            self.disturb()

    def at(self, event_key: int) -> Any:
        """Give the running task a turn at a key."""
        self.push(event_key, self.current)

    def promise(self) -> Any:
        """Nothing: who lets the running task go on gives it a turn."""

    def begin(self, task: TurnTask, body: Callable[[], object]) -> None:
        """Let a task begin, after those that have begun before."""
        task.prepare(body)
        self.push(self.now, task)

    def take(self) -> TurnTask | None:
        """Take turns up to that of a task that goes on; None if there is none left."""
        heap, ahead = self.pending, self.ahead
        task: TurnTask
        while True:
            event_key = heap[0][0]
            if 0 < ahead.next_key < event_key:
                if (ended := ahead.advance(event_key)) is not None:
                    if ended[0] >= self.now:
                        self.now, task = ended
                        return task
                    self.follow(ended)
            elif len(heap) == 1:
                return None
            else:
                _, _, task, goes_on = heappop(heap)
                self.now = event_key
                if goes_on(task, event_key):
                    return task

    def run(self) -> None:
        """Let tasks go on until nothing is left to happen."""
        while (task := self.take()) is not None:
            ended = task.switch()
            # Raised by kernel code, this would be no error to greenlet, but a way to end well.
            if isinstance(ended, GreenletExit):
                raise ended


class TurnTask(Task):
    """A task that switches to the next one where it waits."""

    __slots__ = ("_turns", "switch")

    def __init__(self, turns: Turns, cpu: Any, number: int) -> None:
        super().__init__(turns, cpu, number)
        self._turns = turns
        self.switch: Callable[[], object]  #: to its greenlet

    def prepare(self, body: Callable[[], object]) -> None:
        """Make the greenlet of a body."""

        def begin() -> object:
            self._turns.resumes(self)
            return body()

        runner = self._runner = greenlet(begin)
        # As a function that is called: with the caller's numpy.errstate, for one.
        runner.gr_context = copy_context()
        self.switch = runner.switch
        self._driver = getcurrent()

    def wait(self, event: Any) -> Any:  # noqa: ARG002 - as any task; its turn is pending
        """Let others go on until it is the turn of this one."""
        self.clear_ns = 0
        turns = self._turns
        task = None if self._runner is None else turns.take()
        if task is not self:
            if task is None:
                self._driver.switch()
            else:
                task.switch()
            turns.current = self
            for watcher in turns.watchers:
                watcher(self)
        first, next_key = turns.pending[0][0], turns.ahead.next_key
        self.clear_ns = (next_key if 0 < next_key < first else first) >> KEY_BITS
