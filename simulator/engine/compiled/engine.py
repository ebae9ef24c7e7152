# SPDX-License-Identifier: MIT
"""
The compiled engine
-------------------

SimPy drives the tasks and their locks; what the CPUs answer to a broadcast is
computed by compiled code, integer for integer as
:class:`simulator.engine.events.EventsEngine` has it.  See
:mod:`simulator.engine.compiled.broadcast` for an only task, and
:mod:`simulator.engine.compiled.queues` for the method with several.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from simulator.engine.calls import Call
from simulator.engine.compiled import layout as at
from simulator.engine.compiled import task_words as of
from simulator.engine.compiled.broadcast import broadcast_alone
from simulator.engine.compiled.cpu import OnlyCpu
from simulator.engine.compiled.jit import wrapping
from simulator.engine.compiled.queues import close_all
from simulator.engine.compiled.replay import Checkpoints, ipi_rows
from simulator.engine.compiled.replay_together import SharedCheckpoints
from simulator.engine.compiled.together import InterruptedTask, Together
from simulator.engine.task import Body, LoneTask, Steps, Task
from simulator.engine.timeline import Timeline
from simulator.trace.ipis import IpiLog
from simulator.trace.tables import NR_BUCKETS

if TYPE_CHECKING:
    from simulator.engine.compiled.platform import FlatPlatform
    from simulator.trace.recorder import Recorder

__all__ = ("CompiledEngine",)

_TOTALS = (
    ("ipis", at.TAKEN_IPIS),
    ("handler_ns", at.HANDLER_NS),
    ("refill_ns", at.REFILL_NS),
    ("idle_woken", at.IDLE_WOKEN),
    ("irqs_off_delay_ns", at.IRQS_OFF_DELAY_NS),
)

# What the words of a task tell for the columns from ``ipis`` on.
_FOUND = (of.NR_IPIS, of.NR_SAVED, of.WRITES, of.SLOWEST)


class CompiledEngine:
    """Tasks as SimPy processes, all other CPUs in flat arrays."""

    def __init__(self, platform: FlatPlatform, recorder: Recorder) -> None:
        self.timeline = Timeline()
        self.platform = platform
        self.recorder = recorder
        self._n = platform.nr_cpus
        self._machine = at.flatten(platform)
        self._distance = np.ascontiguousarray(platform.distance).reshape(-1)
        self._slots: dict[int, int] = {}  # of the CPUs with a task, ascending
        self._flushes_of = [0] * self._n
        self._line = platform.costs["cache_line"]
        self._alike = {"ipis": 0, "refill_ns": 0}  # of every target of the only task
        self._checkpoints = Checkpoints(self._machine, self._distance, self._n)  # of the phase
        #: By phase: its first broadcast, and what replays it.
        self._replayed: list[tuple[int, Checkpoints | SharedCheckpoints]] = []
        self._state = at.new_state(self._n, 1)
        self._lines = self._words(at.CPUS, self._n * at.CPU_WORDS).reshape(self._n, at.CPU_WORDS)

    def _allot(self, nr_slots: int) -> None:
        # Room for the tasks of a phase; the CPUs remain as they are.
        before = self._lines
        self._state = at.new_state(self._n, nr_slots)
        self._lines = self._words(at.CPUS, self._n * at.CPU_WORDS).reshape(self._n, at.CPU_WORDS)
        self._lines[:] = before
        self._lines[:, at.EAGER] = 0

    def _words(self, part: int, length: int) -> at.Int64s:
        first = int(self._state[part])
        return self._state[first : first + length]

    def replay(self, log: IpiLog) -> bool:
        """Fill a log from checkpoints; True, as it always can."""
        ends = [first for first, _ in self._replayed[1:]] + [len(self.recorder.flushes)]
        for (first, checkpoints), end in zip(self._replayed, ends, strict=True):
            wanted = [row for row in range(first, end) if row in log.flushes]
            for rows in checkpoints.replay(wanted, self.recorder):
                log.add(rows)
        return True

    def run(self, start_ns: int, bodies: Mapping[int, Body]) -> list[Task]:
        """Run tasks as :meth:`simulator.engine.events.EventsEngine.run` does."""
        self._slots = {cpu: slot for slot, cpu in enumerate(sorted(bodies))}
        self._allot(len(bodies))
        ended: set[int] = set()
        with wrapping():
            if len(bodies) == 1:
                tasks = self._run_alone(start_ns, bodies, ended)
            else:
                tasks = self._run_together(start_ns, bodies, ended)
            close_all(self._machine, self._state)
        if len(ended) < len(tasks):
            raise RuntimeError("a task waits for something that never happens")
        self._report()
        return tasks

    def on_each_cpu(self, task: Task, call: Call) -> Steps:
        """Run a call on every CPU and wait for all of them; generator."""
        me = task.cpu.number
        if task.cpu.irqs_off:
            raise RuntimeError(f"{call.reason}: a broadcast with interrupts off would deadlock")
        if not task.ready():
            yield from task.meet()
        nth = self._flushes_of[me]
        self._flushes_of[me] += 1
        start_ns = task.met_ns
        row = self.recorder.broadcast_starts()
        if isinstance(task, InterruptedTask):
            yield from self._among_others(task, call, nth, row)
        else:
            self._alone(task, call, nth, row)
        task.broadcast_ns += task.met_ns - start_ns
        if row in self.recorder.ipis.flushes:
            self.recorder.ipis.add(ipi_rows(self._state, self._n, self._slots[me], me, row))
        task.work(call.categories.local, call.refill_ns)

    # --- the only task ----------------------------------------------------------------

    def _run_alone(self, start_ns: int, bodies: Mapping[int, Body], ended: set[int]) -> list[Task]:
        ((number, body),) = bodies.items()
        cpu = OnlyCpu(number, int(self._lines[number, at.BUSY_UNTIL]))
        task = LoneTask(self.timeline, cpu, 0)
        self._checkpoints = Checkpoints(self._machine, self._distance, self._n)
        self._replayed.append((len(self.recorder.flushes), self._checkpoints))
        self.timeline.process(self._lifetime(task, start_ns, body, ended))
        self.timeline.run()
        self._lines[number, at.BUSY_UNTIL] = cpu.busy_until_ns
        return [task]

    def _alone(self, task: Task, call: Call, nth: int, row: int) -> None:
        me = task.cpu.number
        start_ns = task.met_ns
        self.recorder.executed(call.function, call.pages, self._n)
        line_ns = 0
        if self._n == 2:
            line_ns = self._line.ns(distance=int(self.platform.distance[me, 1 - me]))
        self._checkpoints.keep(row, me, nth, line_ns, self._lines, call)
        walk_end, send_end, local_end, end, last, ipis, writes, slowest = broadcast_alone(
            self._machine, self._state, self._distance, me, nth, start_ns, call.run_ns,
            call.refill_ns, line_ns, row in self.recorder.ipis.flushes,
        )  # fmt: skip
        targets = self._n - 1
        if targets:
            # Every other CPU took one interrupt, if any, and lost one refill.
            self._alike["ipis"] += ipis // targets
            self._alike["refill_ns"] += call.refill_ns
        task.irqs_off_max_ns = max(task.irqs_off_max_ns, send_end - walk_end, call.run_ns)
        task.passed_broadcast(call.categories, walk_end, send_end, local_end, end)
        times = (call.pages, start_ns, send_end, max(last, send_end), end)
        found = (targets, ipis, 0, writes, slowest)
        self.recorder.broadcast_ends(
            row, call.reason, call.function, times + found, task.number, me
        )

    # --- several tasks ----------------------------------------------------------------

    def _run_together(
        self, start_ns: int, bodies: Mapping[int, Body], ended: set[int]
    ) -> list[Task]:
        together = Together(self.timeline, self._machine, self._state, self._distance)
        self._replayed.append((len(self.recorder.flushes), together.checkpoints))
        tasks: list[Task] = [
            together.task(number, cpu, self._slots[cpu]) for number, cpu in enumerate(bodies)
        ]
        for task in sorted(tasks, key=lambda task: task.cpu.number):
            body = bodies[task.cpu.number]
            self.timeline.process(self._lifetime(task, start_ns, body, ended))
        together.run()
        return tasks

    def _among_others(self, task: InterruptedTask, call: Call, nth: int, row: int) -> Steps:
        start_ns = task.met_ns
        self.recorder.executed(call.function, call.pages)
        told = yield from task.together.broadcast(task, call, nth, row)
        send_end_ns = told[of.SEND_END]
        last_ack_ns = max(told[of.LAST], send_end_ns)
        times = (call.pages, start_ns, send_end_ns, last_ack_ns, task.met_ns)
        found = (self._n - 1, *(told[word] for word in _FOUND))
        self.recorder.broadcast_ends(
            row, call.reason, call.function, times + found, task.number, task.cpu.number
        )

    def _lifetime(self, task: Task, start_ns: int, body: Body, ended: set[int]) -> Steps:
        yield from task.start(start_ns)
        yield from body(task)
        if not task.ready():
            yield from task.meet()
        task.cpu.leave(task.met_ns)
        ended.add(task.number)

    # --- what is recorded ---------------------------------------------------------------

    def _report(self) -> None:
        # The totals of a phase, which compiled code has counted.
        lines, recorder = self._lines, self.recorder
        totals = {name: lines[:, word].copy() for name, word in _TOTALS}
        if len(self._slots) == 1:
            (me,) = self._slots
            for name, value in self._alike.items():
                totals[name] += value
                totals[name][me] -= value
        # What the interrupts of an idle CPU cost is not lost.
        lost = totals["handler_ns"] + totals["refill_ns"] - lines[:, at.IDLE_NS]
        for name, values in (*totals.items(), ("lost_ns", lost)):
            recorder.add_totals(name, values)
        for word in (*dict(_TOTALS).values(), at.IDLE_NS):
            lines[:, word] = 0
        self._alike = dict.fromkeys(self._alike, 0)
        ack = self._words(at.ACK_HIST, NR_BUCKETS)
        handler = self._words(at.HANDLER_HIST, NR_BUCKETS)
        recorder.merge(ack, handler)
        by_range, by_all, _, pages = self._words(at.EXECUTED, at.CALL_WORDS).tolist()
        recorder.counts["do_kernel_range_flush_exec_total"] += by_range
        recorder.counts["do_flush_tlb_all_exec_total"] += by_all
        recorder.counts["flush_tlb_one_kernel_exec_total"] += pages
