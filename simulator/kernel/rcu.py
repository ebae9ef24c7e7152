# SPDX-License-Identifier: MIT
"""
kernel/rcu/tree.c: waiting for readers
--------------------------------------

Modelled: synchronize_rcu() as a sleep of the length of one grace period, drawn for
each folio and phase; the CPU of the task idles meanwhile.

Not modelled: readers, so that a grace period ends whatever the other CPUs do;
callers that share a grace period; expedited ones; the interrupts and wake-ups
that a grace period causes.

Sources: kernel/rcu/tree.c; the length is ``costs.synchronize_rcu``.
"""

from __future__ import annotations

from simulator.engine.task import ATOMIC
from simulator.kernel.cache import Cache

__all__ = ("Rcu",)


class Rcu(Cache):
    """synchronize_rcu()."""

    def synchronize_rcu(k) -> None:
        """Wait for a grace period, on behalf of the folio at hand."""
        task = k.current
        if task.holds >= ATOMIC:
            k.sleeps_in_atomic("synchronize_rcu")
        k.counts["synchronize_rcu_calls"] += 1
        task.meet()
        # Keyed by phase and folio: with several tasks, which call is the first is not known before.
        item = k.phase << 32 | k.cache.folio.number
        (grace_ns,) = k.platform.work_draws("synchronize_rcu", item, 1).tolist()
        task.sleep_until(task.now_ns + grace_ns, "rcu")
