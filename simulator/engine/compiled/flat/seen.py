# SPDX-License-Identifier: MIT
"""
What was seen of a broadcast
----------------------------

The rows of its slot, as rows of the ``ipis`` frame, until the next broadcast
overwrites them.
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled.flat.state import S
from simulator.engine.compiled.flat.words import Int64s
from simulator.trace.contract import IPI_COLUMNS

__all__ = ("ipi_rows",)


def ipi_rows(state: Int64s, nr_cpus: int, slot: int, me: int, flush: int) -> Int64s:
    """Return what was seen of the IPIs of a broadcast, as rows of ``IPI_COLUMNS``."""
    n = nr_cpus

    def row(part: int) -> Int64s:
        first = int(state[part]) + slot * n
        return state[first : first + n]

    send_ns = row(S.sent_ns)
    columns = {
        "flush": np.full(n, flush, dtype=np.int64),
        "cpu": np.arange(n, dtype=np.int64),
        "enqueue_ns": row(S.enqueued),
        "send_ns": send_ns,
        "arrive_ns": row(S.arrived),
        "start_ns": row(S.started),
        "end_ns": row(S.released),
        "ack_ns": row(S.acked),
        "state": row(S.found),
        "sent": (send_ns >= 0).astype(np.int64),
    }
    rows = np.stack([columns[name] for name in IPI_COLUMNS], axis=1)
    return np.delete(rows, me, axis=0)
