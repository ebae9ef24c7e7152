# SPDX-License-Identifier: MIT
"""
Event keys
----------

Simulated time is integer nanoseconds; the event queue runs on *keys*,
``2**14 * ns + (class, CPU)``, so that simultaneous events have one order in
every engine and SimPy's insertion order never decides.  Within a nanosecond:
handlers that end or take their list come first, then arriving interrupts, then
tasks that meet shared state.  Within a class the lower CPU number comes first.

A key is unique: at most one interrupt is on its way to a CPU (a second sender
finds the queue non-empty), a CPU runs one handler at a time, and it has at most
one task.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ("KEY_BITS", "MAX_CPUS", "MAX_NS", "TOO_LONG", "Order", "key", "ns_of")

_CPU_BITS: Final = 12
KEY_BITS: Final = 14

MAX_CPUS: Final = 1 << _CPU_BITS
#: Six days: the compiled engine keeps keys in 63 bits.
MAX_NS: Final = 6 * 86_400 * 10**9
#: What a user is told whose run takes longer.
TOO_LONG: Final = "time: more than 6 days are simulated; ask for fewer pages or for less work"


class Order(IntEnum):
    """What happens first within one nanosecond."""

    HANDLER = 0 << _CPU_BITS  # a handler ends, or takes its list
    ARRIVAL = 1 << _CPU_BITS  # an interrupt reaches its CPU
    MEETING = 2 << _CPU_BITS  # a task reads or writes something shared


def key(ns: int, order: Order, cpu: int) -> int:
    """Return the event key of a time, a class and a CPU number."""
    return ns << KEY_BITS | order | cpu


def ns_of(event_key: int) -> int:
    """Return the nanoseconds of an event key."""
    return event_key >> KEY_BITS
