# SPDX-License-Identifier: MIT
"""
Events of what CPUs without a task do
-------------------------------------

Idle, preempted by the host, or with interrupts off: a function of CPU and time alone,
so that these events are made as they are asked for.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Protocol

from simulator.trace.exchange.broadcasts import cpu_track
from simulator.trace.exchange.events import Event, InOrder, What

__all__ = ("SpellEvents", "Table")


class Table(Protocol):
    """The spells of one kind, at most one of a CPU in a frame of time."""

    @property
    def frame_ns(self) -> int: ...
    @property
    def phase_ns(self) -> tuple[int, ...]: ...
    @property
    def threshold(self) -> int: ...
    def frame(self, frame: int) -> tuple[Any, Any]: ...


class SpellEvents:
    """
    Puts the spells of one kind, those that touch made one.

    :param window: from when to when they are wanted, in nanoseconds.
    :param busy: the CPUs that have a task, which have no spells.
    """

    def __init__(
        self,
        out: InOrder,
        table: Table,
        part: str,
        what: What,
        window: tuple[int, int],
        busy: Container[int],
    ) -> None:
        self._out = out
        self._table = table
        self._part = part
        self._what: What = what
        self._latest_ns = max(table.phase_ns, default=0)
        self._start_ns, self._end_ns = start_ns, _ = window
        # Of some CPU, it may have begun in the frame before.
        self._next = max(0, start_ns // table.frame_ns - 1)
        self._cpus = [cpu for cpu in range(len(table.phase_ns)) if cpu not in busy]
        self._open: dict[int, int] = {}  # by CPU: when its spell will end, as far as is known

    def feed(self, before_ns: int) -> None:
        """Put all that begins or ends before a time."""
        table = self._table
        before_ns = min(before_ns, self._end_ns)
        if not table.threshold:
            return
        while self._next * table.frame_ns - self._latest_ns < before_ns:
            self._frame(self._next)
            self._next += 1

    def finish(self) -> None:
        """Put what there is up to the end of the window, and end what is open then."""
        self.feed(self._end_ns)
        for cpu, until_ns in self._open.items():
            self._put(cpu, min(until_ns, self._end_ns), "end")
        self._open.clear()

    def _frame(self, number: int) -> None:
        table, open_ns = self._table, self._open
        starts, ends = (found.tolist() for found in table.frame(number))
        for cpu in self._cpus:
            at_ns = number * table.frame_ns - table.phase_ns[cpu]
            begin_ns, end_ns = at_ns + starts[cpu], at_ns + ends[cpu]
            there = begin_ns < end_ns and begin_ns < self._end_ns and end_ns > self._start_ns
            before_ns = open_ns.get(cpu)
            if before_ns is not None and not (there and begin_ns == before_ns):
                self._put(cpu, before_ns, "end")
                del open_ns[cpu]
            if there:
                if cpu not in open_ns:
                    self._put(cpu, max(begin_ns, self._start_ns), "begin")
                open_ns[cpu] = end_ns
                if ends[cpu] < table.frame_ns or end_ns >= self._end_ns:
                    self._put(cpu, min(end_ns, self._end_ns), "end")
                    del open_ns[cpu]

    def _put(self, cpu: int, ns: int, kind: Any) -> None:
        track = cpu_track(cpu, self._part)
        self._out.put(Event(ns, kind, self._what, track, self._part, cpu))
