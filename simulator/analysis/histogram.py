# SPDX-License-Identifier: MIT
"""
Log-linear histograms
---------------------

The ``latency`` frame holds counts of integer nanoseconds in buckets
``low_ns <= value < high_ns``. Histograms of several runs merge exactly, by
adding counts; a quantile is known to within its bucket.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from simulator.analysis.frames import ResultTotals, of_phase

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ("Histogram",)


@dataclass(frozen=True, eq=False)
class Histogram:
    """
    Counts of integer values in disjoint buckets, ascending, none of them empty.

    ``low`` and ``high`` bound a bucket: ``low <= value < high``.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def of_buckets(cls, low: Iterable[int], high: Iterable[int], count: Iterable[int]) -> Histogram:
        """
        Return the histogram of these buckets, in any order; equal ones are added.

        >>> Histogram.of_buckets([8, 4, 8], [16, 8, 16], [1, 2, 3]).count.tolist()
        [2, 4]
        """
        bottom, top, number = np.array([[*low], [*high], [*count]], dtype=np.int64)
        wrong = np.flatnonzero((top <= bottom) | (number < 0))
        if wrong.size:
            i = wrong[0]
            raise ValueError(f"not a bucket: [{bottom[i]}, {top[i]}) with count {number[i]}")
        order = np.lexsort((top, bottom))
        order = order[number[order] > 0]
        bottom, top, number = bottom[order], top[order], number[order]
        another = (bottom[1:] != bottom[:-1]) | (top[1:] != top[:-1])
        first = np.flatnonzero(np.append(True, another)[: len(order)])
        bottom, top, number = bottom[first], top[first], np.add.reduceat(number, first)
        overlap = np.flatnonzero(bottom[1:] < top[:-1])
        if overlap.size:
            raise ValueError(f"buckets overlap at {bottom[1:][overlap[0]]}")
        return cls(bottom, top, number)

    @classmethod
    def of_frame(cls, latency: pd.DataFrame, phase: str, what: str) -> Histogram:
        """Return one histogram out of a ``latency`` frame; empty where it has no such rows."""
        rows = of_phase(latency, phase)
        rows = rows[rows["what"] == what]
        return cls.of_buckets(rows["low_ns"], rows["high_ns"], rows["count"])

    @classmethod
    def of_runs(cls, runs: Iterable[ResultTotals], phase: str, what: str) -> Histogram:
        """Return the histogram of all values of some runs, such as replications of a scenario."""
        parts = (cls.of_frame(run.latency, phase, what) for run in runs)
        return reduce(cls.merge, parts, cls.of_buckets([], [], []))

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, int]]) -> Histogram:
        """Return the histogram of such rows as mappings; needs no pandas."""
        buckets = [(row["low_ns"], row["high_ns"], row["count"]) for row in rows]
        low, high, count = zip(*buckets, strict=True) if buckets else ((), (), ())
        return cls.of_buckets(low, high, count)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.count.sum())

    def merge(self, other: Histogram) -> Histogram:
        """Return the histogram of both sets of values, exactly."""
        return Histogram.of_buckets(
            [*self.low.tolist(), *other.low.tolist()],
            [*self.high.tolist(), *other.high.tolist()],
            [*self.count.tolist(), *other.count.tolist()],
        )

    def tail(self, q: float) -> int | None:
        """
        Return a quantile that leaves at least one value beyond itself, or None.

        A 99th percentile of ten values is their largest, and says no more.

        >>> h = Histogram.of_buckets([10, 11], [11, 12], [9, 1])
        >>> h.tail(0.9), h.tail(0.99)
        (10, None)
        """
        return self.quantile(q) if round((1 - q) * self.total, 9) >= 1 else None

    def quantile(self, q: float) -> int | None:
        """
        Return the smallest value with at least the fraction ``q`` of all values at or below it.

        The values of one bucket are taken as evenly spread over it, so the
        answer lies in the bucket of the true one. ``None`` without values.

        >>> h = Histogram.of_buckets([10, 11], [11, 12], [9, 1])
        >>> h.quantile(0.9), h.quantile(0.91)
        (10, 11)
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"a quantile lies between 0 and 1, not {q}")
        total = self.total
        if total == 0:
            return None
        # 0.07 * 100 is a little more than 7 in floating point, and 8 when rounded up.
        rank = max(1, math.ceil(Fraction(q).limit_denominator(1_000_000) * total))
        upto = np.cumsum(self.count)
        bucket = int(np.searchsorted(upto, rank))
        inside = rank - int(upto[bucket] - self.count[bucket])
        span = int(self.high[bucket] - self.low[bucket]) - 1
        return int(self.low[bucket]) + span * (2 * inside - 1) // (2 * int(self.count[bucket]))

    def largest(self) -> int | None:
        """Return the largest value that the last bucket can hold; ``None`` without values."""
        return int(self.high[-1]) - 1 if self.total else None

    def cumulative(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """
        Return the upper ends of the buckets and the fraction (0 to 1) of values below each.

        >>> edges, fraction = Histogram.of_buckets([1, 2], [2, 4], [1, 3]).cumulative()
        >>> edges.tolist(), fraction.tolist()
        ([2, 4], [0.25, 1.0])
        """
        return self.high, np.cumsum(self.count) / max(1, self.total)
