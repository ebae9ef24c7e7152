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

from simulator.engine.platform import NR_DISTANCES
from simulator.errors import KernelError

if TYPE_CHECKING:
    from simulator.engine.platform import Platform
    from simulator.engine.task import Lock, Task, Watcher
    from simulator.engine.timeline import Timeline

__all__ = ("IrqSpinLock", "Mutex", "NoLock", "RwSemaphore", "SpinLock", "taken_text")


class _Lock:
    # What all have: a name, a cache line, and who watches it.

    def __init__(self, timeline: Timeline, platform: Platform, name: str) -> None:
        self._timeline = timeline
        # Plain integers of both, faster.
        self._distance = platform.distance.reshape(-1).data
        self._nr_cpus = platform.nr_cpus
        transfer = platform.costs["cache_line"].ns
        self._transfer_ns = tuple(transfer(distance=far) for far in range(NR_DISTANCES))
        self._atomic_ns = platform.costs["atomic"].ns()
        self._cpu = -1  # that had the line last, and the task that took the lock there
        self._last: Task | None = None
        self.name = name
        self.owner: Task | None = None
        #: Asked when a task takes the lock that holds one of ``unknown``; what it holds is kept
        #: only then.
        self.watcher: Watcher | None = None
        self.bit = self.unknown = 0
        timeline.locks.append(self)

    def _line_ns(self, task: Task) -> int:
        # An atomic operation, on a line that may be elsewhere.
        cpu = task.cpu.number
        ns = self._atomic_ns if self._cpu in (cpu, -1) else self._hand_over_line(cpu)
        self._cpu, self._last = cpu, task
        return ns

    def _hand_over_line(self, cpu: int) -> int:
        last, self._cpu = self._cpu, cpu
        self._last = None
        return self._transfer_ns[self._distance[last * self._nr_cpus + cpu]]


class SpinLock(_Lock):
    """
    A spinlock that is taken with interrupts on.

    ``name`` is also the category of the waiting in ``time_by``; ``owner`` the task
    that has it; ``held_max_ns`` the longest hold since :meth:`forget`, and
    ``waited_and_held_max_ns`` the longest with the spinning before it, of those that spun.
    """

    def __init__(self, timeline: Timeline, platform: Platform, name: str) -> None:
        super().__init__(timeline, platform, name)
        self.category = name
        #: And since when they spin.
        self._waiters: deque[tuple[Task, int]] = deque()
        self._contended = False  # somebody waits, or its owner had to
        self._since_ns = 0
        self._asked_ns = -1  # when its owner began to spin, if it had to
        self._irqs_off = False
        self._irq_save_ns = 0
        self.held_max_ns = 0
        self.waited_and_held_max_ns = 0

    def lock(self) -> None:
        """spin_lock()."""
        task = self._timeline.current
        if self.watcher is not None:
            if task.holds & self.unknown:
                self.watcher.looks_at(self, task)
            task.holds += self.bit
        # A lock that is free stays so to this task's time if nothing happens until then.
        if self.owner is not None or task.planned_ns >= task.clear_ns:
            if self.owner is task:
                raise _held_already(self, task)
            if task.ask(self):
                self._since_ns = task.met_ns
                if self._irq_save_ns:
                    task.work(self.name, self._irq_save_ns)
                return
        self.owner = task
        now_ns = self._since_ns = task.met_ns = task.planned_ns
        ns = self._atomic_ns if self._last is task else self._line_ns(task)
        if self._irqs_off:
            task.irqs_off()
            ns += self._irq_save_ns
        task.planned_ns = now_ns + ns  # as Task.work()
        task.time_by[self.name] += ns

    def unlock(self) -> None:
        """spin_unlock(): give the lock to the first waiter, if any."""
        task = self._timeline.current
        if self.owner is not task:
            raise _not_held(self, task)
        now_ns = task.planned_ns
        if now_ns < task.clear_ns:
            task.met_ns = now_ns  # as Task.meet(), without a call
        else:
            task.meet()
            now_ns = task.met_ns
        if now_ns - self._since_ns > self.held_max_ns:  # noqa: PLR1730 - max() is slower
            self.held_max_ns = now_ns - self._since_ns
        if self.watcher is not None:
            task.holds -= self.bit
        self.owner = None
        if self._contended:
            self._hand_over(now_ns)
        if self._irqs_off:
            task.irqs_on()

    def _hand_over(self, now_ns: int) -> None:
        if self._asked_ns >= 0:
            waited_ns = now_ns - self._asked_ns
            self.waited_and_held_max_ns = max(self.waited_and_held_max_ns, waited_ns)
            self._asked_ns = -1
        self._contended = bool(self._waiters)
        if self._waiters:
            self.owner, self._asked_ns = self._waiters.popleft()
            self.owner.grant(now_ns + self._hand_over_line(self.owner.cpu.number))

    def enqueue(self, task: Task) -> None:
        """Let a task that has met spin for the lock: it asks in the order of its key."""
        if self._irqs_off:
            task.irqs_off()
        self._waiters.append((task, task.met_ns))
        self._contended = True

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
        self._irqs_off = True
        self._irq_save_ns = platform.costs["irq_save"].ns()

    #: spin_lock_irq() and spin_unlock_irq().
    lock_irq = SpinLock.lock
    unlock_irq = SpinLock.unlock


class Mutex(_Lock):
    """A mutex: FIFO, waiters sleep."""

    def __init__(self, timeline: Timeline, platform: Platform, name: str) -> None:
        super().__init__(timeline, platform, name)
        self.category = "sleep"
        self._wakeup_ns = platform.costs["mutex_wakeup"].ns()
        self._waiters: deque[Task] = deque()

    def lock(self) -> None:
        """mutex_lock(): take the mutex, or sleep until it is handed over."""
        task = self._timeline.current
        if self.watcher is not None:
            if task.holds & self.unknown:
                self.watcher.looks_at(self, task)
            task.holds += self.bit
        if self.owner is task:
            raise _held_already(self, task)
        if task.ask(self):
            task.cpu.wake(task.met_ns)
        else:
            self.owner = task
            task.work("bookkeeping", self._line_ns(task))

    def unlock(self) -> None:
        """mutex_unlock(): wake the first waiter, if any."""
        task = self._timeline.current
        if self.owner is not task:
            raise _not_held(self, task)
        task.meet()
        if self.watcher is not None:
            task.holds -= self.bit
        if not self._waiters:
            self.owner = None
            return
        self.owner = self._waiters.popleft()
        # The wake-up includes the transfer of the line.
        self._hand_over_line(self.owner.cpu.number)
        self.owner.grant(task.now_ns + self._wakeup_ns)

    def enqueue(self, task: Task) -> None:
        """Let a task that has met sleep until it gets the mutex."""
        self._waiters.append(task)
        task.fall_asleep()


class RwSemaphore(_Lock):
    """An rwsem of which only readers are modelled; ``name`` as for a spinlock."""

    def __init__(self, timeline: Timeline, platform: Platform, name: str) -> None:
        super().__init__(timeline, platform, name)
        #: Those that are in besides the first, who is the ``owner``.
        self.others: list[Task] = []

    def down_read(self) -> None:
        """Enter as a reader."""
        task = self._timeline.current
        if self.watcher is not None:
            if task.holds & self.unknown:
                self.watcher.looks_at(self, task)
            task.holds |= self.bit
        if task.planned_ns < task.clear_ns:
            task.met_ns = task.planned_ns  # as Task.meet(), without a call
        else:
            task.meet()
        if self.owner is None:
            self.owner = task
        else:
            self.others.append(task)
        ns = self._atomic_ns if self._last is task else self._line_ns(task)
        task.planned_ns += ns  # as Task.work()
        task.time_by[self.name] += ns

    def up_read(self) -> None:
        """Leave, which costs nothing more."""
        task = self._timeline.current
        others = self.others
        if task is self.owner:
            self.owner = others.pop(0) if others else None
        elif task in others:
            others.remove(task)
        else:
            raise _not_held(self, task)
        if self.watcher is not None:
            task.holds &= ~self.bit


class NoLock:
    """Where other kernels have an rwsem, and this one has none."""

    def down_read(self) -> None:
        """Enter."""

    def up_read(self) -> None:
        """Leave."""


def _not_held(lock: Lock, task: Task) -> KernelError:
    owner = lock.owner
    whose = "nobody has it" if owner is None else f"{owner} has it{taken_text(lock)}"
    return KernelError(f"{lock.name}: released by {task}; {whose}")


def _held_already(lock: Lock, task: Task) -> KernelError:
    return KernelError(f"{lock.name}: {task} takes it and has it already{taken_text(lock)}")


def taken_text(lock: Lock) -> str:
    """Return where its owner took a lock, to be appended; empty if that is not known."""
    place = None if lock.owner is None else lock.owner.places.get(lock)
    if place is None:
        if lock.owner is not None and lock.watcher is not None:
            lock.watcher.wants_places = True
        return ""
    code, at = place
    line = next(line for start, end, line in code.co_lines() if start <= at < end)
    return f" (taken in {code.co_name}() line {line})"
