# SPDX-License-Identifier: MIT
"""
Typed records
-------------

:class:`IntTable` is a growing table of int64 with named columns, cheap to write
one row or one cell at a time; :class:`Histogram` counts nanoseconds in
log-linear buckets that merge exactly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ("NR_BUCKETS", "Histogram", "IntTable", "bounds_of", "bucket_of", "buckets_of")

Int64s = npt.NDArray[np.int64]

_CHUNK_ROWS = 1 << 13
_LINEAR_BITS = 7  # 128 buckets to an octave


class _Packed:
    # A chunk that is full: each column as differences from its least value, as narrow as they fit.

    def __init__(self, rows: Int64s) -> None:
        self._least = rows.min(axis=0)
        self._columns = []
        for i, least in enumerate(self._least):
            differences = rows[:, i] - least
            self._columns.append(differences.astype(np.min_scalar_type(int(differences.max()))))

    def column(self, i: int) -> Int64s:
        values: Int64s = self._columns[i].astype(np.int64) + self._least[i]
        return values

    def rows(self) -> Int64s:
        return np.stack([self.column(i) for i in range(len(self._columns))], axis=1)


class IntTable:
    """
    A table of int64 rows; ``names`` are its columns.

    Grows by chunks, never copied; full ones are packed, a fifth of their size.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._width = len(self.names)
        #: Packs a row into ``last``, which is faster than item assignment.
        self.pack_into = struct.Struct(f"{self._width}q").pack_into
        self._row_bytes = 8 * self._width
        self._chunks: list[Int64s | _Packed] = []
        self.last = np.zeros(0, dtype=np.int64).data
        self._first = 0  # row of the last chunk
        self.nr_rows = 0

    def __len__(self) -> int:
        return self.nr_rows

    def reserve(self) -> int:
        """Append a row of zeros; return its number."""
        self.begin_row()
        return self.nr_rows - 1

    def begin_row(self) -> int:
        """Append a row of zeros; return where in ``last`` it is, in bytes."""
        row = self.nr_rows
        if not row % _CHUNK_ROWS:
            self._grow()
        self.nr_rows = row + 1
        return (row - self._first) * self._row_bytes

    def add(self, values: Sequence[int]) -> None:
        """Append a row."""
        at = self.begin_row()  # first: it may put a new chunk in the place of the last one
        self.pack_into(self.last, at, *values)

    def put(self, row: int, values: Sequence[int]) -> None:
        """Write a row."""
        at = row - self._first
        if at >= 0:
            self.pack_into(self.last, at * self._row_bytes, *values)
            return
        chunk, at = divmod(row, _CHUNK_ROWS)
        self.pack_into(self._open(chunk).data, at * self._row_bytes, *values)

    def put_words(self, row: int, words: memoryview) -> None:
        """Write a row that lies in memory as int64 already."""
        at = (row - self._first) * self._width
        if at >= 0:
            self.last[at : at + self._width] = words
        else:
            self.put(row, words)

    def add_words(self, words: memoryview) -> None:
        """Append a row that lies in memory as int64 already."""
        row = self.nr_rows
        if not row % _CHUNK_ROWS:
            self._grow()
        at = (row - self._first) * self._width
        self.last[at : at + self._width] = words
        self.nr_rows = row + 1

    def increase(self, row: int, column: int, value: int) -> None:
        """Add to one cell."""
        chunk, at = divmod(row, _CHUNK_ROWS)
        self._open(chunk)[at, column] += value

    def increase_all(self, first_row: int, column: int, values: Int64s) -> None:
        """Add to a cell of each row from one on."""
        while len(values):
            chunk, at = divmod(first_row, _CHUNK_ROWS)
            here = values[: _CHUNK_ROWS - at]
            self._open(chunk)[at : at + len(here), column] += here
            values, first_row = values[len(here) :], first_row + len(here)

    def column(self, name: str) -> Int64s:
        """Return a copy of a column, a 1-d array of the table's length."""
        parts = [part[name] for part in self.parts(name)]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    def columns(self) -> dict[str, Int64s]:
        """Return copies of all columns by name."""
        return {name: self.column(name) for name in self.names}

    def parts(self, *names: str) -> Iterator[dict[str, Int64s]]:
        """Yield columns by name, some thousands of rows at a time."""
        places = {name: self.names.index(name) for name in names}
        for first, chunk in enumerate(self._chunks):
            if isinstance(chunk, _Packed):
                yield {name: chunk.column(i) for name, i in places.items()}
            else:
                rows = self.nr_rows - first * _CHUNK_ROWS  # what is behind them is not touched
                yield {name: chunk[:rows, i] for name, i in places.items()}

    def _grow(self) -> None:
        # The chunk before the last is packed, as rows of the last may still be written.
        if len(self._chunks) > 1:
            full = self._chunks[-2]
            if not isinstance(full, _Packed):
                self._chunks[-2] = _Packed(full)
        rows = np.zeros((_CHUNK_ROWS, self._width), dtype=np.int64)
        self.last = rows.reshape(-1).data
        self._first = self.nr_rows
        self._chunks.append(rows)

    def _open(self, chunk: int) -> Int64s:
        found = self._chunks[chunk]
        if isinstance(found, _Packed):
            # A broadcast that took very long: its row was reserved many others ago.
            found = self._chunks[chunk] = found.rows()
        return found


#: Buckets up to the longest time that a run can have.
NR_BUCKETS = (63 - _LINEAR_BITS) << _LINEAR_BITS


def bucket_of(ns: int) -> int:
    """Return the bucket that a number of nanoseconds falls into."""
    octave = ns.bit_length() - _LINEAR_BITS - 1
    if octave <= 0:
        return ns
    return (octave << _LINEAR_BITS) + (ns >> octave)


def buckets_of(times_ns: Int64s) -> Int64s:
    """Return the buckets of many numbers of nanoseconds."""
    # Times are below 2**53: as floats they are themselves, and frexp() knows their lengths.
    bits = np.frexp(times_ns.astype(np.float64))[1].astype(np.int64)
    octaves = np.maximum(bits - _LINEAR_BITS - 1, 0)
    found: Int64s = (octaves << _LINEAR_BITS) + (times_ns >> octaves)
    return found


def bounds_of(buckets: Int64s) -> tuple[Int64s, Int64s]:
    """
    Return the lowest values of buckets, and those of the buckets that follow them.

    >>> low, high = bounds_of(np.array([bucket_of(1_000_000)]))
    >>> low.tolist(), high.tolist()
    ([999424], [1003520])
    """
    octaves = np.maximum((buckets >> _LINEAR_BITS) - 1, 0)
    low: Int64s = (buckets - (octaves << _LINEAR_BITS)) << octaves
    return low, low + (1 << octaves)


class Histogram:
    """Counts of nanoseconds by bucket; relative width of a bucket below 0.8 %."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._merged: Int64s | None = None

    def add(self, ns: int) -> None:
        """Count one value."""
        bucket = bucket_of(ns)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1

    def merge(self, counts: Int64s) -> None:
        """Add counts by bucket."""
        self._merged = counts.copy() if self._merged is None else self._merged + counts

    def columns(self) -> tuple[Int64s, Int64s, Int64s]:
        """Return low_ns, high_ns and count of the buckets in use, ascending."""
        counts = np.zeros(NR_BUCKETS, dtype=np.int64)
        if self._merged is not None:
            counts[: len(self._merged)] = self._merged
        for bucket, count in self._counts.items():
            counts[bucket] += count
        buckets = np.flatnonzero(counts)
        return *bounds_of(buckets), counts[buckets]

    def rows(self) -> list[tuple[int, int, int]]:
        """Return the same as a row for each."""
        low, high, count = (column.tolist() for column in self.columns())
        return list(zip(low, high, count, strict=True))
