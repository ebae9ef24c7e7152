# SPDX-License-Identifier: MIT
"""
Quantile tables
---------------

A distribution is a table of 2048 quantiles: 1024 equally probable bins, of
which the last is split into 1024 more, with straight lines in between.  Tables
are integers in units of 1/65536 of the mean, so that a draw is the same to the
last bit in every engine and on every machine, which exp() and log() are not.

Modelled: any distribution with a finite mean, to about 1/1024 in the body and
2**-20 in the upper tail.

Not modelled: what a lognormal or gamma distribution has below the probability
2**-12 and above 1 - 2**-22; the rest is rescaled so that the mean stays exact.

Sources: closed forms of the lognormal and gamma quantile functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from simulator.draws import Uint64Array

__all__ = (
    "NR_KNOTS",
    "ONE",
    "draw",
    "from_quantiles",
    "gamma",
    "lognormal",
    "moments",
    "probabilities",
)

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

NR_KNOTS = 2048
ONE = 65536  # the mean, in units of a table
_BINS = 1024


def probabilities() -> FloatArray:
    """Return the probabilities of the 2048 knots: 0 to 1 with the last bin in finer steps."""
    coarse = np.arange(_BINS) / _BINS
    fine = coarse[-1] + np.arange(1, _BINS + 1) / _BINS**2
    return np.concatenate([coarse, fine])


def moments(table: Int64Array | FloatArray) -> tuple[float, float]:
    """Return the first two moments about zero of a table, lines between its knots included."""
    width = np.diff(probabilities())
    low, high = table[:-1].astype(np.float64), table[1:].astype(np.float64)
    # fsum() rounds once: the order in which a machine adds cannot matter.
    first = math.fsum((width * (low + high)).tolist()) / 2
    second = math.fsum((width * (low * low + low * high + high * high)).tolist()) / 3
    return first, second


# Replications ask for the same tables again and again; nobody can write to them.
@lru_cache(maxsize=64)
def lognormal(sigma: float) -> Int64Array:
    """Return the unit-mean table of a lognormal distribution; `sigma` of the logarithm."""
    normal = NormalDist().inv_cdf
    return _fixed(np.exp(sigma * np.array([normal(p) for p in _open_ended().tolist()])))


@lru_cache(maxsize=64)
def gamma(cv: float) -> Int64Array:
    """Return the unit-mean table of a gamma distribution; `cv` = standard deviation / mean."""
    # scipy takes longer to import than a small simulation runs: those of profiles lie here.
    made = Path(__file__).with_name(f"gamma-{cv}.npy")
    if made.exists():
        table: Int64Array = np.load(made).astype(np.int64)
        table.setflags(write=False)
        return table
    from scipy.special import gammaincinv

    return _fixed(np.asarray(gammaincinv(1 / cv**2, _open_ended()), dtype=np.float64))


def from_quantiles(points: Sequence[tuple[float, float]]) -> Int64Array:
    """Return the unit-mean table of a distribution given as (probability, value) points."""
    at, values = zip(*points, strict=True)
    return _fixed(np.interp(probabilities(), at, values))


def draw(table: Int64Array, x: Uint64Array) -> Int64Array:
    """Return the quantiles that the 64-bit draws `x` select, in units of the table."""
    coarse = (x >> np.uint64(54)).astype(np.int64)
    last = coarse == _BINS - 1
    fine = ((x >> np.uint64(44)) & np.uint64(0x3FF)).astype(np.int64)
    index = np.where(last, coarse + fine, coarse)
    shift = np.where(last, np.uint64(28), np.uint64(38))
    fraction = ((x >> shift) & np.uint64(0xFFFF)).astype(np.int64)
    low = table[index]
    selected: Int64Array = low + (((table[index + 1] - low) * fraction + 0x8000) >> 16)
    return selected


def _open_ended() -> FloatArray:
    # The last knot of an unbounded distribution would be infinite. The first would be 0, which
    # a narrow distribution never comes near: a straight line from there widens it.
    p = probabilities()
    p[0], p[-1] = 2.0**-12, 1 - 2.0**-22
    return p


def _fixed(knots: FloatArray) -> Int64Array:
    mean, _ = moments(knots)
    fixed: Int64Array = np.floor(knots / mean * ONE + 0.5).astype(np.int64)
    fixed.setflags(write=False)
    return fixed
