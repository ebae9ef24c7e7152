# SPDX-License-Identifier: MIT
"""
The compiled engine
-------------------

SimPy drives the tasks, their locks and the interrupts that hit them; what all
other CPUs answer to a broadcast is computed by compiled code, integer for
integer as :class:`simulator.engine.events.EventsEngine` has it.  See
:mod:`simulator.engine.compiled.broadcast` for the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from simpy.events import Event

from simulator.engine.calls import Call, Ipi
from simulator.engine.compiled import layout as at
from simulator.engine.compiled.broadcast import (
    BLOCKED,
    IN_WORK,
    acks,
    broadcast_alone,
    close_all,
    commit,
    drain,
    polling,
    send,
    shift,
    walk,
)
from simulator.engine.compiled.cpu import EagerCpu
from simulator.engine.compiled.jit import wrapping
from simulator.engine.compiled.replay import Checkpoints, ipi_rows
from simulator.engine.keys import KEY_BITS, Order
from simulator.engine.task import Body, LoneTask, Steps, Task
from simulator.engine.timeline import Timeline
from simulator.trace.ipis import STATES, IpiLog
from simulator.trace.recorder import FUNCTIONS
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


class CompiledEngine:
    """Tasks as SimPy processes, lazy CPUs in flat arrays."""

    def __init__(self, platform: FlatPlatform, recorder: Recorder) -> None:
        self.timeline = Timeline()
        self.platform = platform
        self.recorder = recorder
        self._n = platform.nr_cpus
        self._machine = at.flatten(platform)
        self._distance = np.ascontiguousarray(platform.distance).reshape(-1)
        self._eager: dict[int, EagerCpu] = {}  # of the present phase
        self._ever_eager: dict[int, EagerCpu] = {}
        self._slots: dict[int, int] = {}  # of the CPUs with a task, ascending
        self._flushes_of = [0] * self._n
        self._line = platform.costs["cache_line"]
        self._alike = {"ipis": 0, "refill_ns": 0}  # of every target of the only task
        self.checkpoints = Checkpoints(self._machine, self._distance, self._n)
        self._had_others = False
        self._state = at.new_state(self._n, 1)
        self._allot(1)

    def _allot(self, nr_slots: int) -> None:
        # Room for the tasks of a phase; the CPUs remain as they are.
        lines = self._words(at.CPUS, self._n * at.CPU_WORDS).copy()
        state = self._state = at.new_state(self._n, nr_slots)
        self._cpus = self._words(at.CPUS, self._n * at.CPU_WORDS)
        self._cpus[:] = lines
        self._nr_slots = int(state[at.NR_SLOTS])
        rows = nr_slots * self._n
        self._release = self._words(at.RELEASE, rows)
        self._enqueued = self._words(at.ENQUEUED, rows)
        self._sent = self._words(at.SENT, rows)
        self._acked = self._words(at.ACKED, rows)
        self._seen = self._words(at.SEEN, rows * at.SEEN_WORDS)
        self._calls = self._words(at.CALLS, nr_slots * at.CALL_WORDS)
        self._unreleased = self._words(at.UNRELEASED, nr_slots)
        self._order = self._words(at.ORDER, self._n)
        self._ipis = self._words(at.IPIS, 4 * self._n)
        self._executed = self._words(at.EXECUTED, at.CALL_WORDS)
        self._walking = [False] * nr_slots
        self._blocked: dict[int, Event] = {}  # by slot: wakes its task when all is released

    def _words(self, part: int, length: int) -> at.Int64s:
        first = int(self._state[part])
        return self._state[first : first + length]

    def replay(self, log: IpiLog) -> bool:
        """Fill a log from checkpoints; False where several tasks ran, and it cannot."""
        if self._had_others:
            return False
        wanted = (row for row in range(len(self.recorder.flushes)) if row in log.flushes)
        for rows in self.checkpoints.replay(wanted, self.recorder):
            log.add(rows)
        return True

    def run(self, start_ns: int, bodies: Mapping[int, Body]) -> list[Task]:
        """Run tasks as :meth:`simulator.engine.events.EventsEngine.run` does."""
        self._slots = {cpu: slot for slot, cpu in enumerate(sorted(bodies))}
        self._allot(len(bodies))
        self._make_eager(bodies)
        ended: set[int] = set()
        kind = LoneTask if len(bodies) == 1 else Task
        tasks = [kind(self.timeline, self._eager[cpu], n) for n, cpu in enumerate(bodies)]
        for task in sorted(tasks, key=lambda task: task.cpu.number):
            cpu = task.cpu.number
            self._eager[cpu].task = task
            self.timeline.process(self._lifetime(task, start_ns, bodies[cpu], ended))
        with wrapping():
            self.timeline.run()
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
        if self._nr_slots == 1:
            self.recorder.executed(call.function, call.pages, self._n)
            self._alone(task, call, nth, row)
        else:
            self._had_others = True
            self.recorder.executed(call.function, call.pages)
            yield from self._among_others(task, call, nth, row)
        task.broadcast_ns += task.met_ns - start_ns
        if row in self.recorder.ipis.flushes:
            self.recorder.ipis.add(ipi_rows(self._state, self._n, self._slots[me], me, row))
        task.work(call.categories.local, call.refill_ns)

    # --- the only task ----------------------------------------------------------------

    def _alone(self, task: Task, call: Call, nth: int, row: int) -> None:
        me = task.cpu.number
        start_ns = task.met_ns
        line_ns = 0
        if self._n == 2:
            line_ns = self._line.ns(distance=int(self.platform.distance[me, 1 - me]))
        self.checkpoints.keep(row, me, nth, line_ns, self._cpus)
        self.checkpoints.calls[call.function, call.pages] = call
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
        task.passed_all(call.categories, (walk_end, send_end, local_end, end))
        times = (call.pages, start_ns, send_end, max(last, send_end), end)
        found = (targets, ipis, 0, writes, slowest)
        self.recorder.broadcast_ends(
            row, call.reason, call.function, times + found, task.number, me
        )

    # --- several tasks ----------------------------------------------------------------

    def _among_others(self, task: Task, call: Call, nth: int, row: int) -> Steps:
        n, me, categories = self._n, task.cpu.number, call.categories
        start_ns = task.met_ns
        slot = self._slots[me]
        pages = call.pages if call.function == FUNCTIONS[0] else 0
        self._calls[at.CALL_WORDS * slot : at.CALL_WORDS * (slot + 1)] = (
            call.run_ns,
            call.refill_ns,
            FUNCTIONS.index(call.function),
            pages,
        )
        # 1. Enqueue.
        walk_end = walk(self._machine, self._state, self._distance, slot, me, nth, task.met_ns)
        self._walking[slot] = True
        task.work(categories.enqueue, int(walk_end) - task.met_ns)
        if not task.ready():
            yield from task.meet()
        self._walking[slot] = False
        nr_ipis = commit(self._machine, self._state, slot, me)
        saved = n - 1 - nr_ipis
        # 2. Send.
        writes = 0
        if nr_ipis:
            nr_ipis, writes = yield from self._send(task, slot, nr_ipis, nth, categories.send)
        send_end_ns = task.met_ns
        # 3. Run locally.
        yield from task.local_irq_disable()
        task.work(categories.local, call.run_ns)
        yield from task.local_irq_enable()
        # 4. Wait.
        yield from self._wait(task, slot, nth, categories.wait)
        released = self._release[slot * n : slot * n + n].copy()
        released[me] = 0
        slowest = int(np.argmax(released))
        last_ack_ns = max(int(released[slowest]), send_end_ns)
        times = (call.pages, start_ns, send_end_ns, last_ack_ns, task.met_ns)
        found = (n - 1, int(nr_ipis), int(saved), int(writes), slowest)
        self.recorder.broadcast_ends(
            row, call.reason, call.function, times + found, task.number, me
        )

    def _send(self, task: Task, slot: int, nr_ipis: int, nth: int, category: str) -> Steps:
        me, now_ns = task.cpu.number, task.met_ns
        line_ns = -1  # no polling target
        if nr_ipis == 1:
            target = int(np.argmax(self._sent[slot * self._n : (slot + 1) * self._n]))
            if self._polls(target, now_ns):
                line_ns = self._line.ns(distance=int(self.platform.distance[me, target]))
        if line_ns < 0:
            task.irqs_off()
        end_ns, nr, writes = send(
            self._machine, self._state, self._distance, slot, me, nth, now_ns, line_ns
        )
        polled = line_ns >= 0
        for i, cpu in enumerate(self._order[:nr].tolist()):
            eager = self._eager.get(cpu)
            if eager is not None:
                send_ns, arrive_ns, entry_ns, exit_ns = self._ipis[4 * i : 4 * i + 4].tolist()
                eager.send(Ipi(send_ns, arrive_ns, entry_ns, exit_ns, polled))
        self._wake_blocked()
        if polled:
            return 0, 0
        task.work(category, int(end_ns) - now_ns)
        yield from task.local_irq_enable()
        return nr, writes

    def _wait(self, task: Task, slot: int, nth: int, category: str) -> Steps:
        me = self._eager[task.cpu.number]
        cpu, t_ns, spins, interrupted_ns = 0, task.met_ns, False, 0
        me.handlers.clear()

        def follow(handler_ns: int) -> tuple[int, int, int]:
            return acks(
                self._machine, self._state, self._distance, slot, me.number, nth, cpu, t_ns,
                spins, handler_ns,
            )  # fmt: skip

        while True:
            for start_ns, end_ns, refill_ns in me.handlers:
                what, cpu, left_ns = follow(start_ns)
                if what == IN_WORK:
                    interrupted_ns += end_ns - start_ns + refill_ns
                    t_ns, spins = end_ns + refill_ns + left_ns, False
                    self._acked[slot * self._n + self._before(cpu, me.number)] = t_ns
                else:
                    t_ns, spins = end_ns, True
            me.handlers.clear()
            what, _, done_ns = follow(-1)
            if what == BLOCKED:
                wake = Event(self.timeline)
                self._blocked[slot] = wake
                yield wake
                continue
            # A handler that starts until then changes the plan.
            pending = self.timeline.pending
            done_key = done_ns << KEY_BITS | Order.MEETING | me.number
            if pending and pending[0][0] <= done_key:
                yield self.timeline.at(done_key)
            while me.busy_until_ns > done_ns and not me.handlers:
                # It has started, but not taken its list.
                drain_key = me.busy_until_ns << KEY_BITS | Order.MEETING | me.number
                yield self.timeline.at(drain_key)
            if not me.handlers:
                break
        task.passed(int(done_ns), category, interrupted_ns)

    @staticmethod
    def _before(cpu: int, me: int) -> int:
        # The CPU whose csd was read last; the initiator's own cell, unused, if none was.
        cpu -= 1
        if cpu == me:
            cpu -= 1
        return cpu if cpu >= 0 else me

    def _polls(self, cpu: int, t_ns: int) -> bool:
        eager = self._eager.get(cpu)
        if eager is not None:
            return eager.polls_at(t_ns)
        return bool(polling(self._machine, self._state, cpu, t_ns))

    def _wake_blocked(self) -> None:
        for slot, wake in list(self._blocked.items()):
            if not self._unreleased[slot]:
                del self._blocked[slot]
                wake.succeed()

    # --- CPUs with a task ---------------------------------------------------------------

    def _make_eager(self, bodies: Mapping[int, Body]) -> None:
        lines = self._cpus.reshape(self._n, at.CPU_WORDS)
        for cpu, eager in self._eager.items():
            lines[cpu, at.BUSY_UNTIL] = eager.busy_until_ns
            lines[cpu, at.STATE] = STATES.index(eager.found)
            lines[cpu, at.EAGER] = 0
        self._eager = {}
        for cpu in bodies:
            if cpu not in self._ever_eager:
                self._ever_eager[cpu] = EagerCpu(
                    self.timeline, cpu, self.platform, self.recorder, self._drained, self._stolen
                )
                self.timeline.process(self._ever_eager[cpu].life())
            eager = self._ever_eager[cpu]
            eager.resume(int(lines[cpu, at.BUSY_UNTIL]), STATES[lines[cpu, at.STATE]])
            lines[cpu, at.EAGER] = 1
            self._eager[cpu] = eager

    def _drained(
        self, cpu: EagerCpu, drain_ns: int, state: str, start_ns: int, ipi: Ipi
    ) -> tuple[int, int]:
        # The list of an eager CPU is taken, and its calls run.
        end_ns, refill_ns = drain(
            self._machine, self._state, cpu.number, ipi.arrive_ns, start_ns, drain_ns,
            STATES.index(state),
        )  # fmt: skip
        self._wake_blocked()
        return int(end_ns), int(refill_ns)

    def _stolen(self, cpu: EagerCpu, from_ns: int, by_ns: int) -> None:
        # A handler runs on a CPU: what its task has yet to enqueue comes later.
        slot = self._slots[cpu.number]
        if self._walking[slot]:
            shift(self._machine, self._state, slot, from_ns, by_ns)

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
        lines = self._cpus.reshape(self._n, at.CPU_WORDS)
        recorder = self.recorder
        totals = {name: lines[:, word].copy() for name, word in _TOTALS}
        if self._nr_slots == 1:
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
        by_range, by_all, _, pages = self._executed.tolist()
        recorder.counts["do_kernel_range_flush_exec_total"] += by_range
        recorder.counts["do_flush_tlb_all_exec_total"] += by_all
        recorder.counts["flush_tlb_one_kernel_exec_total"] += pages
