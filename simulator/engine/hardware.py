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
do meanwhile.  Of CPUs that stand still, when exactly a task stops (at once) and goes on
(with the last).  How deep a CPU idles whose task sleeps.  What a fabric does to other traffic.

Sources: :mod:`simulator.kernel.tlb`, for who flushes how.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from simulator.engine.calls import Call
    from simulator.engine.platform import Platform
    from simulator.engine.task import Task
    from simulator.engine.timeline import Timeline
    from simulator.trace.recorder import Recorder

__all__ = ("Fabric", "Hardware")

Int64s = npt.NDArray[np.int64]

# Draws of these flushes have numbers that no broadcast reaches.
_APART: Final = 1 << 40


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


@dataclass(slots=True)
class _Flush:
    # One under way: what is asked for so far, and how many were before it at the server.
    mechanism: str
    call: Call
    row: int
    nth: int
    start_ns: int
    begin_ns: int
    posted_ns: int = 0
    nr_ahead: int = 0


class Hardware:
    """
    The flushes of one machine that no interrupt carries, and what they do to its CPUs.

    All methods are about the flush that the running task is in.
    """

    def __init__(self, timeline: Timeline, platform: Platform, recorder: Recorder) -> None:
        self._timeline = timeline
        self._platform = platform
        self._spells = platform.spells
        self._recorder = recorder
        self._n = platform.nr_cpus
        self._nth = [0] * self._n
        self._under_way: dict[int, list[_Flush]] = defaultdict(list)  # by CPU, inner ones last
        self._fabric = Fabric()
        self._woken_ns = np.zeros(self._n, dtype=np.int64)  # when a CPU was woken last
        self._stopped_ns: Int64s | None = None  # since when, by CPU
        self._held_ns = 0
        self._refill_ns = 0  # of the flushes in a pause
        self._totals = self._nothing()

    def begin(self, mechanism: str, call: Call) -> None:
        """Begin a flush."""
        task = self._meet()
        cpu, now_ns = task.cpu.number, task.met_ns
        row = self._recorder.hardware_starts()
        self._under_way[cpu].append(_Flush(mechanism, call, row, self._nth[cpu], now_ns, now_ns))
        self._nth[cpu] += 1

    @property
    def nth(self) -> int:
        """How many such flushes the CPU has made before, apart from others, for draws."""
        return _APART + self._mine().nth

    @property
    def reason(self) -> str:
        """Why the flush is made."""
        return self._mine().call.reason

    @property
    def unfinished(self) -> bool:
        """Whether the CPU has asked for something in its flush and not waited for it."""
        flushes = self._under_way[self._timeline.current.cpu.number]
        return bool(flushes) and flushes[-1].posted_ns > 0

    def draws(self, name: str) -> Int64s:
        """Return what the machine's cost ``name`` is for each CPU in this flush."""
        return self._platform.ipi_draws(name, self._timeline.current.cpu.number, self.nth)

    def wakes(self) -> Int64s:
        """Return how long each CPU takes out of idle, as it is interrupted now."""
        now_ns = self._meet().met_ns
        exits_ns = np.zeros(self._n, dtype=np.int64)
        idle = self._spells.idle_at(now_ns)
        if idle is not None:
            for cpu in np.flatnonzero(idle).tolist():
                since_ns = max(self._spells.idle_since(cpu, now_ns), int(self._woken_ns[cpu]))
                state = self._platform.idle_state(now_ns - since_ns, cpu, since_ns)
                exits_ns[cpu] = state.exit_ns
            # A CPU with a task is not as its spells are.
            exits_ns[[task.cpu.number for task in self._timeline.tasks]] = 0
            self._woken_ns[exits_ns > 0] = now_ns
        return exits_ns

    def disturb(self, ns: int) -> None:
        """Take time of every other CPU that does not idle, by work that is queued there."""
        task = self._meet()
        taken_ns = np.full(self._n, ns, dtype=np.int64)
        taken_ns[task.cpu.number] = 0
        self._totals["lost_ns"] += self._lost(task, task.met_ns, taken_ns, held=False)

    def post(self, service_ns: int) -> None:
        """Ask the server for something, and go on; what came before comes before that."""
        self._meet()
        self._mine().posted_ns += service_ns

    def wait(self, service_ns: int) -> None:
        """Wait until the server has done all that was asked for, and this; spinning."""
        task, flush = self._meet(), self._mine()
        flush.nr_ahead, flush.begin_ns, end_ns = self._fabric.serve(
            task.met_ns, flush.posted_ns + service_ns
        )
        flush.posted_ns = 0
        if self._stopped_ns is not None:
            self._hold(end_ns)
        task.wait_until(end_ns, flush.call.categories.wait)

    def end(self, stall_ns: int | Int64s, nr_interrupted: int = 0, *, held: bool = False) -> None:
        """
        End a flush, and charge every other CPU: ``stall_ns``, for all or by CPU, and refills.

        ``nr_interrupted`` CPUs were interrupted for it by means that are no call queue.
        ``held``: they stood still meanwhile, tasks too, so that no more shifts now.
        """
        task = self._meet()
        cpu, now_ns = task.cpu.number, task.met_ns
        flush = self._under_way[cpu].pop()
        call = flush.call
        if not self._under_way[cpu]:  # else the pause has it, too
            task.ran_broadcast(flush.start_ns, now_ns, now_ns)
        times = (call.pages, flush.start_ns, flush.begin_ns, now_ns, now_ns)
        found = (self._n - 1, nr_interrupted, 0, 0, -1)
        self._recorder.broadcast_ends(
            flush.row, call.reason, call.kind, times + found, task.number, cpu
        )
        self._recorder.by_hardware(flush.row, flush.mechanism, flush.nr_ahead)
        self._charge(task, now_ns, stall_ns, call.refill_ns, held)
        # The TLB misses come afterwards, spread over what the CPU does then: not in a pause.
        self._refill_ns += call.refill_ns
        if self._stopped_ns is None:
            task.work("flush_local", self._refill_ns)
            self._refill_ns = 0

    # --- all other CPUs stand still ----------------------------------------------------

    def stop(self, starts_ns: Int64s, spin_ns: int) -> None:
        """
        Stop all other CPUs, each from a time on, and go on when the last one stands still.

        That takes ``spin_ns`` from now on.  Tasks on other CPUs stop at once.
        """
        task = self._meet()
        self._stopped_ns = starts_ns
        self._held_ns = task.met_ns
        task.work(self._mine().call.categories.wait, spin_ns)
        self._meet()

    def resume(self, spin_ns: int) -> Int64s:
        """Let them go on, all of them in so much time; return how long each stood still."""
        task = self._timeline.current
        task.work(self._mine().call.categories.wait, spin_ns)
        task = self._meet()
        if self._stopped_ns is None:
            raise RuntimeError("no CPU was stopped")
        stood_ns = task.met_ns - self._stopped_ns
        self._stopped_ns = None
        return stood_ns

    def _meet(self) -> Task:
        task = self._timeline.current
        if self._stopped_ns is not None:
            self._hold(task.planned_ns)
        task.meet()
        return task

    def _hold(self, until_ns: int) -> None:
        # Tasks on stopped CPUs stand still until a time at least.
        more_ns = until_ns - self._held_ns
        if more_ns > 0:
            self._held_ns = until_ns
            for task in self._timeline.tasks:
                if task is not self._timeline.current:
                    task.cpu.hold(more_ns, until_ns)

    # --- what is recorded --------------------------------------------------------------

    def stall(self, cpu: int, ns: int) -> None:
        """Charge one CPU without a task, which loses all of it."""
        self._totals["stall_ns"][cpu] += ns
        self._totals["lost_ns"][cpu] += ns

    def report(self) -> None:
        """Hand the totals of a phase to the recorder, at its end."""
        for name, values in self._totals.items():
            if values.any():
                self._recorder.add_totals(name, values)
        self._totals = self._nothing()

    def _mine(self) -> _Flush:
        return self._under_way[self._timeline.current.cpu.number][-1]

    def _nothing(self) -> dict[str, Int64s]:
        names = ("stall_ns", "refill_ns", "lost_ns")
        return {name: np.zeros(self._n, dtype=np.int64) for name in names}

    def _charge(
        self, me: Task, now_ns: int, stall_ns: int | Int64s, refill_ns: int, held: bool
    ) -> None:
        others = np.ones(self._n, dtype=np.int64)
        others[me.cpu.number] = 0
        stalled, refilled = others * stall_ns, others * refill_ns
        totals = self._totals
        totals["stall_ns"] += stalled
        totals["refill_ns"] += refilled
        totals["lost_ns"] += self._lost(me, now_ns, stalled + refilled, held)

    def _lost(self, me: Task, now_ns: int, taken_ns: Int64s, held: bool) -> Int64s:
        # What each CPU loses of what is taken of it: nothing while it idles.
        lost = taken_ns.copy()
        idle = self._spells.idle_at(now_ns)
        if idle is not None:
            lost[idle] = 0
        for task in self._timeline.tasks:
            if task is not me:
                cpu = task.cpu.number
                lost_ns = int(taken_ns[cpu])
                shift_ns = 0 if held or task.in_broadcast else lost_ns
                lost[cpu] = lost_ns if task.cpu.stall(shift_ns) else 0
        return lost
