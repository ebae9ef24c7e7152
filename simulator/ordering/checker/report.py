# SPDX-License-Identifier: MIT
"""
From a violation to a row
-------------------------

The kernel function and line are those of the code that called a primitive: the innermost one
that is none of a primitive's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import TYPE_CHECKING

from simulator.engine.locks import taken_text
from simulator.trace.recorder import Violation

if TYPE_CHECKING:
    from simulator.engine.task import Lock
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("Reporter", "caller", "place_of")

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


class Reporter:
    """Tells a recorder of violations by the task that runs."""

    def __init__(self, k: Hugetlb) -> None:
        self._recorder = k.recorder
        self._timeline = k.engine.timeline

    def __call__(self, invariant: str, what: str, store: str, missing: str) -> None:
        """Record a violation by the task that runs."""
        frame = caller()
        function, line = ("", 0) if frame is None else (frame.f_code.co_name, frame.f_lineno)
        current = self._timeline.current
        self._recorder.violated(
            Violation(
                ns=current.planned_ns,
                cpu=current.cpu.number,
                task=current.number,
                invariant=invariant,
                what=what,
                store=store,
                missing=missing,
                function=function,
                line=line,
            )
        )

    def not_held(self, function: Callable[[Lock, str], None]) -> Callable[[Lock, str], None]:
        """lock_not_held()."""

        def not_held(lock: Lock, what: str) -> None:
            function(lock, what)
            self.without(lock, what)

        return not_held

    def without(self, lock: Lock, what: str) -> None:
        """Record that something was done without a lock that it needs."""
        owner = lock.owner
        whose = "nobody" if owner is None else f"{owner}{taken_text(lock)}"
        self(
            "lock-not-held", lock.name, f"{what}() without it, which {whose} has",
            f"{lock.name} held around it",
        )  # fmt: skip
