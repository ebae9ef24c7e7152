# SPDX-License-Identifier: MIT
"""
CPUs of the events engine
-------------------------

Every CPU is a SimPy process that takes interrupts: it waits for an IPI, starts
the handler as soon as its state lets it, takes the list of its
``call_single_queue`` at entry, runs the calls in order and releases each csd
after its own function.

Modelled: a CPU with a task (*eager*) takes an interrupt at once, after the
segment with interrupts off, or after the exit from idle when its task sleeps.
A CPU without one (*lazy*) answers by its spells: idle, preempted (a vCPU that
the host runs later), or with interrupts off.  An interrupt that comes during a
handler is taken when that handler ends.  Contention: each csd behind the first of a list
comes from another initiator, and the lines of the queue, of the csd and of what it points
to are wanted by several CPUs; it takes ``contention`` longer.

Not modelled: spells on a CPU that has a task; idle time before the simulation
began (every CPU was last busy at time 0); what the refill after a handler costs a
task that spins or sleeps meanwhile; nested or non-maskable interrupts;
other sources of interrupts than the calls of :mod:`simulator.engine.calls`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simpy.events import Event

from simulator.engine.calls import Csd, Ipi
from simulator.engine.event_queue import EventQueue, Signal
from simulator.engine.keys import Order, key

if TYPE_CHECKING:
    from simulator.engine.platform import IdleState, Platform
    from simulator.engine.task import Task
    from simulator.trace.recorder import Recorder

__all__ = ("Cpu",)


class Cpu:
    """A CPU, its call queue, and what it is busy with."""

    __slots__ = (
        "_contention_ns", "_deferred", "_found", "_incoming", "_platform", "_recorder",
        "_timeline", "busy_until_ns", "idle_from_ns", "irqs_off", "number", "queue", "stolen_ns",
        "task",
    )  # fmt: skip

    def __init__(
        self, timeline: EventQueue, number: int, platform: Platform, recorder: Recorder
    ) -> None:
        self._timeline = timeline
        self._platform = platform
        self._recorder = recorder
        self._contention_ns = platform.costs["contention"].ns()
        self.number = number
        self.queue: list[Csd] = []
        self.task: Task | None = None
        self.irqs_off = False
        self.idle_from_ns = -1  # since when its task sleeps; -1: it is awake
        self.busy_until_ns = 0  # end of the last handler known so far, or of the task
        self.stolen_ns = 0  # all the time that handlers took, and the refills after them
        self._incoming = Signal(timeline)
        self._deferred: Event | None = None  # an IPI that waits for interrupts to be on
        self._found = "running"  # the state in which the last interrupt found the CPU

    def send(self, ipi: Ipi) -> None:
        """Put an IPI on its way to this CPU."""
        self._incoming.send(key(ipi.arrive_ns, Order.ARRIVAL, self.number), ipi)

    def enable_irqs(self, now_ns: int) -> None:
        """Turn interrupts on; one that waits is taken now."""
        self.irqs_off = False
        if self._deferred is not None:
            # At the engine's present, which may be behind a task that ran ahead.
            deferred, self._deferred = self._deferred, None
            deferred.succeed(now_ns)
            self._timeline.disturb()

    def sleep(self, now_ns: int) -> None:
        """Go idle: the task sleeps."""
        self.idle_from_ns = now_ns

    def wake(self, now_ns: int) -> None:  # noqa: ARG002 - as other CPUs
        """Go on with the task."""
        self.idle_from_ns = -1

    def stall(self, ns: int) -> bool:
        """Lose time without an interrupt; False if the task sleeps, and nothing is lost."""
        if self.idle_from_ns >= 0:
            return False
        self.stolen_ns += ns
        return True

    def hold(self, ns: int, until_ns: int) -> None:
        """Stand still for so long, up to a time, which a task that waits cannot go on before."""
        self.stall(ns)
        self.busy_until_ns = max(self.busy_until_ns, until_ns)

    def leave(self, now_ns: int) -> None:
        """Go on without the task, which has ended."""
        self.task = None
        self.busy_until_ns = max(self.busy_until_ns, now_ns)

    def polls_at(self, t_ns: int) -> bool:
        """Whether this CPU idles polling at a time, so that it needs no IPI."""
        state = self._idle_state(t_ns)
        return state is not None and state.polling and self.busy_until_ns <= t_ns

    def life(self) -> Generator[Any, Any, None]:
        """The process: take interrupts one after another, for ever."""
        number, timeline, recorder = self.number, self._timeline, self._recorder
        while True:
            ipi: Ipi = yield self._incoming
            self._incoming = Signal(timeline)
            state, start_ns = self._answer(ipi)
            if start_ns < 0:
                self._deferred = Event(timeline)
                start_ns = yield self._deferred
            # Handler entry: until it takes the list, the end is not known.
            drain_ns = start_ns + ipi.entry_ns
            self.busy_until_ns = drain_ns
            self.stolen_ns += ipi.entry_ns
            # An entry that takes no time cannot come before the arrival either.
            yield timeline.at(max(key(drain_ns, Order.HANDLER, number), int(timeline.now)))
            taken, self.queue = self.queue, []
            t_ns = drain_ns
            refill_ns = 0
            for nth, csd in enumerate(taken):
                t_ns += csd.call.run_ns + (self._contention_ns if nth else 0)
                refill_ns = max(refill_ns, csd.call.refill_ns)
                csd.send_ns = ipi.send_ns if csd.sent else -1
                csd.arrive_ns = ipi.arrive_ns
                csd.start_ns = start_ns
                csd.release_ns = t_ns
                csd.state = state
                recorder.executed(csd.call.kind, csd.call.pages)
                recorder.released(t_ns - csd.enqueue_ns)
                if csd.waiter is not None:
                    csd.waiter.succeed()
            end_ns = t_ns + ipi.exit_ns
            self.busy_until_ns = end_ns
            self.stolen_ns += end_ns - drain_ns + refill_ns
            self._found = state
            recorder.handled(
                number,
                sent=not ipi.polled,
                state=state,
                handler_ns=end_ns - start_ns,
                refill_ns=refill_ns,
                delay_ns=start_ns - ipi.arrive_ns,
            )

    def _answer(self, ipi: Ipi) -> tuple[str, int]:
        # The state in which the interrupt finds the CPU, and when its handler starts;
        # -1: when the task on this CPU turns interrupts on.
        arrive_ns = ipi.arrive_ns
        if self.busy_until_ns > arrive_ns:
            # During a handler: taken when that one ends, before the CPU does anything else.
            return ("idle" if self._found == "idle" else "running"), self.busy_until_ns
        idle = self._idle_state(arrive_ns)
        if idle is not None:
            return "idle", arrive_ns + (0 if ipi.polled else idle.exit_ns)
        if self.task is not None:
            return ("irqs_off", -1) if self.irqs_off else ("running", arrive_ns)
        spells = self._platform.spells
        resumed_ns = spells.preempted_until(self.number, arrive_ns)
        start_ns = spells.irqs_off_until(self.number, resumed_ns)
        if resumed_ns > arrive_ns:
            return "preempted", start_ns
        return ("irqs_off" if start_ns > resumed_ns else "running"), start_ns

    def _idle_state(self, t_ns: int) -> IdleState | None:
        # The C-state that the CPU has reached by a time; None when it is not idle.
        if self.task is not None:
            since_ns = self.idle_from_ns
        else:
            since_ns = self._platform.spells.idle_since(self.number, t_ns)
        if since_ns < 0:
            return None
        # A handler makes the CPU busy for a moment, and the depth starts anew.
        since_ns = max(since_ns, self.busy_until_ns)
        return self._platform.idle_state(t_ns - since_ns, self.number, since_ns)
