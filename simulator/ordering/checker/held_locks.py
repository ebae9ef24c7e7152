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
from typing import TYPE_CHECKING

from simulator.engine.locks import SpinLock, taken_text
from simulator.engine.task import ALWAYS, ATOMIC
from simulator.errors import KernelError
from simulator.ordering.checker.places import caller, place_of
from simulator.ordering.checker.report import Reporter

if TYPE_CHECKING:
    from simulator.engine.calls import Call
    from simulator.engine.task import Lock, Task
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("HeldLocks",)

getframe = sys._getframe  # noqa: SLF001 - inspect's takes twice as long
#: Locks with a bit of their own below those of spinlocks; of others it is always asked.
_NR_BITS = 31


class HeldLocks:
    """
    The locks of a kernel, and the watcher of each.

    With ``places`` it keeps where each of them was taken, which takes time.
    """

    def __init__(self, k: Hugetlb, report: Reporter, *, places: bool) -> None:
        self._places = places
        self.wants_places = False
        self._report = report
        self._timeline = k.engine.timeline
        self._locks = tuple(self._timeline.locks)
        self._spinlocks = [lock for lock in self._locks if isinstance(lock, SpinLock)]
        # By the lock that was held: those that were taken meanwhile, and where.
        self._after: dict[str, dict[str, str]] = {lock.name: {} for lock in self._locks}
        # By lock: those that were not yet held when it was taken.
        self._before = {
            lock.name: [other for other in self._locks if other is not lock] for lock in self._locks
        }
        for nth, spinlock in enumerate(self._spinlocks):
            spinlock.bit = ATOMIC << nth
        sleeping = [lock for lock in self._locks if lock not in self._spinlocks]
        for nth, lock in enumerate(sleeping):
            lock.bit = 1 << nth if nth < _NR_BITS else 0
        for lock in self._locks:
            lock.watcher = self
            self._expect(lock)

    def detach(self) -> None:
        """Leave the locks alone."""
        for lock in self._locks:
            lock.watcher = None

    # --- locks --------------------------------------------------------------------------

    def _expect(self, lock: Lock) -> None:
        # What is to be looked at when it is taken: an order that is not known, a spinlock held.
        sleeps = [] if lock in self._spinlocks else self._spinlocks
        lock.unknown = ALWAYS if self._places else 0
        for other in (*self._before[lock.name], *sleeps):
            lock.unknown |= other.bit or ALWAYS

    def looks_at(self, lock: Lock, task: Task) -> None:
        """A task is about to take a lock, and has another one."""
        if self._places and lock.owner is not task:
            # Not by way of this function's own frame, which would hold itself.
            frame = getframe(2)
            task.places[lock] = frame.f_code, frame.f_lasti
        held = [other for other in self._before[lock.name] if other.owner is task]
        if held:
            self._ordered(held, lock)
            self._expect(lock)
        if lock not in self._spinlocks:
            self._check_sleep(f"{lock.name} taken", task)

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

    def sleeps(self, function: Callable[[str], None]) -> Callable[[str], None]:
        """sleeps_in_atomic()."""
        timeline = self._timeline

        def sleeps(what: str) -> None:
            function(what)
            self._check_sleep(f"{what}()", timeline.current)

        return sleeps

    def _check_sleep(self, what: str, task: Task) -> None:
        for lock in self._spinlocks:
            if lock.owner is task:
                self._may_sleep(what, lock)

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
