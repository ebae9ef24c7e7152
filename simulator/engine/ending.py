# SPDX-License-Identifier: MIT
"""
How tasks end
-------------

:func:`ending` runs the tasks of a phase to their end: none is left unfinished, whatever
happens meanwhile, and kernel code that can never go on, or that ends with a lock or
with interrupts off, is told so with the locks and the functions that it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

from simulator.engine.keys import MAX_NS, TOO_LONG
from simulator.engine.locks import taken_text
from simulator.errors import InputError, KernelError
from simulator.trace.words import check_work

if TYPE_CHECKING:
    from simulator.engine.task import Task
    from simulator.engine.timeline import Timeline

__all__ = ("ending",)

_MAX_FUNCTIONS = 6
_MAX_TASKS = 3


@contextmanager
def ending(timeline: Timeline, tasks: Sequence[Task]) -> Iterator[None]:
    """
    Abandon the tasks that are left; KernelError if there is no other reason for that.

    An error is told as one of work that was no whole number of nanoseconds, or more than a
    run can have, if there was such work: that is where it comes from, far from the work
    itself, and to look at every piece of work would cost more than most of it.
    """
    try:
        yield
        _check_work(tasks)
        _check(timeline, tasks)
    except Exception:
        _check_work(tasks)
        raise
    finally:
        for task in tasks:
            task.abandon()


def _check_work(tasks: Sequence[Task]) -> None:
    for task in tasks:
        for category, ns in task.time_by.items():
            check_work(category, ns)
        if task.planned_ns < task.met_ns:
            raise InputError("kernel: a negative number of ns of work: time went backwards")
        if task.planned_ns > MAX_NS:
            most = max(task.time_by, key=lambda category: task.time_by[category])
            raise InputError(f"{TOO_LONG} (most of it {most!r})")


def _check(timeline: Timeline, tasks: Sequence[Task]) -> None:
    stuck = [task for task in tasks if task.frame() is not None]
    if stuck:
        lines = [line for task in stuck[:_MAX_TASKS] for line in _waits(task)]
        if len(stuck) > _MAX_TASKS:
            lines.append(f"  and {len(stuck) - _MAX_TASKS} tasks more")
        raise KernelError("\n".join(["deadlock: nothing is left that could happen", *lines]))
    for lock in timeline.locks:
        if lock.owner is not None:
            raise KernelError(
                f"{lock.name}: still held by {lock.owner} when it ended{taken_text(lock)}"
            )
    for task in tasks:
        if task.cpu.irqs_off:
            raise KernelError(f"interrupts: still off when {task} ended")


def _waits(task: Task) -> list[str]:
    lock = task.waits_for
    if lock is None:
        what = "waits"
    elif lock.owner is None:
        what = f"waits for {lock.name}, which nobody has"
    else:
        what = f"waits for {lock.name}, held by {lock.owner}{taken_text(lock)}"
    return [f"  {task} {what}", f"    in {_functions(task)}"]


def _functions(task: Task) -> str:
    # Of kernel code, the innermost first: its functions call their instance k.
    names = []
    frame = task.frame()
    while frame is not None:
        if frame.f_code.co_varnames[:1] == ("k",):
            file = PurePath(frame.f_code.co_filename).name
            names.append(f"{frame.f_code.co_name}() at {file}:{frame.f_lineno}")
        frame = frame.f_back
    return ", ".join(names[:_MAX_FUNCTIONS]) or "its own code"
