# SPDX-License-Identifier: MIT
"""
Tasks that interrupt each other
-------------------------------

SimPy runs kernel code; what happens between its events while tasks are in
broadcasts, and the interrupts of their CPUs, is left to
:mod:`simulator.engine.compiled.stages`.  Before kernel code goes on at a time,
everything in there that comes earlier has happened (:meth:`Together.advance`); a
task is resumed by one event, when its broadcast has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.engine.calls import Call
from simulator.engine.compiled import layout as at
from simulator.engine.compiled import task_words as of
from simulator.engine.compiled.replay_together import SharedCheckpoints
from simulator.engine.compiled.stages import advance, begin, irqs_on
from simulator.engine.keys import KEY_BITS, Order
from simulator.engine.task import Steps, Task
from simulator.engine.timeline import Signal, Timeline
from simulator.trace.recorder import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("InterruptedTask", "Together")


class InterruptedCpu:
    """The CPU of a task, as kernel code sees it; what it is doing lies in the flat state."""

    __slots__ = ("_line", "_together", "_words", "number", "slot")

    def __init__(self, together: Together, number: int, slot: int) -> None:
        self._together = together
        self._words = int(together.state[at.TASKS]) + of.WORDS * slot
        self._line = int(together.state[at.CPUS]) + at.CPU_WORDS * number
        self.number = number
        self.slot = slot
        together.words[self._words + of.CPU] = number
        together.words[self._line + at.EAGER] = slot + 1
        together.words[self._words + of.IDLE_FROM] = -1

    @property
    def stolen_word(self) -> int:
        """Where the flat state has ``stolen_ns``."""
        return self._words + of.STOLEN

    @property
    def stolen_ns(self) -> int:
        return self._together.words[self._words + of.STOLEN]

    @property
    def busy_until_ns(self) -> int:
        return self._together.words[self._line + at.BUSY_UNTIL]

    @property
    def irqs_off(self) -> bool:
        return self._together.words[self._words + of.IRQS_OFF] == 1

    @irqs_off.setter
    def irqs_off(self, off: bool) -> None:
        self._together.words[self._words + of.IRQS_OFF] = off

    def enable_irqs(self, now_ns: int) -> None:
        """Turn interrupts on; one that waits is taken now."""
        words = self._together.words
        if words[self._words + of.HANDLER] == of.DEFERRED:
            arrive_ns = words[self._line + at.ARRIVE]
            self._together.checkpoints.tell(self.slot, arrive_ns, at.DEFERS, now_ns)
            self._together.irqs_on(self.slot, now_ns)
        else:
            words[self._words + of.IRQS_OFF] = 0

    def sleep(self, now_ns: int) -> None:
        """Go idle: the task sleeps."""
        # It says so a second time when it knows how long.
        if self._together.words[self._words + of.IDLE_FROM] != now_ns:
            self._together.words[self._words + of.IDLE_FROM] = now_ns
            self._together.checkpoints.tell(self.slot, now_ns, at.SLEEPS)

    def wake(self, now_ns: int) -> None:
        """Go on with the task."""
        self._together.words[self._words + of.IDLE_FROM] = -1
        self._together.checkpoints.tell(self.slot, now_ns, at.WAKES)

    def leave(self, now_ns: int) -> None:
        """Go on without the task, which has ended."""
        self._together.checkpoints.tell(self.slot, now_ns, at.ENDS)
        words = self._together.words
        words[self._words + of.ENDED] = 1
        words[self._line + at.BUSY_UNTIL] = max(words[self._line + at.BUSY_UNTIL], now_ns)

    def told(self) -> list[int]:
        """Return the words of the task, after its broadcast."""
        return self._together.words[self._words : self._words + of.WORDS].tolist()


class InterruptedTask(Task):
    """A task whose CPU takes interrupts in compiled code."""

    __slots__ = ("_stolen_word", "together")

    def __init__(self, together: Together, cpu: InterruptedCpu, number: int) -> None:
        super().__init__(together.timeline, cpu, number)
        self.together = together
        self.cpu: InterruptedCpu = cpu
        self._stolen_word = cpu.stolen_word

    def ready(self) -> bool:
        """Meet without an event, if only compiled code has something to do before."""
        together, pending = self.together, self._pending
        while True:
            stolen_ns = together.words[self._stolen_word] - self._stolen_ns
            t_ns = self.planned_ns + stolen_ns
            own_key = t_ns << KEY_BITS | self._meeting
            if pending and pending[0][0] <= own_key:
                return False
            if together.next_key > own_key:
                break
            together.advance(own_key)
        self.met_ns = t_ns
        if stolen_ns:
            self.planned_ns = t_ns
            self._take(stolen_ns)
        return True

    def clear_to(self, event_key: int) -> bool:
        """Whether no SimPy event is pending at or before a key, once compiled code is there."""
        together, pending = self.together, self._pending
        while not pending or pending[0][0] > event_key:
            if together.next_key > event_key:
                return True
            together.advance(event_key)
        return False

    def ended_broadcast(self, call: Call, told: Sequence[int]) -> None:
        """Take note of a broadcast, by the words of this task."""
        enqueue, send, local, wait = call.categories
        time_by = self.time_by
        time_by[enqueue] += told[of.ENQUEUE_TOOK]
        time_by[send] += told[of.SEND_TOOK]
        time_by[local] += call.run_ns
        time_by[wait] += told[of.WAIT_TOOK]
        time_by["interrupted"] += told[of.INTERRUPTED]
        self.irqs_off_max_ns = max(self.irqs_off_max_ns, told[of.OFF_MAX])
        self.met_ns = self.planned_ns = told[of.END]
        self._stolen_ns = told[of.STOLEN]


class Together:
    """The tasks of one phase; ``next_key`` is when compiled code has something to do."""

    def __init__(
        self, timeline: Timeline, machine: at.Int64s, state: at.Int64s, distance: at.Int8s
    ) -> None:
        self.timeline = timeline
        self.state = state
        self.words = state.data  # plain integers, faster
        self.next_key = at.NEVER
        self._machine = machine
        self._distance = distance
        self.checkpoints = SharedCheckpoints(machine, state, distance)
        self._ends: dict[int, Signal] = {}  # by slot: the end of its task's broadcast

    def task(self, number: int, cpu: int, slot: int) -> InterruptedTask:
        """Return a task for a slot, on a CPU."""
        return InterruptedTask(self, InterruptedCpu(self, cpu, slot), number)

    def run(self) -> None:
        """Run to the end."""
        timeline, pending = self.timeline, self.timeline.pending
        while True:
            first = pending[0][0] if pending else at.NEVER
            if self.next_key < first:
                self.advance(int(first))
            elif pending:
                timeline.step()
            else:
                return

    def advance(self, until_key: int) -> None:
        """Let compiled code do what comes before a key, or until a broadcast ends."""
        slot = advance(self._machine, self.state, self._distance, until_key)
        self.next_key = self.words[at.NEXT_KEY]
        if slot >= 0:
            words = self.words[at.TASKS] + of.WORDS * slot
            end_ns, cpu = self.words[words + of.END], self.words[words + of.CPU]
            self._ends.pop(slot).send(end_ns << KEY_BITS | Order.MEETING | cpu, None)

    def broadcast(self, task: InterruptedTask, call: Call, nth: int, flush: int) -> Steps:
        """
        Broadcast a call; returns the words of the task; generator.

        It is the initiator's number ``nth``, and of all broadcasts the number ``flush``.
        """
        self.checkpoints.keep(flush, call)
        pages = call.pages if call.function == FUNCTIONS[0] else 0
        begin(
            self._machine, self.state, self._distance, task.cpu.slot, nth, task.met_ns, call.run_ns,
            call.refill_ns, FUNCTIONS.index(call.function), pages,
        )  # fmt: skip
        self.next_key = self.words[at.NEXT_KEY]
        end = self._ends[task.cpu.slot] = Signal(self.timeline)
        yield end
        told = task.cpu.told()
        task.ended_broadcast(call, told)
        return told

    def irqs_on(self, slot: int, now_ns: int) -> None:
        """Turn interrupts on, on the CPU of a slot; one has waited."""
        irqs_on(self._machine, self.state, slot, now_ns)
        self.next_key = self.words[at.NEXT_KEY]
