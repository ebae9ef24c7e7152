# SPDX-License-Identifier: MIT
"""
Replaying broadcasts
--------------------

While a phase has only one task, a broadcast depends on nothing but when it
starts and how its targets are then.  :class:`Checkpoints` keep the targets' state
every 1024 broadcasts, and replay any of them from there in milliseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from simulator.engine.compiled.alone.broadcast import broadcast_alone
from simulator.engine.compiled.flat import layout as at
from simulator.engine.compiled.flat import task_words as of
from simulator.engine.compiled.flat.call_words import Calls
from simulator.engine.compiled.jit import wrapping
from simulator.trace.contract import IPI_COLUMNS
from simulator.trace.recorder import Recorder

__all__ = ("Checkpoints", "ipi_rows")

_EVERY = 1024


@dataclass(frozen=True, eq=False, slots=True)
class _Checkpoint:
    # Before a broadcast: its number, the initiator's count of its own, and the targets.
    flush: int
    cpu: int
    nth: int
    busy_until_ns: at.Int64s
    state: at.Int64s


def ipi_rows(state: at.Int64s, nr_cpus: int, slot: int, me: int, flush: int) -> at.Int64s:
    """Return what was seen of the IPIs of a broadcast, as rows of ``IPI_COLUMNS``."""
    n = nr_cpus

    def row(part: int) -> at.Int64s:
        first = int(state[part]) + slot * n
        return state[first : first + n]

    send_ns = row(at.SENT_NS)
    columns = {
        "flush": np.full(n, flush, dtype=np.int64),
        "cpu": np.arange(n, dtype=np.int64),
        "enqueue_ns": row(at.ENQUEUED),
        "send_ns": send_ns,
        "arrive_ns": row(at.ARRIVED),
        "start_ns": row(at.STARTED),
        "end_ns": row(at.RELEASE),
        "ack_ns": row(at.ACKED),
        "state": row(at.FOUND),
        "sent": (send_ns >= 0).astype(np.int64),
    }
    rows = np.stack([columns[name] for name in IPI_COLUMNS], axis=1)
    return np.delete(rows, me, axis=0)


class Checkpoints:
    """The state of lazy CPUs, now and then, in a phase of one task."""

    def __init__(self, machine: at.Int64s, distance: at.Int8s, nr_cpus: int, calls: Calls) -> None:
        self._machine = machine
        self._distance = distance
        self._n = nr_cpus
        self._calls = calls
        self._kept: list[_Checkpoint] = []
        #: The number of the broadcast before which keep() is to be called next.
        self.due = 0

    def keep(self, flush: int, state: at.Int64s) -> None:
        """Keep the targets' state before a broadcast of the only task."""
        words, lines = int(state[at.TASKS]), at.lines_in(state, self._n)
        cpu, nth = int(state[words + of.CPU]), int(state[words + of.NTH])
        busy_until_ns, found = lines[:, at.BUSY_UNTIL].copy(), lines[:, at.STATE].copy()
        self._kept.append(_Checkpoint(flush, cpu, nth, busy_until_ns, found))
        self.due = flush + _EVERY

    def replay(
        self,
        wanted: Iterable[int],
        end: int,  # noqa: ARG002 - as SharedCheckpoints.replay()
        recorder: Recorder,
    ) -> Iterator[at.Int64s]:
        """Yield the IPIs of broadcasts of this phase, in ascending order, as rows."""
        starts_ns, *call = (
            recorder.flushes.column(name) for name in ("start_ns", "reason", "kind", "pages")
        )
        first = [checkpoint.flush for checkpoint in self._kept]
        state, at_flush = at.new_state(self._n, 1), -1
        calls = int(state[at.CALLS])
        for flush in sorted(wanted):
            checkpoint = self._kept[bisect_right(first, flush) - 1]
            if not checkpoint.flush <= at_flush <= flush:
                state, at_flush = self._state(checkpoint), checkpoint.flush
            while at_flush <= flush:
                reason, kind, pages = (int(column[at_flush]) for column in call)
                words = self._calls.recorded(reason, kind, pages)
                state[calls : calls + at.CALL_WORDS] = words
                start_ns = int(starts_ns[at_flush])
                with wrapping():
                    broadcast_alone(self._machine, state, self._distance, at_flush, start_ns)
                at_flush += 1
            yield ipi_rows(state, self._n, 0, checkpoint.cpu, flush)

    def _state(self, checkpoint: _Checkpoint) -> at.Int64s:
        state = at.new_state(self._n, 1)
        words, lines = int(state[at.TASKS]), at.lines_in(state, self._n)
        state[words + of.CPU], state[words + of.NTH] = checkpoint.cpu, checkpoint.nth
        lines[:, at.BUSY_UNTIL] = checkpoint.busy_until_ns
        lines[:, at.STATE] = checkpoint.state
        return state
