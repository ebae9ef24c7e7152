# SPDX-License-Identifier: MIT
"""
What happens in a run, one event after another
----------------------------------------------

One stream for all that is written for people and tools to read: slices that begin and
end on a track, instants, counters, and flows between them.  Producers put events in
(:class:`InOrder` sorts them as they come, and keeps only what may still have to wait);
a writer takes them in the order of time::

    tracer, broadcasts  ->  InOrder  ->  Within (a window of time)  ->  a writer

Events of one track are put in the order in which they happen, so that slices nest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from heapq import heappop, heappush
from typing import Final, Literal, NamedTuple

__all__ = ("NOTHING", "Event", "InOrder", "OfCpus", "Take", "Track", "Value", "What", "Within")

#: What an event is about.
What = Literal[
    "phase",  # of the run: alloc, free, ...
    "function",  # of the kernel, as it ran in a task
    "broadcast",  # parts of one: enqueue, send, local, wait
    "csd_queue",  # a csd was enqueued
    "ipi_send",  # an interrupt is about to be sent
    "csd_ack",  # the initiator saw a csd released
    "handler",  # of an interrupt
    "call",  # of a function in a handler
    "wake",  # a CPU leaves a C-state, or comes back from the host
    "irqs_off",
    "preempt_off",
    "idle",
    "preempted",  # the vCPU, by the host
    "lock",  # is held
    "lock_wait",
    "counter",
    "violation",  # of what must hold
]

Value = int | float | str
NOTHING: Final[Mapping[str, Value]] = {}


class Track(NamedTuple):
    """
    Where an event is shown: the track of a CPU, a task, a lock or a counter.

    ``part`` is a track below that of a CPU: ``irqs off``, ``idle``, ...
    """

    group: Literal["run", "CPU", "task", "lock", "counter"]
    name: str
    part: str = ""


class Event(NamedTuple):
    """
    One event; times are nanoseconds of simulated time.

    ``flow`` (-1: none) joins events; ``flow_ends`` marks the last one; ``cut`` one that
    begins or ends only because a window of time does.  ``cpu`` and ``task`` are where it
    happens (-1: nowhere, or not known).  Of a counter, ``args`` has the one value.
    """

    ns: int
    kind: Literal["begin", "end", "instant", "counter"]
    what: What
    track: Track
    name: str
    cpu: int = -1
    task: int = -1
    args: Mapping[str, Value] = NOTHING
    flow: int = -1
    flow_ends: bool = False
    cut: bool = False


Take = Callable[[Event], None]


class InOrder:
    """
    Passes events on in the order of their times.

    What happens at one time goes on in the order in which it was put, and so does
    what was put on one track.
    """

    def __init__(self, take: Take) -> None:
        self._take = take
        self._heap: list[tuple[int, int, Event]] = []
        self._put = 0
        self._feeds: list[Callable[[int], None]] = []

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._heap)

    def feed(self, source: Callable[[int], None]) -> None:
        """Have a source put all its events up to a time, whenever that is to be passed on."""
        self._feeds.append(source)

    def put(self, event: Event) -> None:
        """Take an event, which is passed on later."""
        self._put += 1
        heappush(self._heap, (event.ns, self._put, event))

    def release(self, before_ns: int) -> None:
        """Pass on all that is earlier; nothing will be put any more that is."""
        for feed in self._feeds:
            feed(before_ns)
        heap, take = self._heap, self._take
        while heap and heap[0][0] < before_ns:
            take(heappop(heap)[2])


class OfCpus:
    """Passes on what happens on some CPUs, and what happens on none."""

    def __init__(self, take: Take, cpus: Collection[int]) -> None:
        self._take = take
        self._cpus = frozenset(cpus) | {-1}

    def take(self, event: Event) -> None:
        """Take the next event."""
        if event.cpu in self._cpus:
            self._take(event)


class Within:
    """
    Passes on what lies in a window of time, with slices cut at its sides.

    Call :meth:`finish` when there is nothing more.
    """

    def __init__(self, take: Take, start_ns: int, end_ns: int) -> None:
        self._take = take
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._open: dict[Track, list[Event]] = {}
        self._counters: dict[Track, Event] = {}
        self._started = False
        self._ended = False
        self._last_ns = start_ns

    def take(self, event: Event) -> None:
        """Take the next event."""
        if event.ns < self._start_ns:
            self._remember(event)
            return
        self._start()
        if event.ns > self._end_ns:
            self._ended = True
            return
        self._remember(event)
        self._last_ns = event.ns
        self._take(event)

    def finish(self) -> None:
        """End the slices that are still open where the window does, or with the last event."""
        self._start()
        end_ns = self._end_ns if self._ended else self._last_ns
        for stack in self._open.values():
            while stack:
                self._take(stack.pop()._replace(kind="end", ns=end_ns, flow=-1, cut=True))

    def _remember(self, event: Event) -> None:
        if event.kind == "begin":
            self._open.setdefault(event.track, []).append(event)
        elif event.kind == "end":
            self._open[event.track].pop()
        elif event.kind == "counter":
            self._counters[event.track] = event

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        start_ns = self._start_ns
        for stack in self._open.values():
            for event in stack:
                self._take(event._replace(ns=start_ns, flow=-1, cut=True))
        for event in self._counters.values():
            self._take(event._replace(ns=start_ns))
