# SPDX-License-Identifier: MIT
"""
The events engine
-----------------

SimPy with a process for every CPU and an event for every interrupt: the
definition of the model.  The engine runs tasks and carries out
:meth:`EventsEngine.on_each_cpu`, which is ``smp_call_function_many_cond()`` of
kernel/smp.c with ``SCF_WAIT | SCF_RUN_LOCAL``:

1. the initiator enqueues a csd on every other CPU, in ascending CPU number; a
   CPU whose queue was not empty gets no IPI;
2. the remaining mask decides how the IPIs are sent; if one CPU remains and it
   idles polling, it gets none; the sender takes no interrupts meanwhile;
3. the function runs locally, with interrupts off;
4. the initiator waits for each csd in turn, with interrupts on.

An IPI takes at least a nanosecond to arrive, and its handler one to take the list,
whatever their costs: the key of an event is above that of its cause.

Modelled: the cost of every step above, with draws keyed by (purpose, initiator,
its flush number, CPU).  A mask of CPUs, which are then the only targets.  Contention of
several initiators, see :mod:`simulator.engine.cpu`.

Not modelled: the interrupt controller's own queueing.

Sources: kernel/smp.c and arch/x86/kernel/apic/ipi.c, alike in substance in
Linux v6.1 and v6.12.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from simpy.events import Event

from simulator.engine.calls import Call, Csd, Ipi
from simulator.engine.cpu import Cpu
from simulator.engine.ending import ending
from simulator.engine.event_queue import EventQueue
from simulator.engine.task import Body, Task
from simulator.errors import KernelError
from simulator.trace.words import STATES

if TYPE_CHECKING:
    from simulator.engine.platform import Platform
    from simulator.trace.ipis import IpiLog
    from simulator.trace.recorder import Recorder

__all__ = ("EventsEngine",)


class EventsEngine:
    """CPUs, tasks and broadcasts as SimPy events."""

    def __init__(self, platform: Platform, recorder: Recorder) -> None:
        self.timeline = EventQueue()
        self.platform = platform
        self.recorder = recorder
        self.cpus = tuple(
            Cpu(self.timeline, number, platform, recorder) for number in range(platform.nr_cpus)
        )
        for cpu in self.cpus:
            self.timeline.process(cpu.life())
        self._flushes_of = [0] * platform.nr_cpus  # broadcasts so far, by initiator
        self._base_ns = platform.costs["flush_base"].ns()
        self._send_ns = platform.costs["send"].ns()
        self._send_return_ns = platform.costs["send_return"].ns()
        self._poll_wake_ns = max(1, platform.costs["poll_wake"].ns())

    def run(
        self,
        start_ns: int,
        bodies: Mapping[int, Body],
        *,
        masked: bool = False,  # noqa: ARG002 - as the other engine
    ) -> list[Task]:
        """
        Run tasks, each on the CPU of its key, from a time to the end of the last one.

        ``masked`` says that broadcasts may have masks.  Returns the tasks, ended, in the order
        given.  Raises KernelError if one of them
        can never go on, or ends with a lock.
        """
        tasks = [Task(self.timeline, self.cpus[cpu], n) for n, cpu in enumerate(bodies)]
        # In the order of their keys: SimPy's present may be later in this nanosecond already.
        for task in sorted(tasks, key=lambda task: task.cpu.number):
            cpu = task.cpu.number
            self.cpus[cpu].task = task
            self.timeline.process(
                task.process(partial(self._lifetime, task, start_ns, bodies[cpu]))
            )
        self.timeline.tasks = list(tasks)
        with ending(self.timeline, tasks):
            self.timeline.run()
        return tasks

    def replay(self, log: IpiLog) -> bool:  # noqa: ARG002 - as the other engine
        """Fill a log from checkpoints: this engine keeps none, so False."""
        return False

    def on_each_cpu(self, call: Call, mask: Collection[int] | None = None) -> None:
        """Run a call on this CPU and every other, or those of a mask, and wait for all of them."""
        task = self.timeline.current
        me = task.cpu
        if me.irqs_off:
            raise KernelError(f"{call.reason}: a broadcast with interrupts off would deadlock")
        task.meet()
        task.in_broadcast = True
        categories = call.categories
        nth = self._flushes_of[me.number]
        self._flushes_of[me.number] += 1
        start_ns = task.now_ns
        row = self.recorder.broadcast_starts()
        task.work(categories.enqueue, self._base_ns)

        asked = self.cpus if mask is None else [self.cpus[number] for number in sorted(mask)]
        targets = [cpu for cpu in asked if cpu is not me]
        csds, ipi_mask = self._enqueue(task, call, nth, targets)
        saved = len(csds) - len(ipi_mask)
        icr_writes = self._send(task, csds, ipi_mask, nth)
        send_end_ns = task.met_ns

        task.local_irq_disable()
        task.work(categories.local, call.run_ns)
        self.recorder.executed(call.kind, call.pages)
        task.local_irq_enable()
        waits_ns = task.met_ns

        last_release_ns, slowest_cpu = self._wait(task, csds, categories.wait, nth, row)
        task.meet()
        task.in_broadcast = False
        end_ns = task.now_ns
        task.ran_broadcast(start_ns, waits_ns if call.preemptible_wait else end_ns, end_ns)
        last_ack_ns = max(last_release_ns, send_end_ns)
        times = (call.pages, start_ns, send_end_ns, last_ack_ns, end_ns)
        found = (len(csds), len(ipi_mask), saved, icr_writes, slowest_cpu)
        self.recorder.broadcast_ends(
            row, call.reason, call.kind, times + found, task.number, me.number
        )
        # The TLB misses come afterwards, spread over what the CPU does then.
        task.work(categories.local, call.refill_ns)

    def _lifetime(self, task: Task, start_ns: int, body: Body) -> None:
        task.start(start_ns)
        body()
        task.meet()
        self.timeline.tasks.remove(task)
        task.cpu.leave(task.now_ns)

    def _enqueue(
        self, task: Task, call: Call, nth: int, targets: list[Cpu]
    ) -> tuple[list[Csd], list[int]]:
        # Step 1: returns the csds, and the CPUs that need an IPI.
        me = task.cpu
        if not targets:
            task.meet()
            return [], []
        category = call.categories.enqueue
        enqueue_ns = self.platform.ipi_draws("enqueue", me.number, nth).tolist()
        csds = []
        mask = []
        for target in targets:
            task.work(category, enqueue_ns[target.number])
            task.meet()
            was_empty = not target.queue
            csd = Csd(target.number, call, task.now_ns, was_empty)
            target.queue.append(csd)
            csds.append(csd)
            if was_empty:
                mask.append(target.number)
        return csds, mask

    def _send(self, task: Task, csds: list[Csd], mask: list[int], nth: int) -> int:
        # Step 2: returns the number of interrupt-controller writes or hypercalls.
        me = task.cpu.number
        if not mask:
            return 0
        deliver_ns = self.platform.ipi_draws("deliver", me, nth).tolist()
        entry_ns = self.platform.ipi_draws("handler_entry", me, nth).tolist()
        exit_ns = self.platform.ipi_draws("handler_exit", me, nth).tolist()
        if len(mask) == 1:
            task.meet()
            now_ns = task.now_ns
            target = self.cpus[mask[0]]
            if target.polls_at(now_ns):
                csd = next(csd for csd in csds if csd.cpu == target.number)
                self._wake_polling(csd, me, now_ns, exit_ns[target.number])
                mask.clear()
                return 0
        task.local_irq_disable()
        inject_ns = self.platform.ipi_draws("inject", me, nth).tolist()
        t_ns = task.now_ns
        writes = self.platform.icr_writes(me, mask)
        for destinations in writes:
            t_ns += self._send_ns
            for cpu in destinations:
                t_ns += inject_ns[cpu]
                arrive_ns = t_ns + max(1, deliver_ns[cpu])
                ipi = Ipi(t_ns, arrive_ns, max(1, entry_ns[cpu]), exit_ns[cpu], False)
                self.cpus[cpu].send(ipi)
            # The interrupts are on their way while the sender comes back.
            t_ns += self._send_return_ns
        task.work(csds[0].call.categories.send, t_ns - task.now_ns)
        task.local_irq_enable()
        return len(writes)

    def _wait(
        self, task: Task, csds: list[Csd], category: str, nth: int, row: int
    ) -> tuple[int, int]:
        # Step 4: returns the time of the last release, and the CPU that made it.
        if not csds:
            return 0, -1
        log = self.recorder.ipis
        rows: list[tuple[int, ...]] | None = [] if row in log.flushes else None
        read_ns = self.platform.ipi_draws("ack", task.cpu.number, nth).tolist()
        last_ns, slowest_cpu = 0, -1
        for csd in csds:
            if csd.release_ns < 0:
                task.meet()
                if csd.release_ns < 0:
                    csd.waiter = Event(self.timeline)
                    task.wait(csd.waiter)
                    # It has spun since it met: handlers meanwhile are part of the wait.
                    task.wait_until(csd.release_ns, category)
            if csd.release_ns > task.planned_ns:
                task.meet()
                task.wait_until(csd.release_ns, category)
            task.work(category, read_ns[csd.cpu])
            if csd.release_ns > last_ns:
                last_ns, slowest_cpu = csd.release_ns, csd.cpu
            if rows is not None:
                times = (csd.enqueue_ns, csd.send_ns, csd.arrive_ns, csd.start_ns, csd.release_ns)
                task.meet()
                ack_ns = task.now_ns
                rows.append((row, csd.cpu, *times, ack_ns, STATES.index(csd.state), csd.sent))
        if rows is not None:
            log.add(np.array(rows, dtype=np.int64))
        return last_ns, slowest_cpu

    def _wake_polling(self, csd: Csd, me: int, now_ns: int, exit_ns: int) -> None:
        # The target sees TIF_NEED_RESCHED in its idle loop and runs its queue from there.
        distance = int(self.platform.distance[me, csd.cpu])
        seen_ns = now_ns + max(1, self.platform.costs["cache_line"].ns(distance=distance))
        csd.sent = False
        self.cpus[csd.cpu].send(Ipi(-1, seen_ns, self._poll_wake_ns, exit_ns, True))
