# SPDX-License-Identifier: MIT
"""
The compiled engine
-------------------

Tasks and their locks take turns; what the CPUs answer to a broadcast is
computed by compiled code, integer for integer as
:class:`simulator.engine.events.EventsEngine` has it.  See
:mod:`simulator.engine.compiled.alone.broadcast` for an only task, and
:mod:`simulator.engine.compiled.together.queues` for the method with several.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from simulator.engine.calls import Call
from simulator.engine.compiled.alone.broadcast import broadcast_alone
from simulator.engine.compiled.alone.cpu import OnlyCpu
from simulator.engine.compiled.alone.replay import Checkpoints
from simulator.engine.compiled.flat.call_words import Calls
from simulator.engine.compiled.flat.machine import flatten
from simulator.engine.compiled.flat.seen import ipi_rows
from simulator.engine.compiled.flat.state import CPU, EXECUTED, RECORD, TASK, S, lines_in, new_state
from simulator.engine.compiled.flat.words import Int64s
from simulator.engine.compiled.jit import wrapping
from simulator.engine.compiled.machine_code import bound
from simulator.engine.compiled.tasks import FlatTask, OnlyTask
from simulator.engine.compiled.together.queues import close_all
from simulator.engine.compiled.together.replay import SharedCheckpoints
from simulator.engine.compiled.together.tasks import InterruptedTask, Together
from simulator.engine.compiled.turns import Ahead, Turns
from simulator.engine.ending import ending
from simulator.engine.keys import MAX_NS, TOO_LONG
from simulator.engine.task import Body, Task
from simulator.errors import InputError, KernelError
from simulator.trace.contract import CPU_COLUMNS
from simulator.trace.ipis import IpiLog
from simulator.trace.tables import NR_BUCKETS

if TYPE_CHECKING:
    from simulator.engine.compiled.flat.machine import FlatPlatform
    from simulator.trace.recorder import Recorder

__all__ = ("CompiledEngine",)

# Of the ``cpus`` frame, what compiled code counts under the same names.
_TOTALS = tuple((name, getattr(CPU, name)) for name in CPU_COLUMNS if name in CPU._fields)
# Of a record, what compiled code is told.
_FLUSH, _START_NS = (word - RECORD.start for word in (TASK.flush, TASK.start_ns))
# What the only task did to all others alike.
_ALIKE = (
    ("ipis", S.alike_ipis),
    ("refill_ns", S.alike_refill_ns),
    ("handler_ns", S.alike_handler_ns),
)


class CompiledEngine:
    """Tasks that take turns, all other CPUs in flat arrays."""

    def __init__(self, platform: FlatPlatform, recorder: Recorder) -> None:
        self.timeline = Turns()
        self.platform = platform
        self.recorder = recorder
        self._n = platform.nr_cpus
        self._machine = flatten(platform)
        self._distance = np.ascontiguousarray(platform.distance).reshape(-1)
        self._slots: dict[int, int] = {}  # of the CPUs with a task, ascending
        self._last_of = [-1] * self._n  # by CPU: the number of its last broadcast
        calls = Calls(recorder.reasons)
        self._checkpoints = Checkpoints(self._machine, self._distance, self._n, calls)
        #: By phase: its first broadcast, and what replays it.
        self._replayed: list[tuple[int, Checkpoints | SharedCheckpoints]] = []
        self._state = new_state(self._n, 1)
        self._lines = lines_in(self._state, self._n)
        self._broadcast_alone: Callable[[], int]  # in a phase of one task

    def _allot(self) -> None:
        # Room for the tasks of a phase; the CPUs remain as they are.
        before = self._state
        state = self._state = new_state(self._n, len(self._slots))
        of_cpus = slice(state[S.cpus], state[S.ack_hist])
        state[of_cpus] = before[of_cpus]
        self._lines = lines_in(state, self._n)
        self._lines[:, CPU.eager] = 0
        for cpu, slot in self._slots.items():
            words = int(state[S.tasks]) + TASK.words * slot
            state[words + TASK.cpu] = cpu
            state[words + TASK.nth] = self._last_of[cpu]
            state[words + TASK.phase] = len(self.recorder.phases) - 1

    def _words(self, part: int, length: int) -> Int64s:
        first = int(self._state[part])
        return self._state[first : first + length]

    def replay(self, log: IpiLog) -> bool:
        """Fill a log from checkpoints; True, as it always can."""
        ends = [first for first, _ in self._replayed[1:]] + [len(self.recorder.flushes)]
        for (first, checkpoints), end in zip(self._replayed, ends, strict=True):
            broadcasts = (row for row in range(first, end) if not self._hardware(row))
            wanted = [row for row in broadcasts if row in log.flushes]
            for rows in checkpoints.replay(wanted, end, self.recorder):
                log.add(rows)
        return True

    def _hardware(self, row: int) -> bool:
        # Whether no interrupt carried a flush.
        return row in self.recorder.mechanism_of

    def run(self, start_ns: int, bodies: Mapping[int, Body], *, masked: bool = False) -> list[Task]:
        """Run tasks as :meth:`simulator.engine.events.EventsEngine.run` does."""
        self._slots = {cpu: slot for slot, cpu in enumerate(sorted(bodies))}
        self._allot()
        with wrapping():
            if len(bodies) == 1 and not masked:
                tasks = [self._run_alone(start_ns, bodies)]
            else:
                tasks = self._run_together(start_ns, bodies)
            bound(close_all, self._machine, self._state)()
        self._report()
        return tasks

    def on_each_cpu(self, call: Call, mask: Collection[int] | None = None) -> None:
        """Run a call on this CPU and every other, or those of a mask, and wait for all of them."""
        task = self.timeline.current
        if task.cpu.irqs_off:
            raise KernelError(f"{call.reason}: a broadcast with interrupts off would deadlock")
        if task.planned_ns < task.clear_ns:
            task.met_ns = task.planned_ns  # as Task.meet(), without a call
        else:
            task.meet()
        if task.met_ns > MAX_NS:  # which 64 bits may not hold
            raise InputError(TOO_LONG)
        if isinstance(task, OnlyTask):
            if mask is not None:
                raise RuntimeError("a mask in a phase that was to have none")
            self._alone(task, call)
        elif isinstance(task, InterruptedTask):
            recorder = self.recorder
            flush = recorder.broadcast_starts()
            task.in_broadcast = True
            task.together.broadcast(task, call, flush, mask)
            task.wait(None)
            task.in_broadcast = False
            task.ended_broadcast(call)
            recorder.broadcast_ended(flush, task.record)
            if flush in recorder.ipis.flushes:
                self._log(flush, task)

    def _log(self, flush: int, task: Task) -> None:
        me = task.cpu.number
        self.recorder.ipis.add(ipi_rows(self._state, self._n, self._slots[me], me, flush))

    # --- the only task ----------------------------------------------------------------

    def _run_alone(self, start_ns: int, bodies: Mapping[int, Body]) -> Task:
        ((number, body),) = bodies.items()
        cpu = OnlyCpu(number, int(self._words(S.busy_until, self._n)[number]))
        calls = Calls(self.recorder.reasons)
        task = OnlyTask(self.timeline, cpu, 0, self._state, 0, calls)
        self._checkpoints = Checkpoints(self._machine, self._distance, self._n, calls)
        self._replayed.append((len(self.recorder.flushes), self._checkpoints))
        self._broadcast_alone = bound(broadcast_alone, self._machine, self._state, self._distance)
        self.timeline.ahead = Ahead()
        self.timeline.tasks = [task]
        self._begin(task, start_ns, body)
        with ending(self.timeline, [task]):
            self.timeline.run()
        self._words(S.busy_until, self._n)[number] = cpu.busy_until_ns
        return task

    def _alone(self, task: OnlyTask, call: Call) -> None:
        recorder = self.recorder
        flush = recorder.flushes.nr_rows  # nobody else's comes between
        if flush >= self._checkpoints.due:
            self._checkpoints.keep(flush, self._state)
        if call is not task.call:
            task.tell(call)
        start_ns, record = task.met_ns, task.record
        record[_FLUSH], record[_START_NS] = flush, start_ns
        end_ns = self._broadcast_alone()
        preemptible_ns = task.waits_from_ns if call.preemptible_wait else end_ns
        task.ran_broadcast(start_ns, preemptible_ns, end_ns)
        task.met_ns = end_ns
        # The TLB misses come afterwards, spread over what the CPU does then.
        task.planned_ns = end_ns + call.refill_ns
        recorder.counts["on_each_cpu_calls"] += 1
        recorder.flushes.add_words(record)
        if flush in recorder.ipis.flushes:
            self._log(flush, task)

    # --- several tasks ----------------------------------------------------------------

    def _run_together(self, start_ns: int, bodies: Mapping[int, Body]) -> list[Task]:
        calls = Calls(self.recorder.reasons)
        together = Together(self.timeline, self._machine, self._state, self._distance, calls)
        self.timeline.ahead = together
        self._replayed.append((len(self.recorder.flushes), together.checkpoints))
        tasks = [together.task(number, cpu, self._slots[cpu]) for number, cpu in enumerate(bodies)]
        self.timeline.tasks = list(tasks)
        for task in sorted(tasks, key=lambda task: task.cpu.number):
            self._begin(task, start_ns, bodies[task.cpu.number])
        with ending(self.timeline, tasks):
            self.timeline.run()
        return list(tasks)

    def _begin(self, task: FlatTask, start_ns: int, body: Body) -> None:
        self.timeline.begin(task, partial(self._lifetime, task, start_ns, body))

    def _lifetime(self, task: FlatTask, start_ns: int, body: Body) -> None:
        task.start(start_ns)
        body()
        task.meet()
        self.timeline.tasks.remove(task)
        task.cpu.leave(task.met_ns)
        task.settle()

    # --- what is recorded ---------------------------------------------------------------

    def _report(self) -> None:
        # The totals of a phase, which compiled code has counted.
        state, lines, recorder = self._state, self._lines, self.recorder
        for cpu, slot in self._slots.items():
            self._last_of[cpu] = int(state[state[S.tasks] + TASK.words * slot + TASK.nth])
        totals = {name: lines[:, word].copy() for name, word in _TOTALS}
        if len(self._slots) == 1:
            (me,) = self._slots
            for name, word in _ALIKE:
                totals[name] += state[word]
                totals[name][me] -= state[word]
        # What the interrupts of an idle CPU cost is not lost.
        lost = totals["handler_ns"] + totals["refill_ns"] - lines[:, CPU.idle_ns]
        for name, values in (*totals.items(), ("lost_ns", lost)):
            recorder.add_totals(name, values)
        for word in (*dict(_TOTALS).values(), CPU.idle_ns):
            lines[:, word] = 0
        ack = self._words(S.ack_hist, NR_BUCKETS)
        handler = self._words(S.handler_hist, NR_BUCKETS)
        recorder.merge(ack, handler)
        by_range, by_all, _, pages = self._words(S.executed, EXECUTED.words).tolist()
        recorder.counts["do_kernel_range_flush_exec_total"] += by_range
        recorder.counts["do_flush_tlb_all_exec_total"] += by_all
        recorder.counts["flush_tlb_one_kernel_exec_total"] += pages
