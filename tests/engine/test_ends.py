# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
How tasks end, and what is left of them
---------------------------------------

Oracle: the collector, which knows every greenlet there is; lockdep, for the words.
"""

from __future__ import annotations

import gc

import pytest
from greenlet import greenlet

from simulator.errors import KernelError
from simulator.kernel import load_kernel
from tests.engine.hand import HandMachine, World, works
from tests.kernel.helpers import run

SURPLUS = {"pages": 6, "cpus": 4, "allocators": 3, "path": "surplus"}


def unfinished():
    gc.collect()
    # By its type: a weak proxy whose object is gone cannot be asked for its class.
    found = (g for g in gc.get_objects() if issubclass(type(g), greenlet))
    return [g for g in found if g.parent is not None and not g.dead]


def kernel_that(act):
    class Broken(load_kernel("v6.6")):
        def pmd_populate_kernel(k, pmd, pgtable):
            super().pmd_populate_kernel(pmd, pgtable)
            act(k)

    return Broken


def fails(k):
    raise ZeroDivisionError


def is_interrupted(k):
    raise KeyboardInterrupt


def deadlocks(k):
    k.h.resize_lock.lock()
    k.jump_label_mutex.lock()  # of the task that comes first to the first of them
    k.h.resize_lock.unlock()


@pytest.mark.parametrize("engine", ["events", "compiled"])
@pytest.mark.parametrize("fields", [{"pages": 4}, SURPLUS], ids=["one task", "several"])
@pytest.mark.parametrize(
    ("act", "error"),
    [(fails, ZeroDivisionError), (is_interrupted, KeyboardInterrupt), (deadlocks, KernelError)],
)
def test_no_greenlet_is_left_after_a_run_that_did_not_end(engine, fields, act, error):
    before = len(unfinished())
    for _ in range(3):
        with pytest.raises(error):
            run(kernel_that(act), engine=engine, **fields)
    assert len(unfinished()) == before


def test_none_is_left_after_a_run_that_did():
    before = len(unfinished())
    run("v6.7", **SURPLUS)
    assert len(unfinished()) == before


def test_the_finally_clauses_of_an_abandoned_task_run():
    ended = []

    def sleeps(world, task):
        try:
            task.sleep_until(10_000, "sleep")
        finally:
            ended.append(task.number)

    def errs(world, task):
        task.work("bookkeeping", 10)
        task.meet()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        World(HandMachine(2)).run({0: sleeps, 1: errs})
    assert ended == [0]


def test_a_deadlock_names_each_lock_its_holder_and_the_functions():
    def takes(first, second):
        def body(world, task):
            getattr(world, first).lock()
            task.work("bookkeeping", 1000)
            getattr(world, second).lock()

        return body

    with pytest.raises(KernelError) as error:
        World(HandMachine(2)).run(
            {0: takes("page_table_lock", "resize_lock"), 1: takes("resize_lock", "page_table_lock")}
        )
    text = str(error.value)
    assert text.startswith("deadlock")
    assert "task 0 on CPU 0 waits for resize_lock, held by task 1 on CPU 1" in text
    assert "task 1 on CPU 1 waits for page_table_lock, held by task 0 on CPU 0" in text


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ("page_table_lock", "page_table_lock: released by task 0 on CPU 0; nobody has it"),
        ("resize_lock", "resize_lock: released by task 0 on CPU 0; nobody has it"),
    ],
)
def test_a_lock_that_is_released_and_not_held(lock, message):
    with pytest.raises(KernelError, match=message):
        World(HandMachine(1)).run({0: lambda world, task: getattr(world, lock).unlock()})


@pytest.mark.parametrize("lock", ["page_table_lock", "resize_lock"])
def test_a_lock_that_a_task_takes_twice(lock):
    def body(world, task):
        getattr(world, lock).lock()
        getattr(world, lock).lock()

    with pytest.raises(KernelError, match=f"{lock}: task 0 on CPU 0 takes it and has it already"):
        World(HandMachine(1)).run({0: body})


@pytest.mark.parametrize("lock", ["page_table_lock", "hugetlb_lock", "resize_lock"])
def test_a_lock_that_is_held_at_the_end(lock):
    with pytest.raises(KernelError, match=f"{lock}: still held by task 0 on CPU 0 when it ended"):
        World(HandMachine(2)).run(
            {0: lambda world, task: getattr(world, lock).lock(), 1: works(10)}
        )


def test_a_reader_that_stays_in_is_told_as_a_lock_is():
    with pytest.raises(KernelError, match="mmap_lock: still held by task 0"):
        World(HandMachine(1)).run({0: lambda world, task: world.mmap_lock.down_read()})
