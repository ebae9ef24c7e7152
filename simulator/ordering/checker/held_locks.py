# SPDX-License-Identifier: MIT
"""
Locks: which are held, where and in which order
-----------------------------------------------

As lockdep does: what a lock protects is written with the lock held, two locks are always taken
in one order, and nobody sleeps with a spinlock or with interrupts off.  Each lock knows where
it was taken last, for the messages of :mod:`simulator.engine.locks`.

Modelled: the order of single locks, as there is one of each kind; a cycle of any length.

Not modelled: subclasses, read recursion, interrupts that take locks.

Sources: Documentation/locking/lockdep-design.rst; lockdep_assert_held() in mm/hugetlb.c of v6.6.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.engine.locks import SpinLock, taken_text
from simulator.errors import KernelError
from simulator.ordering.checker.report import Reporter, caller, place_of

if TYPE_CHECKING:
    from simulator.engine.calls import Call
    from simulator.engine.task import Lock
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("HeldLocks",)

Function = Callable[..., Any]

getframe = sys._getframe  # noqa: SLF001 - inspect's takes twice as long
_TAKES = ("lock", "lock_irq", "down_read", "down_write")


class HeldLocks:
    """
    The locks of a kernel.

    Methods that take a function of the kernel return one that also checks.
    """

    def __init__(self, k: Hugetlb, report: Reporter) -> None:
        self._report = report
        self._timeline = k.engine.timeline
        self._locks = tuple(self._timeline.locks)
        self._spinlocks = [lock for lock in self._locks if isinstance(lock, SpinLock)]
        # By the lock that was held: those that were taken meanwhile, and where.
        self._after: dict[str, dict[str, str]] = {lock.name: {} for lock in self._locks}
        # By lock: those that were not yet held when it was taken.
        self._before: dict[str, list[Lock]] = {}
        self._wrapped = [
            (lock, name) for lock in self._locks for name in _TAKES if hasattr(lock, name)
        ]
        for lock, name in self._wrapped:
            setattr(lock, name, self._taking(lock, getattr(lock, name)))

    def detach(self) -> None:
        """Put back the functions of the locks."""
        for lock, name in self._wrapped:
            delattr(lock, name)

    # --- locks --------------------------------------------------------------------------

    def _taking(self, lock: Lock, function: Function) -> Function:
        timeline = self._timeline
        others = self._before[lock.name] = [other for other in self._locks if other is not lock]
        spinlocks = [] if isinstance(lock, SpinLock) else self._spinlocks

        def take() -> None:
            task = timeline.current
            for other in others:
                if other.owner is task:
                    self._ordered([other for other in others if other.owner is task], lock)
                    break
            for spinlock in spinlocks:
                if spinlock.owner is task:
                    self._may_sleep(f"{lock.name} taken", spinlock)
            function()
            # Not by way of this function's own frame, which would hold itself.
            frame = getframe(1)
            lock.taken = frame.f_code, frame.f_lasti

        return take

    def _ordered(self, held: list[Lock], lock: Lock) -> None:
        frame = caller()
        here = "" if frame is None else place_of(frame.f_code, frame.f_lineno)
        for other in held:
            # Each order once: what is known of it does not change.
            self._before[lock.name].remove(other)
            before = self._path(lock.name, other.name)
            if before:
                self._report(
                    "lock-order", lock.name, f"taken with {other.name} held{taken_text(other)}",
                    f"their order so far: {before}",
                )  # fmt: skip
            self._after[other.name][lock.name] = here

    def _path(self, first: str, last: str) -> str:
        # How one lock came to be taken with another held, by way of others.
        seen = {first: ""}
        queue = [first]
        for name in queue:
            for after, place in self._after[name].items():
                if after not in seen:
                    seen[after] = f"{seen[name]}{name} before {after} in {place}; "
                    queue.append(after)
        return seen.get(last, "").removesuffix("; ")

    # --- what needs a lock, and what needs none -------------------------------------------

    def needs(self, lock: Lock, what: str) -> Callable[[Function], Function]:
        """A function that has to be called with a lock."""
        timeline = self._timeline

        def around(function: Function) -> Function:
            def call(*args: Any) -> Any:
                if lock.owner is not timeline.current:
                    self._report.without(lock, what)
                return function(*args)

            return call

        return around

    def sleeps(self, what: str) -> Callable[[Function], Function]:
        """A function that may sleep."""
        timeline, spinlocks = self._timeline, self._spinlocks

        def around(function: Function) -> Function:
            def call(*args: Any) -> Any:
                task = timeline.current
                for lock in spinlocks:
                    if lock.owner is task:
                        self._may_sleep(f"{what}()", lock)
                return function(*args)

            return call

        return around

    def _may_sleep(self, what: str, spinlock: Lock) -> None:
        self._report(
            "sleep-in-atomic", spinlock.name, f"{what} with it held{taken_text(spinlock)}",
            f"{spinlock.name} released before",
        )  # fmt: skip

    def check_flush(self, call: Call) -> None:
        """Refuse a flush with interrupts off: nobody answers one who answers nobody."""
        task = self._timeline.current
        if task.cpu.irqs_off:
            locks = (f"{lock.name}{taken_text(lock)}" for lock in self._locks if lock.owner is task)
            raise KernelError(
                f"irqs-off-flush: {call.reason}: a flush with interrupts off would deadlock;"
                f" {task} holds {', '.join(locks) or 'no lock'}"
            )
