# SPDX-License-Identifier: MIT
"""
What happens when
-----------------

A :class:`Timeline` counts in event keys (see :mod:`simulator.engine.keys`).  All waiting is
until an absolute key.  The events engine has SimPy's
(:mod:`simulator.engine.event_queue`), the compiled one its own
(:mod:`simulator.engine.compiled.turns`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from simulator.engine.keys import KEY_BITS, MAX_NS

if TYPE_CHECKING:
    from simulator.engine.task import Lock, Task

__all__ = ("END", "Pending", "Timeline")

#: Before a task runs: kernel code is run by tasks only.
_NO_TASK: Final[Any] = None

#: The first key that comes too late.
END: Final = (MAX_NS + 1) << KEY_BITS

#: A heap: the key, what is first of equal ones, and what happens.
Pending = list[tuple[int, int, Any, Any]]


class Timeline:
    """What is pending, by event key; ``current`` is the task that runs."""

    def __init__(self, pending: Pending) -> None:
        self.pending = pending
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
        """Return what happens at a key, for the running task to wait for."""
        raise NotImplementedError

    def promise(self) -> Any:
        """Return what somebody else lets happen, for the running task to wait for."""
        raise NotImplementedError
