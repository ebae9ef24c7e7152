# SPDX-License-Identifier: MIT
"""
Flushes that no interrupt carries
---------------------------------

What hardware does for a flush takes time at one server for the whole machine
(:class:`Fabric`), for which tasks wait as for a lock: no queue of calls, no interrupt and
no csd, so that neither engine's interrupts are touched and both give the same answers.
Other CPUs lose TLB misses afterwards, and whatever time the hardware stops them for.

Modelled: one FIFO server by the key of the request; a stall and the refills of the CPU
of another task shift the rest of its work, those of a CPU that idles cost nothing.

Not modelled: a stall of a task that is in a broadcast, or that waits; it has nothing to
do meanwhile.  What a fabric does to other traffic.

Sources: :mod:`simulator.kernel.tlb`, for who flushes how.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from simulator.engine.calls import Call
    from simulator.engine.platform import Platform
    from simulator.engine.task import Task
    from simulator.engine.timeline import Timeline
    from simulator.trace.recorder import Recorder

__all__ = ("Fabric", "Hardware", "HardwareFlush")

Int64s = npt.NDArray[np.int64]


class Fabric:
    """A server of capacity 1; requests come in the order of their keys."""

    __slots__ = ("_ends_ns",)

    def __init__(self) -> None:
        self._ends_ns: deque[int] = deque()

    def serve(self, now_ns: int, service_ns: int) -> tuple[int, int, int]:
        """Take a request; return how many are before it, when it is begun, and when done."""
        ends = self._ends_ns
        while ends and ends[0] <= now_ns:
            ends.popleft()
        begin_ns = ends[-1] if ends else now_ns
        ends.append(begin_ns + service_ns)
        return len(ends) - 1, begin_ns, begin_ns + service_ns


class HardwareFlush:
    """A flush under way: who began it when, how, and what became of it at the server."""

    __slots__ = ("ahead", "begin_ns", "call", "mechanism", "nth", "row", "start_ns", "task")

    def __init__(self, task: Task, mechanism: str, call: Call, row: int, nth: int) -> None:
        self.task = task
        self.mechanism = mechanism
        self.call = call
        self.row = row
        #: Counts the flushes of this initiator, for draws.
        self.nth = nth
        self.start_ns = self.begin_ns = task.now_ns
        self.ahead = 0


class Hardware:
    """The flushes of one machine that no interrupt carries, and what they do to its CPUs."""

    def __init__(self, timeline: Timeline, platform: Platform, recorder: Recorder) -> None:
        self._timeline = timeline
        self._spells = platform.spells
        self._recorder = recorder
        self._n = platform.nr_cpus
        self._nth = [0] * self._n
        self._fabric = Fabric()
        self._totals = self._nothing()

    def begin(self, mechanism: str, call: Call) -> HardwareFlush:
        """Begin a flush of the task that runs."""
        task = self._timeline.current
        task.meet()
        cpu = task.cpu.number
        flush = HardwareFlush(
            task, mechanism, call, self._recorder.hardware_starts(), self._nth[cpu]
        )
        self._nth[cpu] += 1
        return flush

    def serve(self, flush: HardwareFlush, service_ns: int) -> None:
        """Wait until the server has done what it is asked for; interrupts as they are."""
        task = flush.task
        task.meet()
        now_ns = task.met_ns
        flush.ahead, flush.begin_ns, end_ns = self._fabric.serve(now_ns, service_ns)
        task.wait_until(end_ns, flush.call.categories.wait)

    def end(self, flush: HardwareFlush, stall_ns: int | Int64s, nr_interrupted: int = 0) -> None:
        """
        End a flush, and charge every other CPU: ``stall_ns``, for all or by CPU, and refills.

        ``nr_interrupted`` CPUs were interrupted for it by means that are no call queue.
        """
        task, call = flush.task, flush.call
        task.meet()
        now_ns = task.met_ns
        task.broadcast_ns += now_ns - flush.start_ns
        times = (call.pages, flush.start_ns, flush.begin_ns, now_ns, now_ns)
        found = (self._n - 1, nr_interrupted, 0, 0, -1)
        cpu = task.cpu.number
        self._recorder.broadcast_ends(
            flush.row, call.reason, call.kind, times + found, task.number, cpu
        )
        self._recorder.by_hardware(flush.row, flush.mechanism, flush.ahead)
        self._charge(cpu, now_ns, stall_ns, call.refill_ns)
        # The TLB misses come afterwards, spread over what the CPU does then.
        task.work(call.categories.local, call.refill_ns)

    def report(self) -> None:
        """Hand the totals of a phase to the recorder, at its end."""
        for name, values in self._totals.items():
            if values.any():
                self._recorder.add_totals(name, values)
        self._totals = self._nothing()

    def _nothing(self) -> dict[str, Int64s]:
        names = ("stall_ns", "refill_ns", "lost_ns")
        return {name: np.zeros(self._n, dtype=np.int64) for name in names}

    def _charge(self, me: int, now_ns: int, stall_ns: int | Int64s, refill_ns: int) -> None:
        others = np.ones(self._n, dtype=np.int64)
        others[me] = 0
        stalled = others * stall_ns
        refilled = others * refill_ns
        idle = self._spells.idle_at(now_ns)
        lost = stalled + refilled
        if idle is not None:
            lost[idle] = 0
        for task in self._timeline.tasks:
            cpu = task.cpu.number
            if cpu != me:
                lost_ns = int(stalled[cpu] + refilled[cpu])
                lost[cpu] = lost_ns if task.in_broadcast or task.cpu.stall(lost_ns) else 0
        totals = self._totals
        totals["stall_ns"] += stalled
        totals["refill_ns"] += refilled
        totals["lost_ns"] += lost
