# SPDX-License-Identifier: MIT
"""
Tasks that interrupt each other
-------------------------------

Tasks take turns; what happens between these while tasks are in
broadcasts, and the interrupts of their CPUs, is left to
:mod:`simulator.engine.compiled.together.stages`.  Before kernel code goes on at a time,
everything in there that comes earlier has happened (:meth:`Together.advance`); a
task has its next turn when its broadcast has ended.

A task that asks for a lock which is taken has one turn, when it has the lock: whether the
lock is free is looked at in its place, at the key of its request.
"""

from __future__ import annotations

from collections.abc import Collection

from simulator.engine.calls import Call
from simulator.engine.compiled.flat.call_words import Calls
from simulator.engine.compiled.flat.machine import M
from simulator.engine.compiled.flat.state import CPU, DID, HANDLER, NEVER, TASK, S
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.machine_code import bound
from simulator.engine.compiled.tasks import FlatTask
from simulator.engine.compiled.together.replay import SharedCheckpoints
from simulator.engine.compiled.together.stages import BEYOND_MAX, advance, irqs_on
from simulator.engine.compiled.turns import Ahead, Turns, TurnTask
from simulator.engine.keys import KEY_BITS, TOO_LONG
from simulator.engine.task import Queue
from simulator.errors import InputError

__all__ = ("InterruptedTask", "Together")

_NOW = 1  # before all event keys


class InterruptedCpu:
    """The CPU of a task, as kernel code sees it; what it is doing lies in the flat state."""

    __slots__ = ("_busy_until", "_line", "_together", "_words", "number", "slot")

    def __init__(self, together: Together, number: int, slot: int) -> None:
        self._together = together
        self._words = int(together.state[S.tasks]) + TASK.words * slot
        self._line = int(together.state[S.cpus]) + CPU.words * number
        self._busy_until = int(together.state[S.busy_until]) + number
        self.number = number
        self.slot = slot
        together.words[self._line + CPU.eager] = slot + 1
        together.words[self._words + TASK.idle_from_ns] = -1

    @property
    def places(self) -> tuple[int, int]:
        """Where the flat state has ``stolen_ns`` and ``busy_until_ns``."""
        return self._words + TASK.stolen_ns, self._busy_until

    @property
    def stolen_ns(self) -> int:
        return self._together.words[self._words + TASK.stolen_ns]

    @property
    def busy_until_ns(self) -> int:
        return self._together.words[self._busy_until]

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
        words, at = self._together.words, self._busy_until
        words[at] = max(words[at], until_ns)

    def leave(self, now_ns: int) -> None:
        """Go on without the task, which has ended."""
        self._together.checkpoints.tell(self.slot, now_ns, DID.ends)
        words = self._together.words
        words[self._words + TASK.ended] = 1
        words[self._busy_until] = max(words[self._busy_until], now_ns)


class InterruptedTask(FlatTask):
    """A task whose CPU takes interrupts in compiled code."""

    __slots__ = ("_busy_word", "_end_word", "_stolen_word", "_wanted", "slot", "together")

    def __init__(self, together: Together, cpu: InterruptedCpu, number: int) -> None:
        super().__init__(together.timeline, cpu, number, together.state, cpu.slot, together.calls)
        self.together = together
        self.slot = cpu.slot
        self._stolen_word, self._busy_word = cpu.places
        self._end_word = self._first + TASK.end_ns
        self._wanted: Queue | None = None  # the lock that it asks for when it has met

    @property
    def end_key(self) -> int:
        """When it goes on after its broadcast."""
        return self.words[self._end_word] << KEY_BITS | self._meeting

    def _meet(self) -> None:
        if own_key := self._unless_ready():
            self._turns.push(own_key, self, InterruptedTask._meets)
            self.wait(None)

    def _unless_ready(self) -> int:
        # Meet, if only compiled code has something to do before, and return 0; or the own key.
        together, pending, words = self.together, self._pending, self.words
        while True:
            stolen_ns = words[self._stolen_word] - self._stolen_ns
            t_ns = self.planned_ns + stolen_ns
            own_key = t_ns << KEY_BITS | self._meeting
            first = pending[0][0]
            if first <= own_key:
                return own_key
            next_key = together.next_key
            if not 0 < next_key <= own_key:
                break
            self._turns.follow(together.advance(own_key))
        self.clear_ns = (next_key if 0 < next_key < first else first) >> KEY_BITS
        self.met_ns = t_ns
        if stolen_ns:
            self.planned_ns = t_ns
            self._take(stolen_ns)
        return 0

    def ask(self, lock: Queue) -> bool:
        """Ask for a lock as :meth:`Task.ask` does, and wait once only."""
        own_key = 0
        if self.planned_ns < self.clear_ns:
            self.met_ns = self.planned_ns
        else:
            own_key = self._unless_ready()
        if own_key:
            self._wanted = lock
            self._turns.push(own_key, self, InterruptedTask._asks)
            self.wait(None)
        elif lock.owner is not None:
            lock.enqueue(self)
            self.wait_for(lock)
        # Nobody has it now, or this task.
        return lock.owner is not None

    def wait_for(self, lock: Queue) -> None:
        """Wait until a lock is granted, in whose queue it is."""
        self.waits_for = lock
        self.wait(None)

    def grant(self, end_ns: int) -> None:
        """Let it have the lock that it waits for, at a time, or when a handler then has ended."""
        self._turns.push(end_ns << KEY_BITS | self._meeting, self, InterruptedTask._has)
        self._turns.disturb()

    # --- whether it goes on when it is its turn (Goes) ----------------------------------

    def _meets(self, event_key: int) -> bool:
        # Unless a handler that came in the middle of work has moved the meeting.
        stolen_ns = self.words[self._stolen_word] - self._stolen_ns
        t_ns = self.planned_ns + stolen_ns
        own_key = t_ns << KEY_BITS | self._meeting
        if own_key != event_key:
            asks = self._wanted is not None
            goes_on = InterruptedTask._asks if asks else InterruptedTask._meets
            self._turns.push(own_key, self, goes_on)
            return False
        self.met_ns = t_ns
        if stolen_ns:
            self.planned_ns = t_ns
            self._take(stolen_ns)
        return True

    def _asks(self, event_key: int) -> bool:
        # If somebody has the lock that it asks for, it waits on without having gone on.
        lock = self._wanted
        if lock is None or not self._meets(event_key):
            return False
        self._wanted = None
        if lock.owner is None:
            return True
        lock.enqueue(self)
        self.waits_for = lock
        return False

    def _has(self, event_key: int) -> bool:
        # It has the lock that it waited for, unless a handler runs.
        t_ns = event_key >> KEY_BITS
        busy_until_ns = self.words[self._busy_word]
        if busy_until_ns > t_ns:
            self._turns.push(busy_until_ns << KEY_BITS | self._meeting, self, InterruptedTask._has)
            return False
        if self.waits_for is not None:
            self.time_by[self.waits_for.category] += t_ns - self.met_ns
            self.waits_for = None
        self.met_ns = self.planned_ns = t_ns
        self._stolen_ns = self.words[self._stolen_word]
        return True

    def clear_to(self, event_key: int) -> bool:
        """Whether no turn is pending at or before a key, once compiled code is there."""
        together, pending = self.together, self._pending
        while pending[0][0] > event_key:
            if not 0 < together.next_key <= event_key:
                return True
            self._turns.follow(together.advance(event_key))
        return False

    def ended_broadcast(self, call: Call) -> None:
        """Go on after a broadcast, with TLB misses spread over what is done then."""
        end_ns = self.words[self._end_word]
        preemptible_ns = self.waits_from_ns if call.preemptible_wait else end_ns
        self.ran_broadcast(self.met_ns, preemptible_ns, end_ns)
        self.met_ns = end_ns
        self.planned_ns = end_ns + call.refill_ns
        self._stolen_ns = self.words[self._stolen_word]

    def begins(self, flush: int) -> None:
        """Tell compiled code that a broadcast begins now."""
        words, first = self.words, self._first
        words[first + TASK.flush] = flush
        words[first + TASK.start_ns] = self.met_ns
        words[S.to_begin] = self.slot + 1

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


class Together(Ahead):
    """The tasks of one phase; ``next_key`` is when compiled code has something to do."""

    def __init__(
        self, timeline: Turns, machine: Int64s, state: Int64s, distance: Int8s,
        calls: Calls,
    ) -> None:  # fmt: skip
        super().__init__()
        self.timeline = timeline
        self.calls = calls
        self.state = state
        self.words = state.data  # plain integers, faster
        self._advance = bound(advance, machine, state, distance)
        self._irqs_on = bound(irqs_on, machine, state)
        self.nr_cpus = int(machine[M.nr_cpus])
        self.checkpoints = SharedCheckpoints(machine, state, distance, self.calls)
        self._tasks: dict[int, InterruptedTask] = {}  # by slot

    def task(self, number: int, cpu: int, slot: int) -> InterruptedTask:
        """Return a task for a slot, on a CPU."""
        task = self._tasks[slot] = InterruptedTask(self, InterruptedCpu(self, cpu, slot), number)
        return task

    def advance(self, until_key: int) -> tuple[int, TurnTask] | None:
        """Let compiled code do what comes before a key; return early whose broadcast has ended."""
        slot = self._advance(until_key if until_key < NEVER else NEVER)
        self._look()
        if slot == BEYOND_MAX:
            raise InputError(TOO_LONG)
        if slot >= 0:
            task = self._tasks[slot]
            return task.end_key, task
        return None

    def broadcast(
        self, task: InterruptedTask, call: Call, flush: int, mask: Collection[int] | None = None
    ) -> None:
        """Begin a broadcast, of all of them the number ``flush``; it ends with a turn."""
        if flush >= self.checkpoints.due:
            self.checkpoints.keep(flush)
        if call is not task.call:
            task.tell(call)
        task.take_mask(mask, self.nr_cpus)
        task.begins(flush)
        self.next_key = _NOW

    def irqs_on(self, slot: int, now_ns: int) -> None:
        """Turn interrupts on, on the CPU of a slot; one has waited."""
        self._irqs_on(slot, now_ns)
        self.timeline.disturb()
        self._look()

    def _look(self) -> None:
        next_key = self.words[S.next_key]
        self.next_key = next_key if next_key < NEVER else 0
