# SPDX-License-Identifier: MIT
"""
Tasks that take turns
---------------------

The compiled engine needs no process and no event of SimPy: what is pending is a heap of
keys with the tasks that go on then, in the order of :mod:`simulator.engine.timeline`, and
tasks switch to each other directly.  A task that is next itself does not switch at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from heapq import heappop, heappush
from typing import Any, Final, Protocol, cast

from greenlet import GreenletExit, getcurrent, greenlet

from simulator.engine.compiled.flat.state import NEVER
from simulator.engine.keys import KEY_BITS, MAX_NS, TOO_LONG
from simulator.engine.task import Task
from simulator.engine.timeline import Timeline
from simulator.errors import InputError

__all__ = ("Turn", "TurnTask", "Turns")

_END: Final = (MAX_NS + 1) << KEY_BITS


class _Ahead(Protocol):
    # What else happens, up to a key.

    next_key: int

    def advance(self, until_key: int) -> None: ...


class Turn:
    """What a task waits for."""

    __slots__ = ("_turns", "task")

    def __init__(self, turns: Turns, task: TurnTask) -> None:
        self._turns = turns
        self.task = task

    def succeed(self, value: object) -> None:
        """Let the task go on now, with a value."""
        self._turns.push(int(self._turns.now), self, value)

    def send(self, event_key: int, value: object) -> None:
        """Let the task go on at a key, or now if that is past, with a value."""
        self._turns.disturb()
        self._turns.push(max(event_key, int(self._turns.now)), self, value)


class Turns(Timeline):
    """A timeline without SimPy's events; ``ahead`` is asked for what comes before a turn."""

    current: TurnTask

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[int, int, Turn, object]] = []
        self._nr = 0
        self.ahead: _Ahead | None = None

    @property
    def pending(self) -> Sequence[tuple[int | float, int, Any, Any]]:
        """The pending turns, a heap by key."""
        return self._heap

    def push(self, event_key: int, turn: Turn, value: object) -> None:
        """Let a task go on at a key; of equal ones, the first that was pushed is first."""
        self._nr += 1
        heappush(self._heap, (event_key, self._nr, turn, value))

    def at(self, event_key: int) -> Turn:
        """Return a turn of the running task at a key."""
        if event_key >= _END:
            raise InputError(TOO_LONG)
        turn: Turn = self.current.turn
        self._nr += 1
        heappush(self._heap, (event_key, self._nr, turn, None))  # as push(), without a call
        return turn

    def promise(self) -> Turn:
        """Return a turn of the running task that somebody else gives it."""
        return Turn(self, self.current)

    def begin(self, task: TurnTask, body: Callable[[], object]) -> None:
        """Let a task begin, after those that have begun before."""
        task.prepare(body)
        self.push(int(self.now), task.turn, None)

    def take(self) -> tuple[TurnTask, object] | None:
        """Take the next turn: the task, and its value; None if there is none left."""
        heap, ahead = self._heap, self.ahead
        if ahead is not None:
            while ahead.next_key < (first := heap[0][0] if heap else NEVER):
                ahead.advance(first)
        if not heap:
            return None
        self._now, _, turn, value = heappop(heap)
        return turn.task, value

    def run(self, until: object = None) -> None:  # noqa: ARG002 - as SimPy's
        """Let tasks go on until nothing is left to happen."""
        while (turn := self.take()) is not None:
            task, value = turn
            ended = task.runner.switch(value)
            # Raised by kernel code, this would be no error to greenlet, but a way to end well.
            if isinstance(ended, GreenletExit):
                raise ended


class TurnTask(Task):
    """A task that switches to the next one where it waits."""

    __slots__ = ("_turns", "turn")

    def __init__(self, turns: Turns, cpu: Any, number: int) -> None:
        super().__init__(turns, cpu, number)
        self._turns = turns
        self.turn = Turn(turns, self)

    @property
    def runner(self) -> greenlet:
        """Its greenlet, until it is abandoned."""
        return cast("greenlet", self._runner)

    def prepare(self, body: Callable[[], object]) -> None:
        """Make the greenlet of a body."""

        def begin(_: object) -> object:
            self._turns.resumes(self)
            return body()

        runner = self._runner = greenlet(begin)
        # As a function that is called: with the caller's numpy.errstate, for one.
        runner.gr_context = copy_context()
        self._driver = getcurrent()

    def wait(self, event: Any) -> Any:  # noqa: ARG002 - as any task; its turn is pending
        """Let others go on until it is the turn of this one; return its value."""
        self.clear_ns = 0
        turn = None if self._runner is None else self._turns.take()
        if turn is None:
            value = self._driver.switch()
        elif turn[0] is self:
            return turn[1]
        else:
            value = turn[0].runner.switch(turn[1])
        self._turns.resumes(self)
        return value
