# SPDX-License-Identifier: MIT
"""
The event queue
---------------

:class:`Timeline` is a SimPy environment whose time is an event key (see
:mod:`simulator.engine.keys`).  All waiting is until an absolute key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from simpy.core import Environment
from simpy.events import Event, Timeout

from simulator.engine.keys import KEY_BITS, MAX_NS, TOO_LONG
from simulator.errors import InputError

if TYPE_CHECKING:
    from simulator.engine.task import Lock, Task

__all__ = ("Signal", "Timeline")

#: Before a task runs: kernel code is run by tasks only.
_NO_TASK: Final = cast("Task", None)

_END: Final = (MAX_NS + 1) << KEY_BITS


class Timeline(Environment):
    """A SimPy environment that counts in event keys; ``current`` is the task that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.current: Task = _NO_TASK
        self.tasks: list[Task] = []  # of the present phase that have not ended
        self.watchers: list[Callable[[Task], None]] = []  # told of the task that goes on
        self.locks: list[Lock] = []  # all there are

    def resumes(self, task: Task) -> None:
        """Note the task that goes on now."""
        self.current = task
        for watcher in self.watchers:
            watcher(task)

    def disturb(self) -> None:
        """Something was scheduled: before it meets, the task that runs has to look again."""
        if self.current is not _NO_TASK:
            self.current.clear_ns = 0

    def at(self, event_key: int) -> Any:
        """Return an event that happens at a key; the key must not be in the past."""
        if event_key >= _END:
            raise InputError(TOO_LONG)
        return Timeout(self, event_key - self.now)

    def promise(self) -> Any:
        """Return an event that somebody else lets happen, for the running task to wait for."""
        return Event(self)

    @property
    def pending(self) -> Sequence[tuple[int | float, int, Any, Any]]:
        """The pending events, a heap by key; peek() is too slow for every meeting."""
        return self._queue


class Signal(Event):
    """An event that is waited for before it is known when it will happen."""

    env: Timeline

    def send(self, event_key: int, value: Any) -> None:
        """Let the event happen at a key, or now if that is past, with a value."""
        self._ok = True
        self._value = value
        self.env.disturb()
        # What Timeout does in its constructor, for an event that exists already.
        self.env.schedule(self, delay=max(0, event_key - self.env.now))
