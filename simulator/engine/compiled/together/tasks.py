# SPDX-License-Identifier: MIT
"""
Tasks that interrupt each other
-------------------------------

Tasks take turns; what happens between these while tasks are in
broadcasts, and the interrupts of their CPUs, is left to
:mod:`simulator.engine.compiled.together.stages`.  Before kernel code goes on at a time,
everything in there that comes earlier has happened (:meth:`Together.advance`); a
task has its next turn when its broadcast has ended.
"""

from __future__ import annotations

from collections.abc import Collection

from simulator.engine.calls import Call
from simulator.engine.compiled.flat.call_words import Calls
from simulator.engine.compiled.flat.machine import M
from simulator.engine.compiled.flat.state import CPU, DID, HANDLER, NEVER, TASK, S
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.tasks import FlatTask
from simulator.engine.compiled.together.replay import SharedCheckpoints
from simulator.engine.compiled.together.stages import BEYOND_MAX, advance, begin, irqs_on
from simulator.engine.compiled.turns import Turn, Turns
from simulator.engine.keys import KEY_BITS, TOO_LONG, Order
from simulator.errors import InputError

__all__ = ("InterruptedTask", "Together")


class InterruptedCpu:
    """The CPU of a task, as kernel code sees it; what it is doing lies in the flat state."""

    __slots__ = ("_line", "_together", "_words", "number", "slot")

    def __init__(self, together: Together, number: int, slot: int) -> None:
        self._together = together
        self._words = int(together.state[S.tasks]) + TASK.words * slot
        self._line = int(together.state[S.cpus]) + CPU.words * number
        self.number = number
        self.slot = slot
        together.words[self._line + CPU.eager] = slot + 1
        together.words[self._words + TASK.idle_from_ns] = -1

    @property
    def stolen_word(self) -> int:
        """Where the flat state has ``stolen_ns``."""
        return self._words + TASK.stolen_ns

    @property
    def stolen_ns(self) -> int:
        return self._together.words[self._words + TASK.stolen_ns]

    @property
    def busy_until_ns(self) -> int:
        return self._together.words[self._line + CPU.busy_until_ns]

    @property
    def irqs_off(self) -> bool:
        return self._together.words[self._words + TASK.irqs_off] == 1

    @irqs_off.setter
    def irqs_off(self, off: bool) -> None:
        self._together.words[self._words + TASK.irqs_off] = off

    def enable_irqs(self, now_ns: int) -> None:
        """Turn interrupts on; one that waits is taken now."""
        words = self._together.words
        if words[self._words + TASK.handler] == HANDLER.deferred:
            arrive_ns = words[self._line + CPU.arrive_ns]
            self._together.checkpoints.tell(self.slot, arrive_ns, DID.defers, now_ns)
            self._together.irqs_on(self.slot, now_ns)
        else:
            words[self._words + TASK.irqs_off] = 0

    def sleep(self, now_ns: int) -> None:
        """Go idle: the task sleeps."""
        # It says so a second time when it knows how long.
        if self._together.words[self._words + TASK.idle_from_ns] != now_ns:
            self._together.words[self._words + TASK.idle_from_ns] = now_ns
            self._together.checkpoints.tell(self.slot, now_ns, DID.sleeps)

    def wake(self, now_ns: int) -> None:
        """Go on with the task."""
        self._together.words[self._words + TASK.idle_from_ns] = -1
        self._together.checkpoints.tell(self.slot, now_ns, DID.wakes)

    def stall(self, ns: int) -> bool:
        """Lose time without an interrupt; False if the task sleeps, and nothing is lost."""
        words = self._together.words
        if words[self._words + TASK.idle_from_ns] >= 0:
            return False
        words[self._words + TASK.stolen_ns] += ns
        return True

    def hold(self, ns: int, until_ns: int) -> None:
        """Stand still for so long, up to a time, which a task that waits cannot go on before."""
        self.stall(ns)
        words, at = self._together.words, self._line + CPU.busy_until_ns
        words[at] = max(words[at], until_ns)

    def leave(self, now_ns: int) -> None:
        """Go on without the task, which has ended."""
        self._together.checkpoints.tell(self.slot, now_ns, DID.ends)
        words = self._together.words
        words[self._words + TASK.ended] = 1
        words[self._line + CPU.busy_until_ns] = max(words[self._line + CPU.busy_until_ns], now_ns)


class InterruptedTask(FlatTask):
    """A task whose CPU takes interrupts in compiled code."""

    __slots__ = ("_stolen_word", "slot", "together")

    def __init__(self, together: Together, cpu: InterruptedCpu, number: int) -> None:
        super().__init__(together.timeline, cpu, number, together.state, cpu.slot, together.calls)
        self.together = together
        self.slot = cpu.slot
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
        first = pending[0][0] if pending else NEVER
        self.clear_ns = int(min(first, together.next_key)) >> KEY_BITS
        self.met_ns = t_ns
        if stolen_ns:
            self.planned_ns = t_ns
            self._take(stolen_ns)
        return True

    def clear_to(self, event_key: int) -> bool:
        """Whether no turn is pending at or before a key, once compiled code is there."""
        together, pending = self.together, self._pending
        while not pending or pending[0][0] > event_key:
            if together.next_key > event_key:
                return True
            together.advance(event_key)
        return False

    def ended_broadcast(self, call: Call, end_ns: int) -> None:
        """Go on after a broadcast, with TLB misses spread over what is done then."""
        self.ran_broadcast(call, self.met_ns, self.waits_from_ns, end_ns)
        self.met_ns = end_ns
        self.planned_ns = end_ns + call.refill_ns
        self._stolen_ns = self.words[self._stolen_word]

    def take_mask(self, mask: Collection[int] | None, nr_cpus: int) -> None:
        """Tell compiled code which CPUs the next broadcast leaves out."""
        masked = self._first + TASK.masked
        if mask is None:
            self.words[masked] = 0
            return
        self.words[masked] = 1
        first = self.words[S.left_out] + self.slot * nr_cpus
        for cpu in range(nr_cpus):
            self.words[first + cpu] = cpu not in mask


class Together:
    """The tasks of one phase; ``next_key`` is when compiled code has something to do."""

    def __init__(
        self, timeline: Turns, machine: Int64s, state: Int64s, distance: Int8s,
        calls: Calls,
    ) -> None:  # fmt: skip
        self.timeline = timeline
        self.calls = calls
        self.state = state
        self.words = state.data  # plain integers, faster
        self.next_key = NEVER
        self._machine = machine
        self._distance = distance
        self.nr_cpus = int(machine[M.nr_cpus])
        self.checkpoints = SharedCheckpoints(machine, state, distance, self.calls)
        self._ends: dict[int, Turn] = {}  # by slot: the end of its task's broadcast

    def task(self, number: int, cpu: int, slot: int) -> InterruptedTask:
        """Return a task for a slot, on a CPU."""
        return InterruptedTask(self, InterruptedCpu(self, cpu, slot), number)

    def advance(self, until_key: int) -> None:
        """Let compiled code do what comes before a key, or until a broadcast ends."""
        slot = advance(self._machine, self.state, self._distance, min(until_key, NEVER))
        self.next_key = self.words[S.next_key]
        if slot == BEYOND_MAX:
            raise InputError(TOO_LONG)
        if slot >= 0:
            words = self.words[S.tasks] + TASK.words * slot
            end_ns, cpu = self.words[words + TASK.end_ns], self.words[words + TASK.cpu]
            self._ends.pop(slot).send(end_ns << KEY_BITS | Order.MEETING | cpu, end_ns)

    def broadcast(
        self, task: InterruptedTask, call: Call, flush: int, mask: Collection[int] | None = None
    ) -> Turn:
        """Begin a broadcast, of all of them the number ``flush``; returns its end."""
        if flush >= self.checkpoints.due:
            self.checkpoints.keep(flush)
        if call is not task.call:
            task.tell(call)
        task.take_mask(mask, self.nr_cpus)
        begin(self._machine, self.state, self._distance, task.slot, flush, task.met_ns)
        self.next_key = self.words[S.next_key]
        end = self._ends[task.slot] = task.turn
        return end

    def irqs_on(self, slot: int, now_ns: int) -> None:
        """Turn interrupts on, on the CPU of a slot; one has waited."""
        irqs_on(self._machine, self.state, slot, now_ns)
        self.timeline.disturb()
        self.next_key = self.words[S.next_key]
