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

from collections import deque
from typing import TYPE_CHECKING

from simpy.events import Event

from simulator.engine.task import DONE, Steps, Task

if TYPE_CHECKING:
    from simulator.engine.platform import Platform
    from simulator.engine.timeline import Timeline

__all__ = ("IrqSpinLock", "Mutex", "RwSemaphore", "SpinLock")


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


class SpinLock:
    """
    A spinlock that is taken with interrupts on.

    ``category`` is where the waiting goes in ``time_by``; ``held_max_ns`` the
    longest hold so far.
    """

    def __init__(self, timeline: Timeline, platform: Platform, category: str) -> None:
        self._timeline = timeline
        self._line = _Line(platform)
        self._category = category
        self._owner: Task | None = None
        self._waiters: deque[tuple[Task, Event]] = deque()
        self._since_ns = 0
        self.held_max_ns = 0

    def acquire(self, task: Task) -> Steps:
        """Take the lock; for ``yield from``."""
        # A lock that is free stays so to this task's time if nothing happens until then.
        if self._owner is None and task.ready():
            self._take(task)
            return DONE
        return self._queue_up(task)

    def release(self, task: Task) -> Steps:
        """Give the lock to the first waiter, if any; for ``yield from``."""
        if task.ready():
            self._hand_on(task)
            return DONE
        return task.meet_and(self._hand_on)

    def cycle(self, task: Task, category: str, ns: int) -> Steps:
        """
        Take the lock, work so long under it, and release it; for ``yield from``.

        What the task reads right afterwards is what it would have read under it.
        """
        line = self._line
        if (
            line.cpu == task.cpu.number
            and self._owner is None
            and task.passes(self._category, line.atomic_ns, category, ns)
        ):
            held_ns = line.atomic_ns + ns
            if held_ns > self.held_max_ns:  # noqa: PLR1730 - max() is slower
                self.held_max_ns = held_ns
            return DONE
        return self._cycle(task, category, ns)

    def _take(self, task: Task) -> None:
        # The task has met, and nobody has the lock.
        self._owner = task
        self._since_ns = task.met_ns
        task.work(self._category, self._line.take(task.cpu.number))

    def _queue_up(self, task: Task) -> Steps:
        if not task.ready():
            yield from task.meet()
        if self._owner is None:
            self._take(task)
        else:
            yield from self._spin(task)

    def _spin(self, task: Task) -> Steps:
        granted = Event(self._timeline)
        # Requests come in the order of their keys, since every one has met.
        self._waiters.append((task, granted))
        granted_ns = yield granted
        yield from task.wait_until(granted_ns, self._category)
        self._since_ns = task.met_ns

    def _cycle(self, task: Task, category: str, ns: int) -> Steps:
        yield from self.acquire(task)
        task.work(category, ns)
        yield from self.release(task)

    def _hand_on(self, task: Task) -> None:
        # The task has met.
        held_ns = task.met_ns - self._since_ns
        if held_ns > self.held_max_ns:  # noqa: PLR1730 - max() is slower
            self.held_max_ns = held_ns
        if self._waiters:
            self._owner, granted = self._waiters.popleft()
            hand_off_ns = self._line.hand_over(self._owner.cpu.number)
            granted.succeed(task.met_ns + hand_off_ns)
        else:
            self._owner = None


class IrqSpinLock(SpinLock):
    """spin_lock_irq(): a spinlock that is waited for and held with interrupts off."""

    def __init__(self, timeline: Timeline, platform: Platform, category: str) -> None:
        super().__init__(timeline, platform, category)
        self._irq_save_ns = platform.costs["irq_save"].ns()

    def cycle(self, task: Task, category: str, ns: int) -> Steps:
        """Take the lock, work and release it, as :meth:`SpinLock.cycle` does."""
        line = self._line
        taken_ns = line.atomic_ns + self._irq_save_ns
        if (
            line.cpu == task.cpu.number
            and self._owner is None
            and task.passes(self._category, taken_ns, category, ns)
        ):
            held_ns = taken_ns + ns
            if held_ns > self.held_max_ns:  # noqa: PLR1730 - max() is slower
                self.held_max_ns = held_ns
            if held_ns > task.irqs_off_max_ns:  # noqa: PLR1730 - max() is slower
                task.irqs_off_max_ns = held_ns
            return DONE
        return self._cycle(task, category, ns)

    def _take(self, task: Task) -> None:
        task.irqs_off()
        self._owner = task
        self._since_ns = task.met_ns
        line, cpu = self._line, task.cpu.number
        taken_ns = line.atomic_ns if line.cpu == cpu else line.take(cpu)
        task.work(self._category, taken_ns + self._irq_save_ns)

    def _spin(self, task: Task) -> Steps:
        task.irqs_off()
        yield from super()._spin(task)
        task.work(self._category, self._irq_save_ns)

    def _hand_on(self, task: Task) -> None:
        super()._hand_on(task)
        task.irqs_on()


class Mutex:
    """A mutex: FIFO, waiters sleep."""

    def __init__(self, timeline: Timeline, platform: Platform) -> None:
        self._timeline = timeline
        self._line = _Line(platform)
        self._wakeup_ns = platform.costs["mutex_wakeup"].ns()
        self._owner: Task | None = None
        self._waiters: deque[tuple[Task, Event]] = deque()

    def acquire(self, task: Task) -> Steps:
        """Take the mutex, or sleep until it is handed over; generator."""
        if not task.ready():
            yield from task.meet()
        if self._owner is None:
            self._owner = task
            task.work("bookkeeping", self._line.take(task.cpu.number))
            return
        granted = Event(self._timeline)
        self._waiters.append((task, granted))
        task.fall_asleep()
        granted_ns = yield granted
        yield from task.sleep_until(granted_ns + self._wakeup_ns, "sleep")

    def release(self, task: Task) -> Steps:
        """Wake the first waiter, if any; generator."""
        if not task.ready():
            yield from task.meet()
        if not self._waiters:
            self._owner = None
            return
        self._owner, granted = self._waiters.popleft()
        # The wake-up includes the transfer of the line.
        self._line.hand_over(self._owner.cpu.number)
        granted.succeed(task.now_ns)


class RwSemaphore:
    """An rwsem of which only readers are modelled; ``category`` as for a spinlock."""

    def __init__(self, platform: Platform, category: str) -> None:
        self._line = _Line(platform)
        self._category = category

    def down_read(self, task: Task) -> Steps:
        """Enter as a reader; for ``yield from``."""
        if task.ready():
            line, cpu = self._line, task.cpu.number
            task.work(self._category, line.atomic_ns if line.cpu == cpu else line.take(cpu))
            return DONE
        return task.meet_and(self._enter)

    def _enter(self, task: Task) -> None:
        task.work(self._category, self._line.take(task.cpu.number))
