# SPDX-License-Identifier: MIT
"""
kernel/sched/core.c: where a task may be preempted
--------------------------------------------------

Modelled: what cond_resched() costs.

Not modelled: a scheduler.
"""

from __future__ import annotations

from simulator.engine.task import ATOMIC
from simulator.kernel.base import KernelBase

__all__ = ("Sched",)


class Sched(KernelBase):
    """cond_resched()."""

    def cond_resched(k) -> None:
        """Let others run, if there were any."""
        task = k.current
        if task.holds >= ATOMIC:
            k.sleeps_in_atomic("cond_resched")
        ns = k.cost.cond_resched.each_ns
        task.planned_ns += ns  # as Task.work(), without a call
        task.time_by["bookkeeping"] += ns
