# SPDX-License-Identifier: MIT
"""
Replaying broadcasts of several tasks
-------------------------------------

Kernel code cannot be taken back to an earlier time, but what it did to the CPUs
can be told: when each broadcast began, which the table of flushes has; when tasks
slept, woke and ended; and which interrupts they held back, with interrupts off.
:class:`SharedCheckpoints` keep the latter, and the flat state now and then, and
replay any broadcast of a phase from there.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from simulator.engine.compiled.flat.call_words import Calls
from simulator.engine.compiled.flat.machine import M
from simulator.engine.compiled.flat.seen import ipi_rows
from simulator.engine.compiled.flat.state import (
    CALL,
    CPU,
    HANDLER,
    NEVER,
    STAGE,
    TASK,
    TOLD,
    S,
    new_state,
)
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import wrapping
from simulator.engine.compiled.machine_code import bound
from simulator.engine.compiled.together.stages import advance
from simulator.engine.keys import KEY_BITS, Order
from simulator.trace.recorder import Recorder

__all__ = ("SharedCheckpoints",)

_EVERY = 512  # broadcasts of each task


@dataclass(frozen=True, eq=False, slots=True)
class _Checkpoint:
    # Before a broadcast: the state but for its histograms, and how many rows had been told.
    flush: int
    before_histograms: Int64s
    after_histograms: Int64s
    nr_told: int


class SharedCheckpoints:
    """The state of a phase of several tasks, now and then."""

    def __init__(self, machine: Int64s, state: Int64s, distance: Int8s, calls: Calls) -> None:
        self._machine = machine
        self._state = state
        self._distance = distance
        self._kept: list[_Checkpoint] = []
        self._told = array("q")  # rows of TOLD_WORDS
        self._calls = calls
        #: The number of the broadcast before which keep() is to be called next.
        self.due = 0

    def tell(self, slot: int, at_ns: int, what: int, start_ns: int = -1) -> None:
        """Note what kernel code did to the CPU of a task (``TOLD``)."""
        self._told.extend((slot, at_ns, what, start_ns))

    def keep(self, flush: int) -> None:
        """Keep the state before a broadcast."""
        state = self._state
        before = state[: state[S.ack_hist]].copy()
        after = state[state[S.executed] : state[S.told]].copy()
        nr_told = len(self._told) // TOLD.words
        self._kept.append(_Checkpoint(flush, before, after, nr_told))
        self.due = flush + _EVERY * int(state[S.nr_slots])

    def replay(self, wanted: Iterable[int], end: int, recorder: Recorder) -> Iterator[Int64s]:
        """Yield the IPIs of broadcasts of this phase, all before the number ``end``, as rows."""
        first = [checkpoint.flush for checkpoint in self._kept]
        after: dict[int, set[int]] = {}  # by number of the checkpoint
        for flush in wanted:
            after.setdefault(bisect_right(first, flush) - 1, set()).add(flush)
        for number, flushes in sorted(after.items()):
            with wrapping():
                yield from self._replay_from(self._kept[number], flushes, end, recorder)

    def _replay_from(
        self, checkpoint: _Checkpoint, wanted: set[int], end: int, recorder: Recorder
    ) -> Iterator[Int64s]:
        m, distance = self._machine, self._distance
        s = self._restored(checkpoint)
        advance_to = bound(advance, m, s, distance)
        n = int(m[M.nr_cpus])
        slot_of = {cpu: slot for slot, cpu in enumerate(self._cpus(s))}
        table = recorder.flushes
        cpus = table.column("cpu")
        names = ("start_ns", "reason", "kind", "pages", "targets", "ipis", "ipis_saved")
        columns = [table.column(name) for name in names]
        under_way: dict[int, int] = self._under_way(checkpoint, s, cpus)
        flush = checkpoint.flush
        while wanted:
            while flush in recorder.mechanism_of:
                flush += 1
            # The next phase may begin in the nanosecond in which the last broadcast ends.
            if flush < end:
                row = (int(column[flush]) for column in columns)
                start_ns, reason, kind, pages, targets, ipis, saved = row
                cpu = int(cpus[flush])
                # A task may begin a broadcast in the moment in which its last one ends.
                until_key = (start_ns << KEY_BITS | Order.MEETING | cpu) + 1
            else:
                cpu, until_key = -1, NEVER
            slot = advance_to(until_key)
            if slot >= 0:
                ended = under_way.pop(slot)
                if ended in wanted:
                    wanted.remove(ended)
                    yield ipi_rows(s, n, slot, int(self._cpus(s)[slot]), ended)
                continue
            if cpu < 0:
                raise RuntimeError("a replayed broadcast does not end")
            slot = slot_of[cpu]
            call = int(s[S.calls]) + CALL.words * slot
            s[call : call + CALL.words] = self._calls.recorded(reason, kind, pages)
            words = int(s[S.tasks]) + TASK.words * slot
            s[words + TASK.target_polls] = ipis == 0 and saved == targets - 1
            s[words + TASK.flush], s[words + TASK.start_ns] = flush, start_ns
            s[S.to_begin] = slot + 1
            under_way[slot] = flush
            flush += 1

    @staticmethod
    def _cpus(s: Int64s) -> list[int]:
        first = int(s[S.tasks])
        return [int(s[first + TASK.words * slot + TASK.cpu]) for slot in range(int(s[S.nr_slots]))]

    def _under_way(self, checkpoint: _Checkpoint, s: Int64s, cpus: Int64s) -> dict[int, int]:
        # The broadcasts that had begun before: the last one of each task in a broadcast.
        found = {}
        for slot, cpu in enumerate(self._cpus(s)):
            if s[s[S.tasks] + TASK.words * slot + TASK.stage] != STAGE.none:
                found[slot] = int(np.flatnonzero(cpus[: checkpoint.flush] == cpu)[-1])
        return found

    def _restored(self, checkpoint: _Checkpoint) -> Int64s:
        told = np.array(self._told, dtype=np.int64).reshape(-1, TOLD.words)
        told = told[checkpoint.nr_told :]
        told = told[np.argsort(told[:, 0], kind="stable")]
        state = self._state
        s = new_state(int(self._machine[M.nr_cpus]), int(state[S.nr_slots]), len(told))
        s[: s[S.ack_hist]] = checkpoint.before_histograms
        s[s[S.executed] : s[S.told]] = checkpoint.after_histograms
        s[s[S.told] :] = told.reshape(-1)
        s[S.replays] = 1
        for slot in range(int(s[S.nr_slots])):
            words = int(s[S.tasks]) + TASK.words * slot
            s[words + TASK.next_told] = np.searchsorted(told[:, 0], slot)
            s[words + TASK.end_told] = np.searchsorted(told[:, 0], slot + 1)
            if s[words + TASK.stage] != STAGE.none:
                continue
            # Kernel code, which turns interrupts off and on, is not there: one that waits
            # comes again, and it is told when it is taken.
            s[words + TASK.irqs_off] = 0
            if s[words + TASK.handler] == HANDLER.deferred:
                cpu = int(s[words + TASK.cpu])
                arrive_ns = int(s[s[S.cpus] + CPU.words * cpu + CPU.arrive_ns])
                s[words + TASK.handler] = HANDLER.coming
                s[s[S.keys] + 2 * slot + 1] = arrive_ns << KEY_BITS | Order.ARRIVAL | cpu
        return s
