# SPDX-License-Identifier: MIT
"""
The rules in Python, for one task
---------------------------------

What the leanest SimPy form and salabim share: everything but the events.  Costs
are drawn a flush at a time.
"""

from __future__ import annotations

import numpy as np

from benchmarks.work import THINK_NS, Int64s, Outcome, Work, checksum
from simulator.engine.compiled.flat.state import FOUND
from simulator.trace.tables import NR_BUCKETS, bucket_of

__all__ = ("OneTask",)


class OneTask:
    """A task that flushes in a loop, and the CPUs that answer."""

    def __init__(self, work: Work, *, checked: bool) -> None:
        self._work = work
        self._checked = checked
        self._platform = work.platform
        self._spells = work.platform.spells
        (self._me,) = work.task_cpus
        self._others = [cpu for cpu in range(work.cpus) if cpu != self._me]
        (write,) = self._platform.icr_writes(self._me, self._others)
        self._write = write
        self._run_ns = work.call.run_ns
        self._polled = False
        self._start_ns = self._send_end_ns = 0
        self._enqueue_ns: list[int] = []
        self._entry_ns: list[int] = []
        self._exit_ns: list[int] = []
        by_cpu = [0] * work.cpus
        self._release_ns, self._busy_until_ns, self._found = by_cpu[:], by_cpu[:], by_cpu[:]
        self._handler_ns, self._idle_woken = by_cpu[:], by_cpu[:]
        self._irqs_off_delay_ns = by_cpu[:]
        self._ack, self._handler = [0] * NR_BUCKETS, [0] * NR_BUCKETS
        self._latency_ns: list[int] = []
        self._releases = 0

    def begin(self, nth: int, now_ns: int) -> list[tuple[int, int]]:
        """Start a flush after some thought: return the CPUs, and when interrupts reach them."""
        platform, me, costs = self._platform, self._me, self._platform.costs
        self._start_ns = now_ns + THINK_NS
        # Enqueue: every queue is empty.
        step_ns = platform.ipi_draws("enqueue", me, nth)
        step_ns[me] = 0
        enqueue_ns = self._start_ns + costs["flush_base"].ns() + np.cumsum(step_ns)
        self._enqueue_ns = enqueue_ns.tolist()
        t_ns = self._enqueue_ns[-1]
        # Send.
        self._exit_ns = platform.ipi_draws("handler_exit", me, nth).tolist()
        self._polled = len(self._others) == 1 and self._polls(self._others[0], t_ns)
        if self._polled:
            (cpu,) = self._others
            self._send_end_ns = t_ns
            self._entry_ns = [costs["poll_wake"].ns()] * self._work.cpus
            distance = int(platform.distance[me, cpu])
            return [(cpu, t_ns + costs["cache_line"].ns(distance=distance))]
        self._entry_ns = platform.ipi_draws("handler_entry", me, nth).tolist()
        inject_ns = platform.ipi_draws("inject", me, nth)
        inject_ns[me] = 0
        sent_ns = t_ns + costs["send"].ns() + np.cumsum(inject_ns)
        self._send_end_ns = int(sent_ns[-1])
        arrive_ns = (sent_ns + platform.ipi_draws("deliver", me, nth)).tolist()
        return [(cpu, arrive_ns[cpu]) for cpu in self._write]

    def answer(self, cpu: int, arrive_ns: int) -> tuple[int, int]:
        """Return in which state an interrupt finds a CPU, and when its handler starts."""
        busy_until_ns = self._busy_until_ns[cpu]
        if busy_until_ns > arrive_ns:
            return (FOUND.idle if self._found[cpu] == FOUND.idle else FOUND.running), busy_until_ns
        spells = self._spells
        since_ns = spells.idle_since(cpu, arrive_ns)
        if since_ns >= 0:
            if self._polled:
                return FOUND.idle, arrive_ns
            depth = self._platform.idle_state(arrive_ns - max(since_ns, busy_until_ns))
            return FOUND.idle, arrive_ns + depth.exit_ns
        resumed_ns = spells.preempted_until(cpu, arrive_ns)
        start_ns = spells.irqs_off_until(cpu, resumed_ns)
        if resumed_ns > arrive_ns:
            return FOUND.preempted, start_ns
        return (FOUND.irqs_off if start_ns > resumed_ns else FOUND.running), start_ns

    def entry_ns(self, cpu: int) -> int:
        """From the start of a handler until it takes the list."""
        return self._entry_ns[cpu]

    def settle(self, cpu: int, state: int, arrive_ns: int, start_ns: int) -> None:
        """Account for a handler."""
        release_ns = start_ns + self._entry_ns[cpu] + self._run_ns
        end_ns = release_ns + self._exit_ns[cpu]
        self._release_ns[cpu] = release_ns
        self._ack[bucket_of(release_ns - self._enqueue_ns[cpu])] += 1
        self._busy_until_ns[cpu] = end_ns
        self._found[cpu] = state
        self._handler_ns[cpu] += end_ns - start_ns
        self._handler[bucket_of(end_ns - start_ns)] += 1
        if state == FOUND.idle:
            self._idle_woken[cpu] += 1
        elif state == FOUND.irqs_off:
            self._irqs_off_delay_ns[cpu] += start_ns - arrive_ns

    def end(self, nth: int) -> int:
        """End a flush, when all CPUs have answered: return the time."""
        release_ns = self._release_ns
        read_ns = self._platform.ipi_draws("ack", self._me, nth).tolist()
        t_ns = self._send_end_ns + self._run_ns
        for cpu in self._others:
            if release_ns[cpu] > t_ns:  # noqa: PLR1730  # max() would be a call
                t_ns = release_ns[cpu]
            t_ns += read_ns[cpu]
        self._latency_ns.append(t_ns - self._start_ns)
        if self._checked:
            self._add_releases(nth)
        return t_ns + self._work.call.refill_ns

    def outcome(self) -> Outcome:
        """Return what came out."""
        refill_ns = np.full(self._work.cpus, self._work.flushes * self._work.call.refill_ns)
        refill_ns[self._me] = 0
        return Outcome(
            latency_ns=np.array(self._latency_ns, dtype=np.int64),
            handler_ns=np.array(self._handler_ns, dtype=np.int64),
            refill_ns=refill_ns,
            idle_woken=np.array(self._idle_woken, dtype=np.int64),
            irqs_off_delay_ns=np.array(self._irqs_off_delay_ns, dtype=np.int64),
            ack=np.array(self._ack, dtype=np.int64),
            handler=np.array(self._handler, dtype=np.int64),
            releases=self._releases if self._checked else None,
        )

    def _polls(self, cpu: int, t_ns: int) -> bool:
        busy_until_ns = self._busy_until_ns[cpu]
        since_ns = self._spells.idle_since(cpu, t_ns)
        if since_ns < 0 or busy_until_ns > t_ns:
            return False
        return self._platform.idle_state(t_ns - max(since_ns, busy_until_ns)).polling

    def _add_releases(self, nth: int) -> None:
        cpus = np.array(self._others, dtype=np.int64)
        release_ns: Int64s = np.array(self._release_ns, dtype=np.int64)[cpus]
        added = checksum(np.full_like(cpus, self._me), np.full_like(cpus, nth), cpus, release_ns)
        self._releases = (self._releases + added) % 2**64
