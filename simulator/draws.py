# SPDX-License-Identifier: MIT
"""
Keyed random numbers
--------------------

A draw is a pure function of the thing that it describes (seed, replication,
purpose, CPU, ...), so that neither the order of events nor the engine nor the
number of workers can change it, and two kernels that are compared under one
seed meet the same draws.  There is no generator and no state.

Everything is unsigned 64-bit arithmetic modulo 2**64 and means the same
written with Python integers, with numpy arrays or compiled by numba.

Sources: the finaliser of splitmix64 (G. Steele, D. Lea, C. Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014; constants of S. Vigna's
public-domain splitmix64.c).
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ("GOLDEN", "MASK", "base_key", "fold", "mix64", "mix64_array", "purpose_of", "stream")

Uint64Array = npt.NDArray[np.uint64]

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
_MUL1 = 0xBF58476D1CE4E5B9
_MUL2 = 0x94D049BB133111EB


def mix64(z: int) -> int:
    """Return splitmix64's output for the state `z`: advance by GOLDEN, then finalise."""
    z = (z + GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * _MUL1) & MASK
    z = ((z ^ (z >> 27)) * _MUL2) & MASK
    return z ^ (z >> 31)


def mix64_array(z: Uint64Array) -> Uint64Array:
    """Return :func:`mix64` of every element; array products wrap modulo 2**64 silently."""
    z = z + np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MUL1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MUL2)
    return z ^ (z >> np.uint64(31))


def fold(key: int, *parts: int) -> int:
    """Return the key of one thing among many: each part in turn is added and mixed in."""
    for part in parts:
        key = mix64((key + part) & MASK)
    return key


def base_key(seed: int, replication: int) -> int:
    """Return the key from which all draws of one simulation descend."""
    return fold(mix64(seed & MASK), replication)


def purpose_of(name: str) -> int:
    """
    Return the constant of a purpose.

    It depends on the name alone, so that a new cost does not disturb the draws
    of the others.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def stream(key: int, first: int, count: int) -> Uint64Array:
    """Return the draws of `count` items from `first` on; element i is fold(key, first + i)."""
    items = np.arange(count, dtype=np.uint64) + np.uint64(first & MASK)
    return mix64_array(items + np.uint64(key))
