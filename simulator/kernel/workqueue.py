# SPDX-License-Identifier: MIT
"""
kernel/workqueue.c: work for later
----------------------------------

Modelled: schedule_work() on system_wq, that is on a kworker of the CPU that
calls it; work that is pending is not queued again; work that runs on another CPU
is queued there, so that it never runs twice at a time.  A kworker is a task of
its own, and gets its CPU when the task that runs there has ended.

Not modelled: a scheduler, so that a kworker never preempts; several kworkers to a
CPU; what becomes of work on a CPU without a task.

Sources: kernel/workqueue.c, alike in v6.1 and v6.12.
"""

from __future__ import annotations

from simulator.kernel.cache import NO_FOLIO, Cache
from simulator.kernel.sched import Sched
from simulator.kernel.structs import WorkStruct

__all__ = ("Workqueue",)


class Workqueue(Sched, Cache):
    """schedule_work() and worker_thread()."""

    def schedule_work(k, work: WorkStruct) -> None:
        """Queue work on this CPU, or where it runs; the task has met."""
        task = k.current
        task.work("bookkeeping", k.cost.atomic.each_ns)
        if not work.pending:
            work.pending = True
            cpu = task.cpu.number if work.runs_on is None else work.runs_on
            k.worklists[cpu].append(work)

    def worker_thread(k) -> None:
        """Let a kworker do what is queued on the CPU of a task that is done."""
        task = k.current
        task.meet()
        worklist = k.worklists[task.cpu.number]
        if not worklist:
            return
        task.hand_over(k.nr_tasks)
        k.nr_tasks += 1
        k.cache.folio = k.cache.read = NO_FOLIO
        # It is woken as any sleeper is.
        task.work("bookkeeping", k.cost.mutex_wakeup.each_ns)
        while worklist:
            work = worklist.popleft()
            work.pending = False
            work.runs_on = task.cpu.number
            getattr(k, work.func)(work)
            task.meet()
            work.runs_on = None
