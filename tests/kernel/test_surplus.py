# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
Surplus pages, given up by one task and freed by another
--------------------------------------------------------

Oracle: update_and_free_hugetlb_folio() with atomic set, free_hpage_workfn() and
schedule_work() of v6.1 to v6.12.  What is optimised goes on hpage_freelist, whose
first entry queues the work on a kworker of that CPU; the work takes the whole list,
last one first, and runs on one CPU at a time.
"""

from __future__ import annotations

from collections import Counter

import pytest

from simulator.kernel import load_kernel
from tests.kernel.helpers import constant, run

FREE = {"path": "surplus", "phases": ("alloc", "free")}


def freed(result):
    rows = result.folios
    return rows[rows["phase"] == "free"]


@pytest.mark.parametrize("kernel", ["v6.1", "v6.6", "v6.7", "v6.12"])
@pytest.mark.parametrize("engine", ["auto", "events"])
def test_a_kworker_frees_what_was_given_up_last_one_first(kernel, engine):
    result = run(kernel, pages=5, cpus=3, engine=engine, **FREE)
    rows = freed(result)
    # Task 0 faulted folios 0 to 4 in and gave 4 up first; the head of the list is folio 0.
    assert set(rows["task"]) == {1}
    assert rows.sort_values("ready_ns")["folio"].tolist() == [0, 1, 2, 3, 4]
    assert rows.sort_values("start_ns")["folio"].tolist() == [4, 3, 2, 1, 0]
    # It is on the same CPU, which task 0 has left.
    (cpu,) = set(result.flushes["cpu"])
    assert result.cpus.set_index(["phase", "cpu"]).loc[("free", cpu), "role"] == "initiator"


def test_a_kworker_begins_when_the_task_that_gave_the_pages_up_has_ended():
    # By hand: three folios are taken out of the pool for 1000 each; waking the kworker takes
    # 5000; then it takes 7 pages for 10 each and gives the huge page back for 300, each time.
    machine = constant(pool_remove=1000, mutex_wakeup=5000, page_alloc=10, huge_free_2m=300)
    result = run("v6.7", machine=machine, pages=3, cpus=1, tunables={"static_key_sites": 0}, **FREE)
    rows = freed(result).sort_values("start_ns")
    begin = result.folios.loc[result.folios["phase"] == "alloc", "ready_ns"].max()
    assert (rows["start_ns"] - begin).tolist() == [1000, 2000, 3000]
    assert (rows.sort_values("ready_ns")["ready_ns"] - begin).tolist() == [
        3000 + 5000 + n * (7 * 10 + 300) for n in (1, 2, 3)
    ]
    time_by = result.time_by[result.time_by["phase"] == "free"].set_index(["task", "category"])
    ns = time_by["ns"]
    elapsed = 3000 + 5000 + 3 * 370
    assert (ns[0, "bookkeeping"], ns[0, "sleep"]) == (3000, elapsed - 3000)
    assert (ns[1, "sleep"], ns[1, "bookkeeping"]) == (3000, 5000)
    assert (ns[1, "page_alloc"], ns[1, "huge_page_free"]) == (3 * 70, 3 * 300)


@pytest.mark.parametrize("kernel", ["v6.1", "v6.12"])
def test_with_hvo_off_the_task_frees_its_pages_itself(kernel):
    result = run(kernel, pages=4, hvo=False, **FREE)
    assert set(freed(result)["task"]) == {0}
    assert set(result.time_by["task"]) == {0}


@pytest.mark.parametrize("kernel", ["v6.1", "v6.7", "v6.12"])
@pytest.mark.parametrize("allocators", [2, 4, 8])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_work_runs_on_one_cpu_at_a_time(kernel, allocators, seed):
    running = []

    class Watched(load_kernel(kernel)):
        def free_hpage_workfn(k, work):
            running.append(k.current.number)
            assert len(running) == 1
            super().free_hpage_workfn(work)
            running.pop()

    result = run(Watched, pages=40, allocators=allocators, seed=seed, **FREE)
    rows = freed(result)
    assert len(rows) == 40
    assert set(rows["status"]) == {"freed"}
    # The tasks that gave up are the first; whoever frees is none of them.
    assert min(rows["task"]) >= allocators
    kworkers = Counter(rows["task"])
    assert set(kworkers) == set(range(allocators, allocators + len(kworkers)))
    flushes = result.flushes[result.flushes["phase"] == "free"].sort_values("start_ns")
    assert (flushes["start_ns"].iloc[1:].to_numpy() >= flushes["end_ns"].iloc[:-1].to_numpy()).all()


def test_work_that_is_given_while_it_runs_is_done_there():
    # Task 1 gives its page up while the kworker of task 0's CPU is at work: 1 us against 10 ms.
    class Late(load_kernel("v6.7")):
        def free_huge_folio(k, h, folio):
            k.current.work("bookkeeping", 10**6 * k.current.number)
            super().free_huge_folio(h, folio)

    machine = constant(huge_free_2m=10**7)
    result = run(Late, machine=machine, pages=2, allocators=2, cpus=2, **FREE)
    assert set(freed(result)["task"]) == {2}
    free = result.flushes[result.flushes["phase"] == "free"]
    assert len(set(free["cpu"])) == 1


def test_work_that_is_given_after_it_ended_has_a_kworker_of_its_own():
    class Late(load_kernel("v6.7")):
        def free_huge_folio(k, h, folio):
            k.current.work("bookkeeping", 10**8 * k.current.number)
            super().free_huge_folio(h, folio)

    result = run(Late, pages=2, allocators=2, cpus=2, **FREE)
    assert sorted(freed(result)["task"]) == [2, 3]
    free = result.flushes[result.flushes["phase"] == "free"]
    assert len(set(free["cpu"])) == 2


def test_what_cannot_be_restored_stays_a_surplus_page():
    result = run("v6.7", pages=3, faults={"restore_page": (1,)}, **FREE)
    assert Counter(freed(result)["status"]) == {"freed": 2, "restore_failed": 1}
    assert result.counts["pages_got"].tolist() == [3, 1]
