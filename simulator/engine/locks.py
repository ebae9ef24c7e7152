# SPDX-License-Identifier: MIT
"""
Locks
-----

Modelled: spinlocks are FIFO by the key of the request; the next owner has the
lock one cache-line transfer after the release, or when the handler that runs on
its CPU then has ended.  A mutex waiter sleeps and costs a wake-up.  Readers of
an rwsem do not block each other; they pay for the cache line.  An uncontended
lock costs an atomic operation, or the transfer of its line from the CPU that had
it last.

Not modelled: writers of an rwsem, optimistic spinning of a mutex, the queue
nodes of a qspinlock.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from simpy.events import Event

from simulator.engine.task import ATOMIC
from simulator.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.engine.platform import Platform
    from simulator.engine.task import Lock, Place, Task
    from simulator.engine.timeline import Timeline

    #: Told of a lock, and of the task that is about to take it.
    Watcher = Callable[[Lock, Task], None]

__all__ = ("IrqSpinLock", "Mutex", "RwSemaphore", "SpinLock", "taken_text")

getframe = sys._getframe  # noqa: SLF001 - inspect's takes twice as long
#: From here on, locks share a bit.
_LAST_BIT: Final = 30


class _Line:
    # The cache line of a lock: where it is, and what it costs to get it.

    __slots__ = ("_distance", "_transfer", "atomic_ns", "cpu")

    def __init__(self, platform: Platform) -> None:
        self._distance = platform.distance
        self.cpu = -1  # that had it last
        self.atomic_ns = platform.costs["atomic"].ns()
        self._transfer = platform.costs["cache_line"]

    def take(self, cpu: int) -> int:
        if self.cpu == cpu:
            return self.atomic_ns
        if self.cpu >= 0:
            return self.hand_over(cpu)
        self.cpu = cpu
        return self.atomic_ns

    def hand_over(self, cpu: int) -> int:
        last, self.cpu = self.cpu, cpu
        return self._transfer.ns(distance=int(self._distance[last, cpu]))


class _Lock:
    # What all have: a name, a bit in what a task holds, and who watches them.

    def __init__(self, timeline: Timeline, platform: Platform, name: str, first_bit: int) -> None:
        self._timeline = timeline
        self._line = _Line(platform)
        self.name = name
        self.bit = first_bit << min(len(timeline.locks), _LAST_BIT)
        self.owner: Task | None = None
        #: Called before a task takes it that has others, if any of these is in ``unordered``.
        self.watcher: Watcher | None = None
        self.unordered = 0
        #: Where it was taken last, if it has a watcher.
        self.taken: Place | None = None
        timeline.locks.append(self)


class SpinLock(_Lock):
    """
    A spinlock that is taken with interrupts on.

    ``name`` is also the category of the waiting in ``time_by``; ``owner`` the task
    that has it; ``held_max_ns`` the longest hold since :meth:`forget`, and
    ``waited_and_held_max_ns`` the longest with the spinning before it, of those that spun.
    """

    def __init__(self, timeline: Timeline, platform: Platform, name: str) -> None:
        super().__init__(timeline, platform, name, ATOMIC)
        self._waiters: deque[tuple[Task, Event]] = deque()
        self._since_ns = 0
        self._asked_ns = -1  # when its owner began to spin, if it had to
        self.held_max_ns = 0
        self.waited_and_held_max_ns = 0

    def lock(self) -> None:
        """spin_lock()."""
        task = self._timeline.current
        if task.holds & self.unordered and self.watcher is not None:
            self.watcher(self, task)
        # A lock that is free stays so to this task's time if nothing happens until then.
        if self.owner is None and (task.planned_ns < task.clear_ns or task.ready()):
            self._take(task)
        else:
            self._queue_up(task)
        task.holds |= self.bit
        if self.watcher is not None:
            # Not by way of this function's own frame, which would hold itself.
            frame = getframe(1)
            self.taken = frame.f_code, frame.f_lasti

    def unlock(self) -> None:
        """spin_unlock(): give the lock to the first waiter, if any."""
        task = self._timeline.current
        if self.owner is not task:
            raise _not_held(self, task)
        if task.planned_ns < task.clear_ns:
            task.met_ns = task.planned_ns
        else:
            task.meet()
        task.holds &= ~self.bit
        held_ns = task.met_ns - self._since_ns
        if held_ns > self.held_max_ns:  # noqa: PLR1730 - max() is slower
            self.held_max_ns = held_ns
        if self._asked_ns >= 0:
            waited_ns = task.met_ns - self._asked_ns
            self.waited_and_held_max_ns = max(self.waited_and_held_max_ns, waited_ns)
            self._asked_ns = -1
        if self._waiters:
            self.owner, granted = self._waiters.popleft()
            hand_off_ns = self._line.hand_over(self.owner.cpu.number)
            granted.succeed(task.met_ns + hand_off_ns)
            self._timeline.disturb()
        else:
            self.owner = None

    def _take(self, task: Task) -> None:
        # The task can meet, and nobody has the lock.
        self.owner = task
        self._since_ns = task.met_ns = task.planned_ns
        line, cpu = self._line, task.cpu.number
        ns = line.atomic_ns if line.cpu == cpu else line.take(cpu)
        task.planned_ns += ns  # as Task.work(), without a call
        task.time_by[self.name] += ns

    def _queue_up(self, task: Task) -> None:
        task.meet()
        if self.owner is None:
            self._take(task)
        else:
            self._spin(task)

    def _spin(self, task: Task) -> None:
        if self.owner is task:
            raise _held_already(self, task)
        asked_ns = task.met_ns
        granted = Event(self._timeline)
        # Requests come in the order of their keys, since every one has met.
        self._waiters.append((task, granted))
        task.waits_for = self
        granted_ns = task.wait(granted)
        task.waits_for = None
        task.wait_until(granted_ns, self.name)
        self._since_ns = task.met_ns
        self._asked_ns = asked_ns

    @property
    def preempt_off_max_ns(self) -> int:
        """The longest time that a task had preemption off for it: spinning, and with it."""
        return max(self.held_max_ns, self.waited_and_held_max_ns)

    def forget(self) -> None:
        """Begin anew with the longest times."""
        self.held_max_ns = self.waited_and_held_max_ns = 0


class IrqSpinLock(SpinLock):
    """A spinlock that is waited for and held with interrupts off."""

    def __init__(self, timeline: Timeline, platform: Platform, name: str) -> None:
        super().__init__(timeline, platform, name)
        self._irq_save_ns = platform.costs["irq_save"].ns()

    def unlock(self) -> None:
        """Give the lock to the first waiter, if any, and turn interrupts on."""
        super().unlock()
        self._timeline.current.irqs_on()

    #: spin_lock_irq() and spin_unlock_irq().
    lock_irq = SpinLock.lock
    unlock_irq = unlock

    def _take(self, task: Task) -> None:
        super()._take(task)
        task.irqs_off()
        ns = self._irq_save_ns
        task.planned_ns += ns
        task.time_by[self.name] += ns

    def _spin(self, task: Task) -> None:
        if self.owner is task:
            raise _held_already(self, task)
        task.irqs_off()
        super()._spin(task)
        task.work(self.name, self._irq_save_ns)


class Mutex(_Lock):
    """A mutex: FIFO, waiters sleep."""

    def __init__(self, timeline: Timeline, platform: Platform, name: str) -> None:
        super().__init__(timeline, platform, name, 1)
        self._wakeup_ns = platform.costs["mutex_wakeup"].ns()
        self._waiters: deque[tuple[Task, Event]] = deque()

    def lock(self) -> None:
        """mutex_lock(): take the mutex, or sleep until it is handed over."""
        task = self._timeline.current
        if task.holds & self.unordered and self.watcher is not None:
            self.watcher(self, task)
        task.meet()
        if self.owner is None:
            self.owner = task
            task.work("bookkeeping", self._line.take(task.cpu.number))
        else:
            self._sleep(task)
        task.holds |= self.bit
        if self.watcher is not None:
            frame = getframe(1)
            self.taken = frame.f_code, frame.f_lasti

    def unlock(self) -> None:
        """mutex_unlock(): wake the first waiter, if any."""
        task = self._timeline.current
        if self.owner is not task:
            raise _not_held(self, task)
        task.meet()
        task.holds &= ~self.bit
        if not self._waiters:
            self.owner = None
            return
        self.owner, granted = self._waiters.popleft()
        # The wake-up includes the transfer of the line.
        self._line.hand_over(self.owner.cpu.number)
        granted.succeed(task.now_ns)
        self._timeline.disturb()

    def _sleep(self, task: Task) -> None:
        if self.owner is task:
            raise _held_already(self, task)
        granted = Event(self._timeline)
        self._waiters.append((task, granted))
        task.fall_asleep()
        task.waits_for = self
        granted_ns = task.wait(granted)
        task.waits_for = None
        task.sleep_until(granted_ns + self._wakeup_ns, "sleep")


class RwSemaphore(_Lock):
    """An rwsem of which only readers are modelled; ``name`` as for a spinlock."""

    def __init__(self, timeline: Timeline, platform: Platform, name: str) -> None:
        super().__init__(timeline, platform, name, 1)
        #: Those that are in; the first of them is the ``owner``.
        self.readers: list[Task] = []

    def down_read(self) -> None:
        """Enter as a reader."""
        task = self._timeline.current
        if task.holds & self.unordered and self.watcher is not None:
            self.watcher(self, task)
        if task.planned_ns < task.clear_ns:
            task.met_ns = task.planned_ns
        else:
            task.meet()
        line, cpu = self._line, task.cpu.number
        ns = line.atomic_ns if line.cpu == cpu else line.take(cpu)
        task.planned_ns += ns
        task.time_by[self.name] += ns
        self.readers.append(task)
        self.owner = self.readers[0]
        task.holds |= self.bit
        if self.watcher is not None:
            frame = getframe(1)
            self.taken = frame.f_code, frame.f_lasti

    def up_read(self) -> None:
        """Leave, which costs nothing more."""
        task = self._timeline.current
        readers = self.readers
        try:
            readers.remove(task)
        except ValueError:
            raise _not_held(self, task) from None
        self.owner = readers[0] if readers else None
        task.holds &= ~self.bit


def _not_held(lock: Lock, task: Task) -> KernelError:
    owner = lock.owner
    whose = "nobody has it" if owner is None else f"{owner} has it{taken_text(lock)}"
    return KernelError(f"{lock.name}: released by {task}; {whose}")


def _held_already(lock: Lock, task: Task) -> KernelError:
    return KernelError(f"{lock.name}: {task} takes it and has it already{taken_text(lock)}")


def taken_text(lock: Lock) -> str:
    """Return where a lock was taken last, to be appended; empty if that is not known."""
    if lock.taken is None:
        return ""
    code, at = lock.taken
    line = next(line for start, end, line in code.co_lines() if start <= at < end)
    return f" (taken in {code.co_name}() line {line})"
