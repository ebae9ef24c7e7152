# SPDX-License-Identifier: MIT
"""
Bits of a number
----------------

Loops without branches are vectorised by LLVM: which CPUs want more than that, they return as the
bits of a number.
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled.jit import inlined

__all__ = ("lowest_bit",)


@inlined
def lowest_bit(bits: int) -> int:
    """Return the number of the lowest bit that is set: the exponent of a float."""
    return int((np.float64(bits & -bits).view(np.int64) >> 52) - 1023)
