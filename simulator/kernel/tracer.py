# SPDX-License-Identifier: MIT
"""
A function tracer
-----------------

:class:`Tracer` attaches to the functions of one kernel object by name, to its locks and
to the engine's broadcasts, so that kernel code, and a user's own, is traced as it is.
A kernel that nothing is attached to pays nothing.

A run is the same with it: it never meets where the kernel would not.  Where a function
begins and ends is therefore as known to the task then; a handler that interrupts it
before its next meeting is shown to come later.

Slices of no length, such as those of a test of a flag, are left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.engine.locks import IrqSpinLock, Mutex, RwSemaphore, SpinLock
from simulator.kernel.base import KernelBase
from simulator.kernel.cache import Cache
from simulator.trace.exchange.broadcasts import cpu_track, task_track
from simulator.trace.exchange.events import NOTHING, Event, InOrder, Track, Value, What

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from simulator.engine import Task
    from simulator.engine.calls import Call
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("Tracer", "functions_of")

Function = Callable[..., Any]

# They say what a CPU is to run, and do not run it.
_TELL = frozenset(("flush_call", "do_flush_tlb_all", "do_kernel_range_flush"))
_KEPT = 4096  # events, before any are passed on
_RUN = Track("run", "phases")


def functions_of(kernel: type[KernelBase]) -> tuple[str, ...]:
    """
    Return the names of a kernel's functions, a user's own among them.

    Not those of the simulation's own side, which the kernel has none of.
    """
    ours = {name for cls in (KernelBase, Cache) for name in vars(cls)} | _TELL
    found: dict[str, None] = {}
    for cls in kernel.__mro__:
        if issubclass(cls, KernelBase):
            for name, value in vars(cls).items():
                # A function under an old name is the one that has the new one.
                own = inspect.isfunction(value) and not hasattr(getattr(kernel, name), "calls")
                if own and not name.startswith("_") and name not in ours:
                    found[name] = None
    return tuple(sorted(found))


@dataclass(slots=True)
class _Slice:
    name: str
    begin_ns: int
    track: Track
    cpu: int
    task: int
    told: bool = False


@dataclass(slots=True)
class _Traced:
    # What is known of a task: the functions that it is in, and how deep.
    stack: list[_Slice] = field(default_factory=list)
    preempt_depth: int = 0
    irqs_depth: int = 0
    broadcast_ns: int = -1  # end of its last one
    planned_ns: int = -1  # as planned then


class Tracer:
    """
    Puts the events of what tasks do.

    :param out: takes the events.
    :param wanted: whether a function of a name is to be shown.
    :param ended: is told of each broadcast that has ended: its number, what it ran, and
        whether it was the only one under way.
    :param settle: is told before which time no broadcast under way began; returns before
        which time nothing more will be put.
    """

    def __init__(
        self,
        out: InOrder,
        wanted: Callable[[str], bool],
        ended: Callable[[int, Call, bool], None],
        settle: Callable[[int], int],
    ) -> None:
        self._out = out
        self._wanted = wanted
        self._ended = ended
        self._settle = settle
        self._tasks: dict[int, _Traced] = {}
        self._under_way: dict[int, int] = {}  # broadcasts: when they began
        self._met_others: set[int] = set()  # broadcasts that were not alone
        self._nr_locks = 0
        self._names: dict[int, str] = {}  # of the locks: those of several pools are called alike
        self._counted: dict[str, int] = {}
        self._phase = ""
        self._first_cpu = -1

    def attach(self, k: Hugetlb) -> None:
        """Trace a kernel from now on."""
        self._k = k
        self._timeline = k.engine.timeline
        for name in functions_of(k.version):
            if self._wanted(name):
                k.attach(name, self._function(name))
        if hasattr(k, "synchronize_rcu"):  # not in every version
            k.attach("synchronize_rcu", self._sleeping)
        k.attach("begin_phase", self._begin_phase)
        k.attach("end_phase", self._end_phase)
        k.engine.on_each_cpu = self._broadcast(k.engine.on_each_cpu)  # type: ignore[method-assign]

    # --- phases -----------------------------------------------------------------------

    def _begin_phase(self, function: Function) -> Function:
        def begin(label: str, start_ns: int, initiators: Collection[int]) -> None:
            self._phase = label
            self._tasks.clear()
            self._attach_locks()
            function(label, start_ns, initiators)
            # Of its tasks, the first.
            self._first_cpu = next(iter(initiators))
            self._out.put(Event(start_ns, "begin", "phase", _RUN, label, self._first_cpu, 0))
            self._count(start_ns)

        return begin

    def _end_phase(self, function: Function) -> Function:
        def end(end_ns: int) -> None:
            function(end_ns)
            self._count(end_ns)
            self._out.put(Event(end_ns, "end", "phase", _RUN, self._phase, self._first_cpu, 0))

        return end

    # --- functions ----------------------------------------------------------------------

    def _function(self, name: str) -> Callable[[Function], Function]:
        def around(function: Function) -> Function:
            timeline = self._timeline

            def traced(*args: Any, **named: Any) -> Any:
                task = timeline.current
                self._enter(task, name)
                result = function(*args, **named)
                self._leave(task)
                return result

            return traced

        return around

    def _enter(self, task: Task, name: str) -> None:
        mine = self._of(task)
        now_ns = task.known_ns
        self._tell(mine, now_ns)
        cpu, number = task.cpu.number, task.number
        mine.stack.append(_Slice(name, now_ns, task_track(number), cpu, number))

    def _leave(self, task: Task) -> None:
        mine = self._of(task)
        now_ns = task.known_ns
        if mine.broadcast_ns == task.met_ns and mine.planned_ns == task.planned_ns:
            # The TLB misses come after the flush, not in it.
            now_ns = mine.broadcast_ns
        self._tell(mine, now_ns)
        last = mine.stack.pop()
        if last.told:
            self._put(last, now_ns, "end")
        self._count(task.met_ns)

    def _put(self, of: _Slice, ns: int, kind: Any) -> None:
        self._out.put(Event(ns, kind, "function", of.track, of.name, of.cpu, of.task))

    def _tell(self, mine: _Traced, now_ns: int) -> None:
        # Of the functions that a task is in, those that time has passed in.
        stack = mine.stack
        first = len(stack)
        while first and not stack[first - 1].told:
            first -= 1
        for of in stack[first:]:
            if of.begin_ns >= now_ns:
                break
            of.told = True
            self._put(of, of.begin_ns, "begin")

    def _of(self, task: Task) -> _Traced:
        return self._tasks.setdefault(id(task), _Traced())

    def _sleeping(self, function: Function) -> Function:
        def sleep(*args: Any) -> Any:
            task = self._met()
            start_ns = task.met_ns
            result = function(*args)
            self._idle(task, start_ns)
            return result

        return sleep

    def _idle(self, task: Task, start_ns: int) -> None:
        idle_ns = task.met_ns - start_ns
        state = self._k.platform.idle_state(idle_ns, task.cpu.number, start_ns).name
        self._section("idle", "idle", start_ns, task, "begin", {"deepest": state})
        self._section("idle", "idle", task.met_ns, task, "end")

    # --- locks --------------------------------------------------------------------------

    def _attach_locks(self) -> None:
        # A pool is made, and its lock with it, when it is first asked for.
        locks = self._timeline.locks
        for lock in locks[self._nr_locks :]:
            self._nr_locks += 1
            known = sum(name == lock.name for name in self._names.values())
            self._names[id(lock)] = f"{lock.name} {known + 1}" if known else lock.name
            if isinstance(lock, RwSemaphore):
                lock.down_read = self._entering(lock)  # type: ignore[method-assign]
                lock.up_read = self._leaving(lock)  # type: ignore[method-assign]
            elif isinstance(lock, SpinLock | Mutex):
                taking, giving = self._taking(lock), self._giving(lock)
                for name, around in (
                    ("lock", taking), ("lock_irq", taking), ("unlock", giving),
                    ("unlock_irq", giving),
                ):  # fmt: skip
                    if hasattr(lock, name):
                        setattr(lock, name, around(getattr(lock, name)))

    def _taking(self, lock: SpinLock | Mutex) -> Callable[[Function], Function]:
        def around(function: Function) -> Function:
            def take() -> None:
                task = self._met()
                mine = self._of(task)
                asked_ns, owner = task.met_ns, lock.owner
                if isinstance(lock, SpinLock):
                    self._disable(task, mine, lock)
                function()
                if owner is not None:
                    self._waited(lock, owner, task, asked_ns)
                told = {"task": task.number, "cpu": task.cpu.number}
                self._held(lock, task, "begin", told)

            return take

        return around

    def _waited(self, lock: SpinLock | Mutex, owner: Task, task: Task, asked_ns: int) -> None:
        track = task_track(task.number)
        name, cpu = f"wait for {self._names[id(lock)]}", task.cpu.number
        told: dict[str, Value] = {"holder": f"task {owner.number}", "holder_cpu": owner.cpu.number}
        put = self._out.put
        put(Event(asked_ns, "begin", "lock_wait", track, name, cpu, task.number, told))
        put(Event(task.met_ns, "end", "lock_wait", track, name, cpu, task.number))
        if isinstance(lock, Mutex):
            self._idle(task, asked_ns)

    def _giving(self, lock: SpinLock | Mutex) -> Callable[[Function], Function]:
        def around(function: Function) -> Function:
            def give() -> None:
                task = self._met()
                self._held(lock, task, "end")
                if isinstance(lock, SpinLock):
                    self._enable(task, self._of(task), lock)
                function()
                self._pass_on(task.met_ns)

            return give

        return around

    def _entering(self, lock: RwSemaphore) -> Function:
        function = lock.down_read

        def enter() -> None:
            function()
            self._held(lock, self._timeline.current, "begin")

        return enter

    def _leaving(self, lock: RwSemaphore) -> Function:
        function = lock.up_read

        def leave() -> None:
            self._held(lock, self._timeline.current, "end")
            function()

        return leave

    def _held(
        self,
        lock: SpinLock | Mutex | RwSemaphore,
        task: Task,
        kind: Any,
        args: Mapping[str, Any] = NOTHING,
    ) -> None:
        cpu, number = task.cpu.number, task.number
        # Readers overlap, and have a track each.
        part = f"task {number}" if isinstance(lock, RwSemaphore) else ""
        ns = task.known_ns if part else task.met_ns
        track = Track("lock", self._names[id(lock)], part)
        self._out.put(Event(ns, kind, "lock", track, f"task {number}", cpu, number, args))

    # --- sections -----------------------------------------------------------------------

    def _disable(self, task: Task, mine: _Traced, lock: SpinLock) -> None:
        self._preempt(task, mine, 1)
        if isinstance(lock, IrqSpinLock):
            if not mine.irqs_depth:
                self._section("irqs off", "irqs_off", task.met_ns, task, "begin")
            mine.irqs_depth += 1

    def _enable(self, task: Task, mine: _Traced, lock: SpinLock) -> None:
        if isinstance(lock, IrqSpinLock):
            mine.irqs_depth -= 1
            if not mine.irqs_depth:
                self._section("irqs off", "irqs_off", task.met_ns, task, "end")
        self._preempt(task, mine, -1)

    def _preempt(self, task: Task, mine: _Traced, more: int) -> None:
        before = mine.preempt_depth
        mine.preempt_depth += more
        if not before or not mine.preempt_depth:
            kind = "end" if before else "begin"
            self._section("preempt off", "preempt_off", task.met_ns, task, kind)

    def _section(
        self, part: str, what: What, ns: int, task: Task, kind: Any,
        args: Mapping[str, Any] = NOTHING,
    ) -> None:  # fmt: skip
        cpu = task.cpu.number
        self._out.put(Event(ns, kind, what, cpu_track(cpu, part), part, cpu, task.number, args))

    # --- broadcasts ---------------------------------------------------------------------

    def _broadcast(self, function: Function) -> Function:
        under_way = self._under_way

        def on_each_cpu(call: Call) -> None:
            task = self._met()
            mine = self._of(task)
            flush = len(self._k.recorder.flushes)
            if under_way:
                self._met_others.update((flush, *under_way))
            under_way[flush] = task.met_ns
            self._preempt(task, mine, 1)
            function(call)
            self._preempt(task, mine, -1)
            del under_way[flush]
            mine.broadcast_ns, mine.planned_ns = task.met_ns, task.planned_ns
            self._ended(flush, call, flush not in self._met_others)
            self._met_others.discard(flush)
            self._pass_on(task.met_ns)

        return on_each_cpu

    # --- time -----------------------------------------------------------------------------

    def _met(self) -> Task:
        # Only where the kernel's own function meets at once.
        task = self._timeline.current
        task.meet()
        # Time passes from here on.
        self._tell(self._of(task), task.met_ns + 1)
        return task

    def _pass_on(self, now_ns: int) -> None:
        # A task has met: nothing will happen before.
        if len(self._out) < _KEPT:
            return
        before_ns = min(self._settle(min([now_ns, *self._under_way.values()])), now_ns)
        for mine in self._tasks.values():
            before_ns = min([before_ns, *(of.begin_ns for of in mine.stack if not of.told)])
        self._out.release(before_ns)

    # --- counters -------------------------------------------------------------------------

    def _count(self, ns: int) -> None:
        k, counted = self._k, self._counted
        for name, value in (
            ("free pages", k.nr_free_pages),
            ("huge pages", sum(h.nr_huge_pages for h in k.hstates.values())),
            ("vmemmap pages held", k.nr_held_pages),
        ):
            if counted.get(name) != value:
                counted[name] = value
                track = Track("counter", name)
                self._out.put(Event(ns, "counter", "counter", track, name, args={"value": value}))
