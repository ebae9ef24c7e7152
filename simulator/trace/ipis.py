# SPDX-License-Identifier: MIT
"""
Interrupts, one by one
----------------------

A run has up to hundreds of millions of IPIs, so they are kept only for the
broadcasts that an :class:`IpiLog` asks for, or passed on in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Container

import numpy as np

from simulator.trace.contract import IPI_COLUMNS
from simulator.trace.tables import Int64s

__all__ = ("IpiLog",)

_BATCH_ROWS = 1_000_000


class IpiLog:
    """
    The IPIs of some broadcasts.

    ``flushes`` are the numbers of the broadcasts wanted.  With ``write``, rows are
    passed on in batches of about a million, as [rows, len(IPI_COLUMNS)], and not
    kept.
    """

    def __init__(
        self, flushes: Container[int] = (), write: Callable[[Int64s], None] | None = None
    ) -> None:
        self.flushes = flushes
        self._write = write
        self._batch: list[Int64s] = []
        self._nr_rows = 0

    def add(self, rows: Int64s) -> None:
        """Take the rows of one broadcast."""
        self._batch.append(rows)
        self._nr_rows += len(rows)
        if self._write is not None and self._nr_rows >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Pass on what has not been passed on yet."""
        if self._write is not None and self._nr_rows:
            self._write(self.rows())
            self._batch, self._nr_rows = [], 0

    def rows(self) -> Int64s:
        """Return the rows kept, by flush and CPU."""
        empty = np.zeros((0, len(IPI_COLUMNS)), dtype=np.int64)
        rows = np.concatenate([empty, *self._batch])
        return rows[np.lexsort((rows[:, 1], rows[:, 0]))]
