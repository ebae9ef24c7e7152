# SPDX-License-Identifier: MIT
"""
A run as a log
--------------

One event a line: time in microseconds of simulated time, CPU, task, what happens; 72
columns.  A slice has a line where it begins and one with its duration where it ends, and
what happens inside is indented by CPU.  Counters are left out.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from simulator.trace.exchange.events import Event, Track

__all__ = ("EventLog",)

_WIDTH: Final = 72
_HEAD: Final = f"{'time_us':>14} {'CPU':>4} {'task':>4}  event"
_DEEPEST: Final = 12  # indented no further
# What an argument is not worth the room for.
_LEFT_OUT: Final = frozenset(("function", "caller", "cpus", "func", "targets", "found", "by"))


class EventLog:
    """Takes events; ``lines`` is the log so far."""

    def __init__(self) -> None:
        self.lines = [_HEAD]
        self._open: dict[Track, list[int]] = defaultdict(list)
        self._depth: dict[int, int] = defaultdict(int)  # by CPU

    def take(self, event: Event) -> None:
        """Add an event, the next in the order of time."""
        if event.kind == "counter":
            return
        told = _told(event)
        if event.kind == "begin":
            self._open[event.track].append(event.ns)
            self._line(event, f"> {told}")
            self._depth[event.cpu] += 1
        elif event.kind == "end":
            self._depth[event.cpu] -= 1
            took_ns = event.ns - self._open[event.track].pop()
            self._line(event, f"< {_name(event)} {_us(took_ns)} us")
        else:
            self._line(event, f". {told}")

    def _line(self, event: Event, text: str) -> None:
        cpu, task = ("-" if number < 0 else str(number) for number in (event.cpu, event.task))
        indent = " " * min(max(self._depth[event.cpu], 0), _DEEPEST)
        line = f"{_us(event.ns):>14} {cpu:>4} {task:>4}  {indent}{text}"
        self.lines.append(line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "...")


# The slice of a lock is named after who has it.
def _name(event: Event) -> str:
    return f"{event.track.name} held" if event.what == "lock" else event.name


def _told(event: Event) -> str:
    if event.what == "lock":
        return _name(event)
    args = [f"{name}={value}" for name, value in event.args.items() if name not in _LEFT_OUT]
    return " ".join([event.name, *args])


def _us(ns: int) -> str:
    return f"{ns // 1000}.{ns % 1000:03d}"
