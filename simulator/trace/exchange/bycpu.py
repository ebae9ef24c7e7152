# SPDX-License-Identifier: MIT
"""
Times by CPU
------------

:class:`ByCpu` takes events and counts how long things took on each CPU: a flush on that
of its initiator, an acknowledgement (from enqueue to release) and a handler on that of
the target.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from simulator.trace.exchange.events import Event
from simulator.trace.exchange.tracepoints import FLUSHES

if TYPE_CHECKING:
    from simulator.trace.tables import Histogram

__all__ = ("KINDS", "ByCpu")

#: What is counted; the ``latency`` frame has them by phase.
KINDS: Final = ("flush", "ack", "handler")


class ByCpu:
    """Counts times of one of KINDS; ``histograms`` has them by CPU."""

    def __init__(self, kind: str) -> None:
        # It brings numpy along, which help does without.
        from simulator.trace.tables import Histogram

        self.histograms: dict[int, Histogram] = defaultdict(Histogram)
        self._take = {"flush": self._flush, "ack": self._ack, "handler": self._handler}[kind]
        self._since: dict[int, int] = {}
        self._queued: dict[int, int] = {}

    def take(self, event: Event) -> None:
        """Take the next event."""
        self._take(event)

    def _flush(self, event: Event) -> None:
        if event.what != "broadcast" or FLUSHES[str(event.args["caller"])].kind == "none":
            return
        flush = int(event.args["flush"])
        if event.kind == "begin" and event.name.startswith("enqueue"):
            self._since[flush] = event.ns
        elif event.kind == "end" and event.name.endswith("wait") and flush in self._since:
            self._add(event, self._since.pop(flush))

    def _handler(self, event: Event) -> None:
        if event.what != "handler":
            return
        if event.kind == "begin":
            self._since[event.cpu] = event.ns
        else:
            self._add(event, self._since.pop(event.cpu))

    def _ack(self, event: Event) -> None:
        if event.what == "csd_queue":
            self._queued[event.flow] = event.ns
        elif event.what == "call" and event.kind == "begin" and event.flow in self._queued:
            self._since[event.cpu] = self._queued.pop(event.flow)
        elif event.what == "call" and event.kind == "end" and event.cpu in self._since:
            self._add(event, self._since.pop(event.cpu))

    def _add(self, event: Event, since_ns: int) -> None:
        self.histograms[event.cpu].add(event.ns - since_ns)
