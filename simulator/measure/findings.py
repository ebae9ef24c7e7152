# SPDX-License-Identifier: MIT
"""
What was measured, and what could not be
----------------------------------------

A finding is a median with an interval from order statistics: the two ends are
values that were measured, and no distribution is assumed.  The unit is a round,
of which there are a few, and not a call, of which there are thousands: calls of
one round share the state of the machine.

Sources: David and Nagaraja, "Order Statistics", 3rd edition, section 7.1, for
the interval of a median.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.analysis.stats import LEVEL

__all__ = ("Finding", "Gap", "Median", "median_of")


@dataclass(frozen=True)
class Median:
    """A median in nanoseconds; ``low`` and ``high`` are None below six rounds."""

    value_ns: float
    low_ns: float | None
    high_ns: float | None
    rounds: int


@dataclass(frozen=True)
class Finding:
    """Something that was measured: ``key`` names it in a profile, ``what`` in a report."""

    key: str
    what: str
    median: Median


@dataclass(frozen=True)
class Gap:
    """Something that was not measured, and why."""

    what: str
    why: str


def median_of(rounds: Sequence[float], level: float = LEVEL) -> Median:
    """
    Return the median with the narrowest pair of order statistics that holds it with ``level``.

    >>> median_of([5, 1, 4, 2, 3, 6, 9, 8, 7])
    Median(value_ns=5, low_ns=2, high_ns=8, rounds=9)
    >>> median_of([1, 2, 3])
    Median(value_ns=2, low_ns=None, high_ns=None, rounds=3)
    """
    from scipy.stats import binom

    n = len(rounds)
    ordered = sorted(rounds)
    middle = statistics.median(ordered)
    # The median lies outside the k-th values from both ends with probability 2 P(X < k).
    k = int(binom.ppf((1 - level) / 2, n, 0.5))
    while k and 2 * float(binom.cdf(k - 1, n, 0.5)) > 1 - level:
        k -= 1
    if not k:
        return Median(middle, None, None, n)
    return Median(middle, ordered[k - 1], ordered[n - k], n)
