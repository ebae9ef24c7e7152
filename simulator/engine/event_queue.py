# SPDX-License-Identifier: MIT
"""
The event queue
---------------

:class:`EventQueue` is a SimPy environment whose time is an event key.
"""

from __future__ import annotations

from typing import Any, cast

from simpy.core import Environment
from simpy.events import Event, Timeout

from simulator.engine.keys import TOO_LONG
from simulator.engine.timeline import END, Pending, Timeline
from simulator.errors import InputError

__all__ = ("EventQueue", "Signal")


class EventQueue(Timeline, Environment):
    """A SimPy environment that counts in event keys."""

    def __init__(self) -> None:
        Environment.__init__(self)
        # peek() is too slow for every meeting.
        Timeline.__init__(self, cast("Pending", self._queue))

    def at(self, event_key: int) -> Any:
        """Return an event that happens at a key; the key must not be in the past."""
        if event_key >= END:
            raise InputError(TOO_LONG)
        return Timeout(self, event_key - self.now)

    def promise(self) -> Any:
        """Return an event that somebody else lets happen, for the running task to wait for."""
        return Signal(self)


class Signal(Event):
    """An event that is waited for before it is known when it will happen."""

    env: EventQueue

    def send(self, event_key: int, value: Any) -> None:
        """
        Let the event happen at a key, with a value.

        Of this nanosecond the key may be past: then it comes next, as keys say what is first.
        """
        self._ok = True
        self._value = value
        self.env.disturb()
        # What Timeout does in its constructor, for an event that exists already.
        self.env.schedule(self, delay=event_key - self.env.now)
