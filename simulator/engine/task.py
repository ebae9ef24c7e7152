# SPDX-License-Identifier: MIT
"""
Tasks
-----

A task is kernel code that runs on a CPU of its own.  Its body runs on a greenlet, so
that kernel code is plain functions.  In the events engine it is a SimPy process: where it
has to wait it hands its event to the process (:meth:`Task.wait`) and goes on with the
answer.  Those of the compiled engine take turns without SimPy
(:mod:`simulator.engine.compiled.turns`).

It runs ahead on its own clock: :meth:`Task.work` only adds to it.  Before the task
reads or writes anything shared, or records a time, it *meets* (:meth:`Task.meet`):
if no event pending anywhere has a key at or before its own, it goes on without an
event; otherwise it waits until that much time has passed on its CPU outside
interrupt handlers.

Not modelled: a scheduler.  A task is never migrated or preempted; the vCPU of a
task is never descheduled by the host.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

from simulator.engine.keys import KEY_BITS, Order
from simulator.errors import KernelError

if TYPE_CHECKING:
    from simpy.events import Event

    from simulator.engine.timeline import Timeline

__all__ = (
    "ALWAYS", "ATOMIC", "Account", "Body", "Lock", "Place", "Queue", "Task", "TaskCpu", "Watcher",
)  # fmt: skip

#: How often a task that is abandoned may swallow what ends it.
_MAX_THROWS = 100
_FOREVER: Final = 1 << 63

#: Of the bits in what a task holds: those of spinlocks are from here on.
ATOMIC: Final = 1 << 32
#: And one that it always has.
ALWAYS: Final = 1 << 31

#: Kernel code, and the instruction that it was at.
Place = tuple[CodeType, int]


class TaskCpu(Protocol):
    """A CPU as its task sees it."""

    number: int
    irqs_off: bool

    @property
    def busy_until_ns(self) -> int: ...
    @property
    def stolen_ns(self) -> int: ...
    def enable_irqs(self, now_ns: int) -> None: ...
    def sleep(self, now_ns: int) -> None: ...
    def wake(self, now_ns: int) -> None: ...
    def leave(self, now_ns: int) -> None: ...
    def stall(self, ns: int) -> bool: ...
    def hold(self, ns: int, until_ns: int) -> None: ...


class Lock(Protocol):
    """
    A lock, by its name, the task that has it, and who watches it, if anybody does.

    A task that takes it keeps ``bit`` in ``Task.holds``; if it has one of ``unknown`` there
    already, the watcher is asked.
    """

    name: str
    watcher: Watcher | None
    bit: int
    unknown: int

    @property
    def owner(self) -> Task | None: ...


class Queue(Lock, Protocol):
    """A lock that tasks wait for, one after another; that goes to ``category`` of ``time_by``."""

    category: str

    def enqueue(self, task: Task) -> None:
        """Let a task wait that has met."""


class Watcher(Protocol):
    """
    Who looks at locks that are taken with others held.

    ``wants_places``: it did not keep where locks were taken, and that was asked for.
    """

    wants_places: bool

    def looks_at(self, lock: Lock, task: Task) -> None:
        """A task is about to take a lock, and holds one of its ``unknown``."""


@dataclass(frozen=True, slots=True)
class Account:
    """When a task ended, where its time went, its longest times with interrupts, preemption off."""

    number: int
    end_ns: int
    time_by: Mapping[str, int]
    irqs_off_max_ns: int
    preempt_off_max_ns: int


class Task:
    """A task on its CPU, with its clock and where its time went."""

    __slots__ = (
        "_driver", "_granted", "_meeting", "_pending", "_runner", "_start_ns", "_stolen_ns",
        "_timeline", "broadcast_ns", "clear_ns", "cpu", "ended", "holds", "in_broadcast",
        "irqs_off_max_ns", "met_ns", "number", "off_since_ns", "places", "planned_ns",
        "preempt_off_max_ns", "time_by", "waits_for",
    )  # fmt: skip

    def __init__(self, timeline: Timeline, cpu: TaskCpu, number: int) -> None:
        self._timeline = timeline
        self._pending = timeline.pending
        self._runner: greenlet | None = None
        self._driver = getcurrent()
        self._granted: Any = None
        self.cpu = cpu
        self.number = number
        self.time_by: dict[str, int] = defaultdict(int)
        self.irqs_off_max_ns = 0
        self.preempt_off_max_ns = 0  # in broadcasts; locks know their own
        self.ended: list[Account] = []  # of the tasks that ran here before
        self.broadcast_ns = 0  # time in broadcasts so far
        #: The locks that it has, if they are watched: a bit for each, spinlocks from ATOMIC on,
        #: and where it took them.
        self.holds = ALWAYS
        self.places: dict[Lock, Place] = {}
        self.in_broadcast = False  # in one that interrupts
        #: The lock that it waits for, if any.
        self.waits_for: Queue | None = None
        #: The time of the last meeting, whatever work was added since.
        self.met_ns = 0
        #: The task's time if no handler runs between its last meeting and then.
        self.planned_ns = 0
        #: Nothing happens before this time, if nobody else has gone on since it was found out.
        self.clear_ns = 0
        self._stolen_ns = 0
        self.off_since_ns = 0
        self._start_ns = 0
        self._meeting = Order.MEETING | cpu.number

    def __str__(self) -> str:
        return f"task {self.number} on CPU {self.cpu.number}"

    @property
    def now_ns(self) -> int:
        """The time of the last meeting, to which no work has been added since."""
        if self.planned_ns != self.met_ns:
            raise RuntimeError("a task must meet before it records a time")
        return self.met_ns

    @property
    def known_ns(self) -> int:
        """The task's time as far as is known: a handler may still come before."""
        return self.planned_ns + self.cpu.stolen_ns - self._stolen_ns

    # --- the greenlet -----------------------------------------------------------------

    def process(self, body: Callable[[], object]) -> Generator[Event, Any, None]:
        """Run a body on a greenlet of its own: the SimPy process of the task."""
        timeline = self._timeline
        runner = self._runner = greenlet(body)
        # As a function that is called: with the caller's numpy.errstate, for one.
        runner.gr_context = copy_context()
        self._driver = getcurrent()
        timeline.resumes(self)
        event = runner.switch()
        while not runner.dead:
            value = yield event
            timeline.resumes(self)
            event = runner.switch(value)
        # Raised by kernel code, this would be no error to greenlet, but a way to end well.
        if isinstance(event, GreenletExit):
            raise event

    def wait(self, event: Event) -> Any:
        """Let others go on until an event has happened; return its value."""
        self.clear_ns = 0
        return self._driver.switch(event)

    def abandon(self) -> None:
        """
        End a task that will never go on; its ``finally`` clauses run.

        A greenlet that is dropped unfinished keeps its stack for ever.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._timeline.resumes(self)
        for _ in range(_MAX_THROWS):
            if runner.dead:
                break
            # What it waits for on its way out does not happen any more, and what it raises
            # comes after the error that it is abandoned for.
            with suppress(Exception):
                runner.throw()

    def frame(self) -> FrameType | None:
        """The innermost frame of a task that waits, None of one that runs or has ended."""
        return None if self._runner is None else self._runner.gr_frame

    # --- its clock ----------------------------------------------------------------------

    def work(self, category: str, ns: int) -> None:
        """
        Work on the CPU: costs time, needs no event.

        Raises KernelError for what is no whole number from 0 on: here its line is known.
        """
        if type(ns) is not int or ns < 0:
            raise KernelError(
                f"{ns!r:.80} ns of work in {category!r} is not a whole number from 0 on"
            )
        self.planned_ns += ns
        self.time_by[category] += ns

    def start(self, start_ns: int) -> None:
        """Begin at a time."""
        self.met_ns = self.planned_ns = self._start_ns = start_ns
        self.wait_until(start_ns, "sleep")

    def hand_over(self, number: int) -> None:
        """
        End, and let another task of this number go on here; the task has met.

        It has slept so far.
        """
        self.ended += self.accounts()[-1:]
        self.number = number
        self.time_by = defaultdict(int, {"sleep": self.now_ns - self._start_ns})
        self.irqs_off_max_ns = 0
        self.preempt_off_max_ns = 0

    def accounts(self) -> list[Account]:
        """Return what each task did that ran here, in their order; the task has met."""
        off_ns = self.irqs_off_max_ns, self.preempt_off_max_ns
        mine = Account(self.number, self.now_ns, self.time_by, *off_ns)
        return [*self.ended, mine]

    def ready(self) -> bool:
        """
        Meet without an event if nothing is pending at or before this task's time.

        Return whether that was possible; if not, the task has not met.
        """
        stolen_ns = self.cpu.stolen_ns - self._stolen_ns
        t_ns = self.planned_ns + stolen_ns
        pending = self._pending
        if not pending:
            self.clear_ns = _FOREVER
        elif pending[0][0] > t_ns << KEY_BITS | self._meeting:
            self.clear_ns = pending[0][0] >> KEY_BITS
        else:
            return False
        self.met_ns = t_ns
        if stolen_ns:
            self.planned_ns = t_ns
            self._take(stolen_ns)
        return True

    def clear_to(self, event_key: int) -> bool:
        """Whether nothing is pending at or before a key."""
        return not self._pending or self._pending[0][0] > event_key

    def meet(self) -> None:
        """Wait for everything that happens before this task's time."""
        planned_ns = self.planned_ns
        if planned_ns < self.clear_ns:
            self.met_ns = planned_ns
        else:
            self._meet()

    def _meet(self) -> None:
        while not self.ready():
            stolen_ns = self.cpu.stolen_ns
            t_ns = self.planned_ns + stolen_ns - self._stolen_ns
            self.wait(self._timeline.at(t_ns << KEY_BITS | self._meeting))
            if self.cpu.stolen_ns == stolen_ns:
                # No handler in between: this is the moment itself.
                self.met_ns = self.planned_ns = t_ns
                if stolen_ns != self._stolen_ns:
                    self._take(stolen_ns - self._stolen_ns)
                return

    def ask(self, lock: Queue) -> bool:
        """
        Meet, and if a lock is taken then, wait for it.

        Return whether it was, and is now this task's; if not, nobody has it.
        """
        self.meet()
        if lock.owner is None:
            return False
        lock.enqueue(self)
        self.wait_for(lock)
        return True

    def wait_for(self, lock: Queue) -> None:
        """Wait until a lock is granted, in whose queue it is."""
        self.waits_for = lock
        self._granted = self._timeline.promise()
        end_ns = self.wait(self._granted)
        self.waits_for = None
        self.wait_until(end_ns, lock.category)

    def grant(self, end_ns: int) -> None:
        """Let it have the lock that it waits for, at a time, or when a handler then has ended."""
        self._granted.send(end_ns << KEY_BITS | self._meeting, end_ns)

    def wait_until(self, t_ns: int, category: str) -> None:
        """
        Spin or sleep until a time, or until the handler that runs then has ended.

        The task has met.  Handlers meanwhile cost it nothing more.
        """
        begin_ns = self.now_ns
        t_ns = max(t_ns, begin_ns)
        while True:
            event_key = t_ns << KEY_BITS | self._meeting
            if not self.clear_to(event_key):
                self.wait(self._timeline.at(event_key))
            if self.cpu.busy_until_ns <= t_ns:
                break
            t_ns = self.cpu.busy_until_ns
        self.time_by[category] += t_ns - begin_ns
        self.met_ns = self.planned_ns = t_ns
        self._stolen_ns = self.cpu.stolen_ns

    def sleep_until(self, t_ns: int, category: str) -> None:
        """Sleep until a time, the CPU idle meanwhile; the task has met."""
        self.fall_asleep()
        self.wait_until(t_ns, category)
        self.cpu.wake(self.met_ns)

    def fall_asleep(self) -> None:
        """Leave the CPU idle from now on; the task has met."""
        self.cpu.sleep(self.now_ns)

    def ran_broadcast(self, start_ns: int, preemptible_ns: int, end_ns: int) -> None:
        """Account for a broadcast, which turned preemption on again at a time."""
        self.broadcast_ns += end_ns - start_ns
        off_ns = preemptible_ns - start_ns
        if off_ns > self.preempt_off_max_ns:  # noqa: PLR1730 - max() is slower
            self.preempt_off_max_ns = off_ns

    def local_irq_disable(self) -> None:
        """Turn interrupts off on this CPU."""
        self.meet()
        self.irqs_off()

    def local_irq_enable(self) -> None:
        """Turn interrupts on; one that waits is taken at once."""
        self.meet()
        self.irqs_on()

    def irqs_off(self) -> None:
        """Turn interrupts off; the task has met."""
        self.cpu.irqs_off = True
        self.off_since_ns = self.met_ns

    def irqs_on(self) -> None:
        """Turn interrupts on; the task has met."""
        off_ns = self.met_ns - self.off_since_ns
        if off_ns > self.irqs_off_max_ns:  # noqa: PLR1730 - max() is slower
            self.irqs_off_max_ns = off_ns
        self.cpu.enable_irqs(self.met_ns)

    def _take(self, stolen_ns: int) -> None:
        # Account for handlers that ran in the middle of work.
        self.time_by["interrupted"] += stolen_ns
        self._stolen_ns += stolen_ns


#: What a task does, from its start to its end.
Body = Callable[[], object]
