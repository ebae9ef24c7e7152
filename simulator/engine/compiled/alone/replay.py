# SPDX-License-Identifier: MIT
"""
Replaying broadcasts
--------------------

While a phase has only one task, a broadcast depends on nothing but when it
starts and how its targets are then.  :class:`Checkpoints` keep the targets' state
every 1024 broadcasts, more often while there are few, and replay any of them from there in
milliseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simulator.engine.compiled.alone.broadcast import broadcast_alone
from simulator.engine.compiled.flat.call_words import Calls
from simulator.engine.compiled.flat.seen import ipi_rows
from simulator.engine.compiled.flat.state import CALL, TASK, S, new_state
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import wrapping
from simulator.engine.compiled.machine_code import bound
from simulator.trace.recorder import Recorder

__all__ = ("Checkpoints",)

_EVERY = 1024
_AT_FIRST = 64


@dataclass(frozen=True, eq=False, slots=True)
class _Checkpoint:
    # Before a broadcast: its number, the initiator's count of its own, and the targets.
    flush: int
    cpu: int
    nth: int
    busy_until: Int64s
    last_found: Int64s


class Checkpoints:
    """The state of lazy CPUs, now and then, in a phase of one task."""

    def __init__(self, machine: Int64s, distance: Int8s, nr_cpus: int, calls: Calls) -> None:
        self._machine = machine
        self._distance = distance
        self._n = nr_cpus
        self._calls = calls
        self._kept: list[_Checkpoint] = []
        #: The number of the broadcast before which keep() is to be called next.
        self.due = 0

    def keep(self, flush: int, state: Int64s) -> None:
        """Keep the targets' state before a broadcast of the only task."""
        words = int(state[S.tasks])
        cpu, nth = int(state[words + TASK.cpu]), int(state[words + TASK.nth])
        busy_until = self._row(state, S.busy_until).copy()
        last_found = self._row(state, S.last_found).copy()
        self._kept.append(_Checkpoint(flush, cpu, nth, busy_until, last_found))
        # An eighth of what there is: the replay of a short run costs a small part of it.
        apart = (flush - self._kept[0].flush) // 8
        self.due = flush + min(_EVERY, max(_AT_FIRST, apart))

    def replay(
        self,
        wanted: Iterable[int],
        end: int,  # noqa: ARG002 - as SharedCheckpoints.replay()
        recorder: Recorder,
    ) -> Iterator[Int64s]:
        """Yield the IPIs of broadcasts of this phase, in ascending order, as rows."""
        starts_ns, *call = (
            recorder.flushes.column(name) for name in ("start_ns", "reason", "kind", "pages")
        )
        first = [checkpoint.flush for checkpoint in self._kept]
        at_flush = -1
        for flush in sorted(wanted):
            checkpoint = self._kept[bisect_right(first, flush) - 1]
            if not checkpoint.flush <= at_flush <= flush:
                state, at_flush = self._state(checkpoint), checkpoint.flush
                broadcast = bound(broadcast_alone, self._machine, state, self._distance)
                calls, words = int(state[S.calls]), int(state[S.tasks])
            while at_flush <= flush:
                if at_flush in recorder.mechanism_of:
                    at_flush += 1
                    continue
                reason, kind, pages = (int(column[at_flush]) for column in call)
                state[calls : calls + CALL.words] = self._calls.recorded(reason, kind, pages)
                state[words + TASK.flush] = at_flush
                state[words + TASK.start_ns] = starts_ns[at_flush]
                with wrapping():
                    broadcast()
                at_flush += 1
            yield ipi_rows(state, self._n, 0, checkpoint.cpu, flush)

    def _state(self, checkpoint: _Checkpoint) -> Int64s:
        state = new_state(self._n, 1)
        words = int(state[S.tasks])
        state[words + TASK.cpu], state[words + TASK.nth] = checkpoint.cpu, checkpoint.nth
        self._row(state, S.busy_until)[:] = checkpoint.busy_until
        self._row(state, S.last_found)[:] = checkpoint.last_found
        return state

    def _row(self, state: Int64s, part: int) -> Int64s:
        first = int(state[part])
        return state[first : first + self._n]
