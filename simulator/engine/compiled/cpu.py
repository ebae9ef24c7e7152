# SPDX-License-Identifier: MIT
"""
CPUs with a task, in the compiled engine
----------------------------------------

A CPU that has a task in the present phase takes its interrupts as real events;
its call queue is in the flat arrays with those of all others.  When its task has
ended it answers by its spells, and remains a CPU of real events to the end of
the phase.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from simpy.events import Event

from simulator.engine.calls import Ipi
from simulator.engine.keys import Order, key
from simulator.engine.timeline import Signal, Timeline

if TYPE_CHECKING:
    from simulator.engine.platform import IdleState, Platform
    from simulator.engine.task import Task
    from simulator.trace.recorder import Recorder

__all__ = ("EagerCpu", "Handler")

#: Start and end of a handler, and the refill after it.
Handler = tuple[int, int, int]
#: Takes the CPU's list at a time; returns the end of its last call, and the refill.
Drain = Callable[["EagerCpu", int, str, int, Ipi], tuple[int, int]]


class EagerCpu:
    """A CPU of real events; ``handlers`` are those that its waiting task has not seen yet."""

    __slots__ = (
        "_deferred", "_drain", "_found", "_incoming", "_platform", "_recorder", "_steal",
        "_timeline", "busy_until_ns", "handlers", "idle_from_ns", "irqs_off", "number",
        "stolen_ns", "task",
    )  # fmt: skip

    def __init__(
        self,
        timeline: Timeline,
        number: int,
        platform: Platform,
        recorder: Recorder,
        drain: Drain,
        steal: Callable[[EagerCpu, int, int], None],
    ) -> None:
        self._timeline = timeline
        self._platform = platform
        self._recorder = recorder
        self._drain = drain
        self._steal = steal
        self.number = number
        self.task: Task | None = None
        self.irqs_off = False
        self.idle_from_ns = 0
        self.busy_until_ns = 0
        self.stolen_ns = 0
        self.handlers: list[Handler] = []
        self._incoming = Signal(timeline)
        self._deferred: Event | None = None
        self._found = "running"

    def resume(self, busy_until_ns: int, found: str) -> None:
        """Take over from the flat arrays, at the start of a phase."""
        self.busy_until_ns = busy_until_ns
        self._found = found

    @property
    def found(self) -> str:
        """The state in which the last interrupt found the CPU."""
        return self._found

    def send(self, ipi: Ipi) -> None:
        """Put an IPI on its way to this CPU."""
        self._incoming.send(key(ipi.arrive_ns, Order.ARRIVAL, self.number), ipi)

    def enable_irqs(self, now_ns: int) -> None:
        """Turn interrupts on; one that waits is taken now."""
        self.irqs_off = False
        if self._deferred is not None:
            deferred, self._deferred = self._deferred, None
            deferred.succeed(now_ns)

    def leave(self, now_ns: int) -> None:
        """Go on without the task, which has ended."""
        self.task = None
        self.busy_until_ns = max(self.busy_until_ns, now_ns)

    def polls_at(self, t_ns: int) -> bool:
        """Whether the CPU idles polling at a time."""
        state = self._idle(t_ns)
        return state is not None and state.polling and self.busy_until_ns <= t_ns

    def life(self) -> Generator[Any, Any, None]:
        """The process: take interrupts one after another, for ever."""
        timeline = self._timeline
        while True:
            ipi: Ipi = yield self._incoming
            self._incoming = Signal(timeline)
            state, start_ns = self._answer(ipi)
            if start_ns < 0:
                self._deferred = Event(timeline)
                start_ns = yield self._deferred
            drain_ns = start_ns + ipi.entry_ns
            self.busy_until_ns = drain_ns
            self.stolen_ns += ipi.entry_ns
            self._steal(self, start_ns, ipi.entry_ns)
            yield timeline.at(key(drain_ns, Order.HANDLER, self.number))
            end_ns, refill_ns = self._drain(self, drain_ns, state, start_ns, ipi)
            end_ns += ipi.exit_ns
            self.busy_until_ns = end_ns
            self.stolen_ns += end_ns - drain_ns + refill_ns
            self._steal(self, drain_ns, end_ns - drain_ns + refill_ns)
            self.handlers.append((start_ns, end_ns, refill_ns))
            self._found = state
            self._recorder.handled(
                self.number,
                sent=not ipi.polled,
                state=state,
                handler_ns=end_ns - start_ns,
                refill_ns=refill_ns,
                delay_ns=start_ns - ipi.arrive_ns,
            )

    def _answer(self, ipi: Ipi) -> tuple[str, int]:
        # The state of the CPU and when the handler starts; -1: when interrupts are on again.
        arrive_ns = ipi.arrive_ns
        if self.busy_until_ns > arrive_ns:
            return ("idle" if self._found == "idle" else "running"), self.busy_until_ns
        idle = self._idle(arrive_ns)
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

    def _idle(self, t_ns: int) -> IdleState | None:
        if self.task is None:
            since_ns = self._platform.spells.idle_since(self.number, t_ns)
            if since_ns < 0:
                return None
        elif self.task.asleep:
            since_ns = self.idle_from_ns
        else:
            return None
        return self._platform.idle_state(t_ns - max(since_ns, self.busy_until_ns))
