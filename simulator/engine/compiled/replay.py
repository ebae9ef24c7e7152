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

from simulator.engine.calls import Call
from simulator.engine.compiled import layout as at
from simulator.engine.compiled.broadcast import broadcast_alone
from simulator.engine.compiled.jit import wrapping
from simulator.trace.ipis import IPI_COLUMNS
from simulator.trace.recorder import FUNCTIONS, Recorder

__all__ = ("Checkpoints", "ipi_rows")

_EVERY = 1024


@dataclass(frozen=True, eq=False, slots=True)
class _Checkpoint:
    # Before a broadcast: its number, the initiator's own count, and the targets.
    flush: int
    cpu: int
    nth: int
    line_ns: int
    busy_until_ns: at.Int64s
    state: at.Int64s


def ipi_rows(state: at.Int64s, nr_cpus: int, slot: int, me: int, flush: int) -> at.Int64s:
    """Return what was seen of the IPIs of a broadcast, as rows of ``IPI_COLUMNS``."""
    n = nr_cpus

    def row(part: int) -> at.Int64s:
        first = int(state[part]) + slot * n
        return state[first : first + n]

    first = int(state[at.SEEN]) + slot * n * at.SEEN_WORDS
    seen = state[first : first + n * at.SEEN_WORDS].reshape(n, at.SEEN_WORDS)
    send_ns = seen[:, at.SEEN_SEND]
    columns = {
        "flush": np.full(n, flush, dtype=np.int64),
        "cpu": np.arange(n, dtype=np.int64),
        "enqueue_ns": row(at.ENQUEUED),
        "send_ns": send_ns,
        "arrive_ns": seen[:, at.SEEN_ARRIVE],
        "start_ns": seen[:, at.SEEN_START],
        "end_ns": row(at.RELEASE),
        "ack_ns": row(at.ACKED),
        "state": seen[:, at.SEEN_STATE],
        "sent": (send_ns >= 0).astype(np.int64),
    }
    rows = np.stack([columns[name] for name in IPI_COLUMNS], axis=1)
    return np.delete(rows, me, axis=0)


class Checkpoints:
    """The state of lazy CPUs, now and then, in a phase of one task."""

    def __init__(self, machine: at.Int64s, distance: at.Int8s, nr_cpus: int) -> None:
        self._machine = machine
        self._distance = distance
        self._n = nr_cpus
        self._kept: list[_Checkpoint] = []
        self._calls: dict[tuple[str, int], Call] = {}  # by function and pages

    def keep(
        self, flush: int, cpu: int, nth: int, line_ns: int, lines: at.Int64s, call: Call
    ) -> None:
        """
        Keep the targets' state before a broadcast, if the last one kept is too old, and its call.

        ``lines`` [nr_cpus, CPU_WORDS]; ``nth``: the initiator's count of broadcasts.
        """
        self._calls[call.function, call.pages] = call
        if self._kept and flush - self._kept[-1].flush < _EVERY:
            return
        busy_until_ns, state = lines[:, at.BUSY_UNTIL].copy(), lines[:, at.STATE].copy()
        self._kept.append(_Checkpoint(flush, cpu, nth, line_ns, busy_until_ns, state))

    def replay(self, wanted: Iterable[int], recorder: Recorder) -> Iterator[at.Int64s]:
        """Yield the IPIs of broadcasts of this phase, in ascending order, as rows."""
        starts_ns, kinds, pages = (
            recorder.flushes.column(name) for name in ("start_ns", "kind", "pages")
        )
        first = [checkpoint.flush for checkpoint in self._kept]
        state, at_flush = at.new_state(self._n, 1), -1
        for flush in sorted(wanted):
            checkpoint = self._kept[bisect_right(first, flush) - 1]
            if not checkpoint.flush <= at_flush <= flush:
                state, at_flush = self._state(checkpoint), checkpoint.flush
            while at_flush <= flush:
                call = self._calls[FUNCTIONS[kinds[at_flush]], int(pages[at_flush])]
                nth = checkpoint.nth + at_flush - checkpoint.flush
                with wrapping():
                    broadcast_alone(
                        self._machine, state, self._distance, checkpoint.cpu, nth,
                        int(starts_ns[at_flush]), call.run_ns, call.refill_ns,
                        checkpoint.line_ns, at_flush == flush,
                    )  # fmt: skip
                at_flush += 1
            yield ipi_rows(state, self._n, 0, checkpoint.cpu, flush)

    def _state(self, checkpoint: _Checkpoint) -> at.Int64s:
        state = at.new_state(self._n, 1)
        first = int(state[at.CPUS])
        lines = state[first : first + self._n * at.CPU_WORDS].reshape(self._n, at.CPU_WORDS)
        lines[:, at.BUSY_UNTIL] = checkpoint.busy_until_ns
        lines[:, at.STATE] = checkpoint.state
        return state
