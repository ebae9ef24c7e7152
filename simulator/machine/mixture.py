# SPDX-License-Identifier: MIT
"""
Mixtures of distributions
-------------------------

A distribution is a list of (probability, value) points with straight lines in
between, as in a profile.  A jump of the value at one probability is a gap in its
support; one value over a range of probabilities is an atom.

Modelled: what is drawn from one of several distributions, each with a weight; a
bounded Pareto distribution of exponent 2, which is what the profile assumes of
the tail of interrupts-off sections.

Sources: arithmetic; the exponent is assumed, see ``spells.irqs_off.length`` of
the profile ``x86-64``.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

__all__ = ("Points", "constant", "mean", "mixture", "pareto", "scaled")

Points = Sequence[tuple[float, float]]

_PARETO_STEPS = 32


def constant(value: float) -> Points:
    """Return the distribution that is always `value`."""
    return [(0.0, value), (1.0, value)]


def pareto(low: float, high: float) -> Points:
    """
    Return a bounded Pareto distribution of exponent 2 between two values.

    The chance to be above v is (1/v**2 - 1/high**2) / (1/low**2 - 1/high**2).
    """
    least = low / high
    # Steps of low / v, without a root: the same on every machine to the last bit.
    steps = [1 - i * (1 - least) / _PARETO_STEPS for i in range(_PARETO_STEPS)] + [least]
    return [((1 - w * w) / (1 - least * least), low / w) for w in steps]


def scaled(points: Points, factor: float) -> Points:
    """Return the distribution of `factor` times as much."""
    return [(p, v * factor) for p, v in points]


def mean(points: Points) -> float:
    """Return the mean of a distribution."""
    return math.fsum((p1 - p0) * (v0 + v1) / 2 for (p0, v0), (p1, v1) in pairwise(points))


def mixture(parts: Sequence[tuple[float, Points]]) -> Points:
    """
    Return the distribution of a draw from one of several; weights need not add up to 1.

    >>> mixture([(3.0, constant(5.0)), (1.0, [(0.0, 0.0), (1.0, 10.0)])])
    [(0.0, 0.0), (0.125, 5.0), (0.875, 5.0), (1.0, 10.0)]
    """
    total = math.fsum(weight for weight, _ in parts)
    used = [(weight / total, [p for p, _ in d], [v for _, v in d]) for weight, d in parts if weight]
    found: list[tuple[float, float]] = []
    for value in sorted({v for _, _, values in used for v in values}):
        for below in (True, False):
            p = math.fsum(w * _cdf(ps, values, value, below) for w, ps, values in used)
            if (p, value) not in found[-1:]:
                found.append((p, value))
    # Rounding of weights that add up to 1 only nearly.
    found[0], found[-1] = (0.0, found[0][1]), (1.0, found[-1][1])
    return found


# The chance to be below a value, or not above it.
def _cdf(ps: Sequence[float], values: Sequence[float], value: float, below: bool) -> float:
    first, end = bisect_left(values, value), bisect_right(values, value)
    if first < end:
        return ps[first] if below else ps[end - 1]
    if first == 0:
        return 0.0
    if first == len(values):
        return 1.0
    (p0, p1), (v0, v1) = ps[first - 1 : first + 1], values[first - 1 : first + 1]
    return p0 + (p1 - p0) * (value - v0) / (v1 - v0)
