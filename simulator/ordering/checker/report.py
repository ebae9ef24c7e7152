# SPDX-License-Identifier: MIT
"""
From a violation to a row
-------------------------

It is told with the place in kernel code, see :mod:`simulator.ordering.checker.places`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.engine.locks import taken_text
from simulator.ordering.checker.places import caller
from simulator.trace.recorder import Violation

if TYPE_CHECKING:
    from simulator.engine.task import Lock
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("Reporter",)


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
