# SPDX-License-Identifier: MIT
"""
Where kernel code is
--------------------

The kernel function and line of a violation are those of the code that called a primitive: the
innermost one that is none of a primitive's own.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType

__all__ = ("caller", "place_of")

_PRIMITIVES = {
    f"simulator.kernel.{name}"
    for name in ("base", "cache", "page_alloc", "page_flags", "pgtable", "rcu", "sched", "tlb")
}


def caller() -> FrameType | None:
    """Return the frame of the kernel code that runs; None if there is none."""
    # Not this function's own, which would hold itself.
    frame = sys._getframe(0).f_back  # noqa: SLF001 - as inspect does
    while frame is not None:
        code = frame.f_code
        if code.co_varnames[:1] == ("k",) and frame.f_globals["__name__"] not in _PRIMITIVES:
            return frame
        frame = frame.f_back
    return None


def place_of(code: CodeType, line: int) -> str:
    """Return a place in kernel code as one reads it: function and line."""
    return f"{code.co_name}() line {line}"
