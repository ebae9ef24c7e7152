# SPDX-License-Identifier: MIT
"""
Means, differences and ratios with confidence intervals
-------------------------------------------------------

The unit of replication is one simulation under one key of randomness; values
of two scenarios that share a replication met the same noise and are compared
in pairs. One value has no interval, two have one. An interval is given by its
two ends in the unit of the value itself, never as a half-width: the interval
of a ratio is not symmetric around it.

Sources: Student (1908), "The probable error of a mean", for the interval of
a mean; Fieller (1954), "Some problems in interval estimation", for that of a
ratio of means, which leaves out 1 exactly where the paired t test of the
difference is significant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = (
    "LEVEL",
    "REPLICATIONS",
    "UNCERTAINTY",
    "Estimate",
    "Method",
    "Pairs",
    "band",
    "compare_bands",
    "compare_pairs",
    "mean_interval",
    "paired_difference",
    "paired_ratio",
)

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """
    A mean and the two ends of its confidence interval.

    ``low`` and ``high`` are ``None`` where ``n`` is 1: a single value says
    nothing about its own variation.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    def excludes(self, value: float) -> bool:
        """
        Return whether the interval lies wholly to one side of a value.

        >>> Estimate(2.0, 1.5, 2.5, 10).excludes(1.0)
        True
        >>> Estimate(2.0, None, None, 1).excludes(1.0)
        False
        """
        if self.low is None or self.high is None:
            return False
        return not self.low <= value <= self.high


def mean_interval(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """
    Return the arithmetic mean of independent values with Student's interval.

    >>> mean_interval([4.0])
    Estimate(mean=4.0, low=None, high=None, n=1)
    >>> two = mean_interval([1.0, 3.0])
    >>> f"{two.mean} [{two.low:.2f}, {two.high:.2f}]"
    '2.0 [-10.71, 14.71]'
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    n = len(values)
    if n == 0:
        raise ValueError("no values to take the mean of")
    if not all(math.isfinite(value) for value in values):
        raise ValueError("a value is missing or not finite")
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None, None, 1)
    # Only this function needs it, and importing scipy costs every command time.
    from scipy.special import stdtrit

    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * math.sqrt(variance / n)
    return Estimate(mean, mean - half, mean + half, n)


def paired_difference(
    values: Sequence[float], reference: Sequence[float], level: float = LEVEL
) -> Estimate:
    """
    Return the mean of ``values[i] - reference[i]`` with its interval.

    >>> paired_difference([5.0, 7.0], [4.0, 6.0])
    Estimate(mean=1.0, low=1.0, high=1.0, n=2)
    """
    return mean_interval([v - r for v, r in zip(values, reference, strict=True)], level)


@dataclass(frozen=True)
class Pairs:
    """
    Two scenarios over the replications that they share: one test, seen three ways.

    ``difference`` is the mean of the differences, ``ratio`` the ratio of the means
    (``None`` where the reference is zero), ``p_value`` that of the paired t test
    (``None`` for a single pair) and ``significant`` its verdict at the level of the
    intervals: exactly where the interval of the difference leaves out 0, and that of
    the ratio, where it has ends, leaves out 1.
    """

    difference: Estimate
    ratio: Estimate | None
    p_value: float | None
    significant: bool


def compare_pairs(
    values: Sequence[float], reference: Sequence[float], level: float = LEVEL
) -> Pairs:
    """
    Compare values with those of the reference under the same replications.

    >>> pairs = compare_pairs([5.0, 7.0, 9.0], [10.0, 14.0, 18.0])
    >>> pairs.ratio.mean, pairs.significant, compare_pairs([1.0], [2.0]).significant
    (0.5, True, False)
    """
    difference = paired_difference(values, reference, level)
    ratio = paired_ratio(values, reference, level)
    return Pairs(
        difference, ratio, _p_value(values, reference), significant=difference.excludes(0.0)
    )


def paired_ratio(
    values: Sequence[float], reference: Sequence[float], level: float = LEVEL
) -> Estimate | None:
    """
    Return the ratio of the means of pairs with Fieller's interval.

    ``None`` where the reference has the mean zero.  ``low`` and ``high`` are ``None``
    for a single pair, and where the reference varies so much that the interval has no
    end.  Ratios of values that are nowhere negative are not negative either.

    >>> paired_ratio([2.0, 8.0], [1.0, 4.0]).mean
    2.0
    >>> paired_ratio([2.0, 0.0], [0.0, 0.0]) is None
    True
    """
    base = mean_interval(reference, level).mean
    if base == 0.0:
        return None
    n = len(values)
    ratio = mean_interval(values, level).mean / base
    if n == 1:
        return Estimate(ratio, None, None, 1)
    from scipy.special import stdtrit

    # Of what the ratio leaves over, whose mean is zero: nothing is subtracted from itself.
    rest = [v - ratio * r for v, r in zip(values, reference, strict=True)]
    rest_rest = math.fsum(d * d for d in rest) / (n - 1) / n
    ref_ref = math.fsum((r - base) ** 2 for r in reference) / (n - 1) / n
    rest_ref = math.fsum(d * (r - base) for d, r in zip(rest, reference, strict=True)) / (n - 1) / n
    t2 = float(stdtrit(n - 1, 0.5 + level / 2)) ** 2
    leading = base * base - t2 * ref_ref
    if leading <= 0.0:
        return Estimate(ratio, None, None, n)
    root = math.sqrt(t2 * t2 * rest_ref * rest_ref + leading * t2 * rest_rest)
    low = ratio + (-t2 * rest_ref - root) / leading
    high = ratio + (-t2 * rest_ref + root) / leading
    if min(*values, *reference) >= 0.0:
        low = max(low, 0.0)
    return Estimate(ratio, low, high, n)


def _p_value(values: Sequence[float], reference: Sequence[float]) -> float | None:
    differences = [v - r for v, r in zip(values, reference, strict=True)]
    n = len(differences)
    if n == 1:
        return None
    from scipy.special import stdtr

    mean = math.fsum(differences) / n
    error = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1) / n)
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return 2.0 * float(stdtr(n - 1, -abs(mean) / error))


class Compare(Protocol):
    """How values are compared with those of a reference, pair by pair."""

    def __call__(
        self, values: Sequence[float], reference: Sequence[float], level: float = LEVEL
    ) -> Pairs:
        """Return the comparison."""


@dataclass(frozen=True)
class Method:
    """How intervals are made, and a sentence that says so."""

    interval: Callable[[Sequence[float], float], Estimate]
    compare: Compare
    words: str


def band(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """
    Return the mean of values and the band that holds so much of them, by order statistics.

    It does not shrink with their number: it is for what differs in earnest, not for the
    error of a mean.  Of fewer than 40 values, a band of 95 % is all of them.

    >>> band([3.0, 1.0, 2.0])
    Estimate(mean=2.0, low=1.0, high=3.0, n=3)
    """
    mean = mean_interval(values, level).mean
    n = len(values)
    if n == 1:
        return Estimate(mean, None, None, 1)
    ordered = sorted(values)
    outside = math.floor(n * (1 - level) / 2)
    return Estimate(mean, ordered[outside], ordered[n - 1 - outside], n)


def compare_bands(
    values: Sequence[float], reference: Sequence[float], level: float = LEVEL
) -> Pairs:
    """
    Compare values with those of the reference by the bands of their differences and ratios.

    Significant is what has the same sign in so much of all pairs.

    >>> compare_bands([5.0, 7.0], [10.0, 10.0]).ratio
    Estimate(mean=0.6, low=0.5, high=0.7, n=2)
    """
    difference = band([v - r for v, r in zip(values, reference, strict=True)], level)
    ratio = paired_ratio(values, reference, level)
    if ratio is not None and all(reference):
        ends = band([v / r for v, r in zip(values, reference, strict=True)], level)
        ratio = Estimate(ratio.mean, ends.low, ends.high, ends.n)
    return Pairs(difference, ratio, None, significant=difference.excludes(0.0))


REPLICATIONS = Method(
    mean_interval,
    compare_pairs,
    "Intervals are Student's t and Fieller's over paired replications, one test behind both,"
    " each row by itself, not corrected for the number of rows. They cover what the seed"
    " varies, not the error of the model.",
)
UNCERTAINTY = Method(
    band,
    compare_bands,
    "Intervals hold 95% of the draws of the machine's uncertain costs over their ranges, the"
    " noise of the seed included; significant is what keeps its sign in them.",
)
