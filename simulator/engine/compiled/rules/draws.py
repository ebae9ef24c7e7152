# SPDX-License-Identifier: MIT
"""
Keyed draws, one at a time
--------------------------

The arithmetic of :mod:`simulator.draws` and
:mod:`simulator.machine.lowered.quantiles`, for compiled code: unsigned 64-bit products wrap
modulo 2**64, a table is interpolated with integers alone.

Sources: see there.
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled.flat.places import index
from simulator.engine.compiled.flat.words import Int64s
from simulator.engine.compiled.jit import inlined

__all__ = ("below", "cost_ns", "in_bin", "is_split", "mix64", "quantile")

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MUL1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL2 = np.uint64(0x94D049BB133111EB)
_U10, _U16 = np.uint64(0x3FF), np.uint64(0xFFFF)
_S27, _S28, _S30, _S31 = np.uint64(27), np.uint64(28), np.uint64(30), np.uint64(31)
_32_BITS = 0xFFFFFFFF
_S32, _S38, _S44, _S54 = np.uint64(32), np.uint64(38), np.uint64(44), np.uint64(54)


@inlined
def mix64(z: np.uint64) -> np.uint64:
    """Return splitmix64's output for a state (uint64)."""
    z = z + _GOLDEN
    z = (z ^ (z >> _S30)) * _MUL1
    z = (z ^ (z >> _S27)) * _MUL2
    return z ^ (z >> _S31)


@inlined
def below(x: np.uint64, limit: int) -> np.int64:
    """Return a draw (uint64) as a number from 0 to ``limit`` - 1, for limits below 2**32."""
    return np.int64(((x >> _S32) * np.uint64(limit)) >> _S32)


@inlined
def is_split(x: np.uint64) -> bool:
    """Return whether a draw (uint64) selects the bin that is split."""
    return x >> _S54 == _U10


@inlined
def quantile(m: Int64s, offset: int, x: np.uint64) -> int:
    """Return the quantile of the table at ``offset`` that a draw (uint64) selects."""
    at = index(offset) + np.int64(x >> _S54)
    fraction = np.int64((x >> _S38) & _U16)
    if is_split(x):
        at += np.int64((x >> _S44) & _U10)
        fraction = np.int64((x >> _S28) & _U16)
    low = m[at]
    return low + (((m[at + 1] - low) * fraction + 0x8000) >> 16)


@inlined
def in_bin(coarse: Int64s, x: np.uint64) -> int:
    """Return the quantile that a draw (uint64) selects, if that is not in the split bin."""
    this = coarse[np.int64(x >> _S54)]
    return (this >> 32) + (((this & _32_BITS) * np.int64((x >> _S38) & _U16) + 0x8000) >> 16)


@inlined
def cost_ns(m: Int64s, offset: int, mean_fp: int, key: np.uint64, item: int) -> int:
    """Return a cost in nanoseconds: a mean in 1/1024 ns, spread by the draw of an item."""
    if offset < 0:
        return (mean_fp + 512) >> 10
    x = mix64(key + np.uint64(item))
    return (mean_fp * quantile(m, offset, x) + (1 << 25)) >> 26
