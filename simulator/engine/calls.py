# SPDX-License-Identifier: MIT
"""
Function calls on other CPUs
----------------------------

The data of kernel/smp.c: what is to be run everywhere (:class:`Call`), one
entry of a CPU's ``call_single_queue`` (:class:`Csd`), and an interrupt under
way (:class:`Ipi`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from simpy.events import Event

from simulator.engine.keys import MAX_NS
from simulator.errors import InputError
from simulator.trace.words import KINDS

__all__ = ("FLUSH_CATEGORIES", "Call", "Categories", "Csd", "Ipi")


class Categories(NamedTuple):
    """The ``time_by`` categories that the initiator's time goes to."""

    enqueue: str
    send: str
    local: str
    wait: str


FLUSH_CATEGORIES = Categories("flush_enqueue", "flush_send", "flush_local", "flush_wait")


@dataclass(frozen=True, slots=True)
class Call:
    """
    A function that on_each_cpu() runs on every CPU.

    ``kind`` is how far it flushes (one of :data:`simulator.trace.words.KINDS`),
    ``function`` the kernel's name of it; ``run_ns`` its time on each CPU;
    ``refill_ns`` what the CPU loses to TLB misses afterwards.  ``reason``, any
    name, and ``pages`` (0 for all) go to the trace.  ``preemptible_wait``: whether the
    initiator waits for the others with preemption on.

    Raises InputError for another kind, and for what is not a whole number from 0 on.
    """

    reason: str
    kind: str
    function: str
    pages: int
    run_ns: int
    refill_ns: int
    categories: Categories = FLUSH_CATEGORIES
    preemptible_wait: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            known = ", ".join(KINDS)
            raise InputError(f"kernel: {self.kind!r} is no kind of flush; known: {known}")
        for name in ("pages", "run_ns", "refill_ns"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise InputError(
                    f"kernel: {name} {value!r} of {self.function}() for {self.reason!r}"
                    " is not a whole number from 0 on"
                )
            if value > MAX_NS:
                raise InputError(
                    f"kernel: {name} of {self.function}() for {self.reason!r} is above {MAX_NS}"
                )


class Csd:
    """One ``call_single_data``: a call queued on one CPU by one initiator."""

    __slots__ = (
        "arrive_ns", "call", "cpu", "enqueue_ns", "release_ns", "send_ns", "sent", "start_ns",
        "state", "waiter",
    )  # fmt: skip

    def __init__(self, cpu: int, call: Call, enqueue_ns: int, sent: bool) -> None:
        self.cpu = cpu
        self.call = call
        self.enqueue_ns = enqueue_ns
        self.sent = sent  # False: the queue was not empty, or the target polls
        self.send_ns = -1
        self.arrive_ns = -1
        self.start_ns = -1
        self.release_ns = -1  # known once the target has taken its list
        self.state = ""
        self.waiter: Event | None = None  # the initiator, when it came here first


class Ipi(NamedTuple):
    """An interrupt on its way to a CPU (or, ``polled``, the flag that a polling CPU sees)."""

    send_ns: int
    arrive_ns: int
    entry_ns: int
    exit_ns: int
    polled: bool
