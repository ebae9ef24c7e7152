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
a mean; the interval of a ratio is Student's for the mean of the paired log
ratios, transformed end by end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ("LEVEL", "Estimate", "mean_interval", "paired_difference", "paired_ratio")

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


def paired_ratio(
    values: Sequence[float], reference: Sequence[float], level: float = LEVEL
) -> Estimate | None:
    """
    Return the geometric mean of ``values[i] / reference[i]`` with its interval.

    ``None`` where a value is zero or negative: such a ratio has no logarithm,
    and leaving the pair out would change what is compared.

    >>> paired_ratio([2.0, 8.0], [1.0, 1.0]).mean
    4.0
    >>> paired_ratio([2.0, 0.0], [1.0, 1.0]) is None
    True
    """
    pairs = list(zip(values, reference, strict=True))
    if any(v <= 0.0 or r <= 0.0 for v, r in pairs):
        return None
    logs = mean_interval([math.log(v / r) for v, r in pairs], level)
    return Estimate(
        math.exp(logs.mean),
        None if logs.low is None else _exp(logs.low),
        None if logs.high is None else _exp(logs.high),
        logs.n,
    )


# Two very different pairs give an upper end beyond what a float can hold.
def _exp(x: float) -> float:
    return math.inf if x > 709.0 else math.exp(x)
