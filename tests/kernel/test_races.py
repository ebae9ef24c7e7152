# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
Two tasks split the same PMD
----------------------------

page_table_lock is dropped between the test of a PMD and its split, so two tasks
may both see a leaf and both fill a page table.  The second one to take the lock
again finds the PMD split, frees its page, and does not flush.

Oracle: one trace worked by hand to the nanosecond, and exact counts.
"""

from __future__ import annotations

import pytest

from simulator.kernel import load_kernel
from tests.kernel.helpers import MERGED, column, constant, flushes_of, patches_of, run, run_watched

NO_KEY = {"static_key_sites": 0}


@pytest.mark.parametrize("engine", ["events", "compiled"])
def test_v6_6_lost_split_race_to_the_nanosecond(engine):
    """
    Two surplus faults, on CPUs 0 and 1, in one PMD; what is not listed costs 0 ns.

    Both take a huge page (1000) and a head page (100), and meet at page_table_lock::

        1100  CPU 0 takes the lock, tests the PMD (10): a leaf
        1110  CPU 1 does, until 1120
        2210  CPU 0: PTE page (100), 512 PTEs (1000); takes the lock and splits (500)
        2220  CPU 1: the same; spins for the lock
        2710  CPU 0: flush of 512 pages: sends (100) until 2810, runs it locally (300)
        3010  CPU 1: IPI delivered (200); entry (50), flush (300), csd released at 3360
        3360  CPU 0: flush done, lock released after 1150
        3410  CPU 1: handler done (exit 50); gets the lock, finds no leaf, frees its
              page (40)
        3360  CPU 0: flush of 8 pages: sent at 3460, delivered at 3660, entry until 3710,
              released at once: done at 3710
        3450  CPU 1: flush of 8 pages: sent at 3550, delivered to CPU 0 at 3750, entry
              until 3800, released at once: done at 3800
        3710  CPU 0: frees 8 pages (320), interrupted from 3750 to 3850 (100): 4130
        3800  CPU 1: frees 8 pages (320): 4120
    """
    machine = constant(
        huge_alloc_2m=1000,
        page_alloc=100,
        pmd_check=10,
        pte_page_fill=1000,
        pmd_split=500,
        send=100,
        deliver=200,
        handler_entry=50,
        handler_exit=50,
        flush_full=300,
        page_free=40,
    )
    result, states = run_watched(
        "v6.6",
        machine=machine,
        pages=2,
        path="surplus",
        allocators=2,
        cpus=2,
        free_pages=1000,
        tunables=NO_KEY,
        engine=engine,
    )
    columns = ["cpu", "reason", "start_ns", "send_end_ns", "last_ack_ns", "end_ns"]
    assert list(result.flushes[columns].itertuples(index=False, name=None)) == [
        (0, "split", 2710, 2810, 3360, 3360),
        (0, "remap", 3360, 3460, 3710, 3710),
        (1, "remap", 3450, 3550, 3800, 3800),
    ]
    assert column(result.summary, "pmd_splits") == 1
    assert column(result.summary, "ptl_held_max_ns") == 1150
    assert column(result.summary, "elapsed_ns") == 4130
    folios = result.folios.sort_values("pfn")
    assert folios["pfn"].tolist() == [0, 512]
    assert folios["ready_ns"].tolist() == [4130, 4120]
    # Two PTE pages were taken, one came back.
    assert states[0].nr_allocs["pte_page"] == 2
    assert states[0].free_pages == 1000 - 1 + 2 * 7
    # CPU 1 waits for the lock from 2220 to 3410 (its handler included), after 10 at first.
    time_by = result.time_by.set_index(["task", "category"])["ns"]
    loser = result.flushes.loc[result.flushes["cpu"] == 1, "task"].item()
    assert time_by[loser, "page_table_lock"] == 10 + 1190
    assert time_by[1 - loser, "interrupted"] == 100
    assert (loser, "interrupted") not in time_by.index


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("path", ["surplus", "boot"])
@pytest.mark.parametrize("allocators", [2, 4, 8])
def test_a_pmd_is_split_once_however_many_tasks_see_the_leaf(kernel, path, allocators):
    """8 folios in one PMD, filled by tasks in step: all see the leaf, one splits it."""
    # As long as no task takes the lock again before the last one has tested the PMD.
    machine = constant(huge_alloc_2m=1000, pte_page_fill=100_000, pmd_check=10, page_free=1)
    result, states = run_watched(
        kernel,
        machine=machine,
        pages=8,
        path=path,
        allocators=allocators,
        cpus=8,
        free_pages=1000,
        tunables=NO_KEY,
    )
    assert states[0].nr_allocs["pte_page"] == allocators
    assert states[0].split_pmds == {0}
    assert column(result.summary, "pmd_splits") == 1
    # The losers gave their pages back.
    assert states[0].free_pages == 1000 - 1 + 8 * 7
    batched = {6: allocators + 8, 7: 2 * allocators, 8: 2 * allocators}
    # Surplus folios are optimised one by one in every version: 8 flushes and one split.
    wanted = batched.get(patches_of(kernel), 9) if path == "boot" else 9
    flushes = flushes_of(result)
    assert len(flushes) == wanted
    unbatched = path == "surplus" or patches_of(kernel) < 6
    assert (flushes["reason"] == "split").sum() == (1 if unbatched else 0)


@pytest.mark.parametrize("kernel", ["v6.6", "v6.7"])
def test_a_pmd_found_split_costs_no_page(kernel):
    """The second task comes when all is done: nothing is lost."""

    class Late(load_kernel(kernel)):
        def alloc_surplus_hugetlb_folio(k, h):
            if k.current.number == 1:
                k.current.work("bookkeeping", 10_000_000)
            return super().alloc_surplus_hugetlb_folio(h)

    _, states = run_watched(Late, pages=2, path="surplus", allocators=2, cpus=2, tunables=NO_KEY)
    assert states[0].nr_allocs["pte_page"] == 1


@pytest.mark.parametrize("kernel", MERGED)
def test_1g_folios_of_several_boot_threads_never_share_a_pmd(kernel):
    result, states = run_watched(
        kernel, pages=3, page_size="1G", path="boot", allocators=3, cpus=4, free_pages=5000
    )
    assert states[0].nr_allocs["pte_page"] == len(states[0].split_pmds) == 24
    assert column(result.summary, "pmd_splits") == 24
    assert states[0].free_pages == 5000 - 24 + 3 * 4095


@pytest.mark.parametrize("kernel", ["v6.6", "v6.7"])
def test_concurrent_first_folios_flip_the_static_key_once(kernel):
    # jump_label_mutex: the others wait until the code is patched.
    result = run(
        kernel,
        pages=8,
        path="surplus",
        allocators=8,
        phases=("alloc", "free"),
        tunables={"static_key_sites": 300},
    )
    assert result.summary["other_broadcasts"].tolist() == [6, 6]
    assert column(result.summary, "optimized_folios") == 8


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("cpus", [4, 8])
def test_concurrent_broadcasts_interrupt_or_save_but_never_forget_a_target(kernel, cpus):
    """Each broadcast has cpus-1 targets; a target whose queue was not empty gets no IPI."""
    result = run(
        kernel, pages=24, path="surplus", allocators=4, cpus=cpus, phases=("alloc", "free")
    )
    flushes = result.flushes
    assert (flushes["targets"] == cpus - 1).all()
    assert (flushes["ipis"] + flushes["ipis_saved"] == cpus - 1).all()
    assert flushes["ipis_saved"].sum() > 0
    # What was sent was taken, and every csd was executed: on all CPUs, for every call.
    taken = result.cpus.groupby("phase", observed=True)["ipis"].sum()
    sent = flushes.groupby("phase", observed=True)["ipis"].sum()
    assert taken.to_dict() == sent.to_dict()
    counts = result.counts
    executed = counts["do_flush_tlb_all_exec_total"] + counts["do_kernel_range_flush_exec_total"]
    calls = counts["flush_tlb_all_calls"] + counts["flush_tlb_kernel_range_calls"]
    assert (executed == calls * cpus).all()
