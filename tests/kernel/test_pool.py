# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
The pool: locks, lists, nodes
-----------------------------

Oracle: mm/hugetlb.c read by hand.  set_max_huge_pages() of v6.1 to v6.7, and
of the series between, in terms of hugetlb_lock cycles, the order of its lists
and the nodes that it visits.
"""

from __future__ import annotations

import pytest

from tests.kernel.helpers import (
    MERGED,
    column,
    constant,
    lock_cycles,
    patches_of,
    run,
    run_watched,
    with_counted_lock,
)

ALLOC_FREE = ("alloc", "free")


# --- hugetlb_lock: cycles -----------------------------------------------------------------


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("pages", [1, 5])
@pytest.mark.parametrize("hvo", [True, False], ids=["on", "off"])
def test_hugetlb_lock_cycles_are_those_of_set_max_huge_pages(kernel, pages, hvo):
    """
    Count spin_lock_irq(&hugetlb_lock) in the C code.

    Growing: once on entry; per folio once more in the loop; once around
    update_and_free_pages_bulk(), whose list is empty. Before the second patch also
    twice per folio (accounting, free_huge_folio()), from there on twice for the list.

    Shrinking: once on entry, once after update_and_free_pages_bulk(), and what clears
    destructors: from v6.6 on per folio, from the first patch on once, if HVO is on.
    """
    patches = patches_of(kernel)
    alloc = 2 + pages + (2 * pages if patches < 2 else 2)
    clears = 0 if kernel == "v6.1" or not hvo else pages if patches < 1 else 1
    assert lock_cycles(kernel, pages, hvo=hvo) == (alloc, 2 + clears)


# --- hugetlb_lock: time with interrupts off -----------------------------------------------


def irqs_off(kernel, pages, phase, **costs):
    result = run(kernel, pages=pages, cpus=2, phases=ALLOC_FREE, machine=constant(**costs))
    return column(result.summary, "irqs_off_max_ns", phase)


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("pages", [1, 3, 20])
def test_bulk_free_detaches_all_folios_in_one_section_with_interrupts_off(kernel, pages):
    assert irqs_off(kernel, pages, "free", pool_remove=100) == 100 * pages


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("pages", [1, 3, 20])
def test_from_the_second_patch_on_all_folios_are_added_in_one_section(kernel, pages):
    folios = 1 if patches_of(kernel) < 2 else pages
    assert irqs_off(kernel, pages, "alloc", pool_add=100) == 100 * folios


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("pages", [1, 3, 20])
def test_destructors_are_cleared_in_one_section_from_the_first_patch_on(kernel, pages):
    folios = 0 if kernel == "v6.1" else 1 if patches_of(kernel) < 1 else pages
    assert irqs_off(kernel, pages, "free", clear_hugetlb=100) == 100 * folios


def test_interrupts_are_off_for_irq_save_and_the_lock_itself_too():
    # 9 to turn them off and on, 6 for the lock, 2 folios of 100.
    assert irqs_off("v6.6", 2, "free", pool_remove=100, irq_save=9, atomic=6) == 215


def test_the_local_part_of_a_flush_runs_with_interrupts_off():
    assert irqs_off("v6.6", 1, "alloc", flush_full=700) == 700
    assert irqs_off("v6.6", 1, "alloc", invlpg=100) == 800
    assert irqs_off("v6.1", 1, "alloc", invlpg=100) == 700


# --- page_table_lock ----------------------------------------------------------------------

# A flush of a split, to one other CPU: send 100, deliver 200, entry 50, flush 300; the
# csd is released 650 ns after the flush began.
FLUSH = {"send": 100, "deliver": 200, "handler_entry": 50, "flush_full": 300}


@pytest.mark.parametrize("kernel", [k for k in MERGED if patches_of(k) < 6])
def test_page_table_lock_is_held_across_the_flush_of_a_split(kernel):
    result = run(kernel, pages=2, cpus=2, machine=constant(pmd_split=1000, **FLUSH))
    assert column(result.summary, "ptl_held_max_ns") == 1000 + 650


@pytest.mark.parametrize("kernel", [k for k in MERGED if patches_of(k) >= 6])
def test_a_batched_split_holds_page_table_lock_without_a_flush(kernel):
    result = run(kernel, pages=2, cpus=2, machine=constant(pmd_split=1000, **FLUSH))
    assert column(result.summary, "ptl_held_max_ns") == 1000


@pytest.mark.parametrize("kernel", [k for k in MERGED if patches_of(k) >= 6])
def test_a_late_split_holds_page_table_lock_across_its_flush(kernel):
    # The first pass fails; the second one splits with the flush of old.
    faults = {"pte_page": [1]}
    machine = constant(pmd_split=1000, **FLUSH)
    result = run(kernel, pages=2, cpus=2, machine=machine, faults=faults)
    assert column(result.summary, "ptl_held_max_ns") == 1000 + 650


@pytest.mark.parametrize("kernel", MERGED)
def test_a_check_of_the_pmd_holds_page_table_lock_for_a_moment(kernel):
    result = run(kernel, pages=3, cpus=2, machine=constant(pmd_check=70), phases=ALLOC_FREE)
    assert result.summary["ptl_held_max_ns"].tolist() == [70, 70]


# --- pages that wait for a flush ----------------------------------------------------------


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("pages", [1, 3, 70])
def test_peak_of_held_pages_is_one_folio_or_the_whole_batch(kernel, pages):
    wanted = 7 if kernel == "v6.1" else 8 if patches_of(kernel) < 5 else 8 * pages
    result = run(kernel, pages=pages, cpus=1, phases=ALLOC_FREE)
    assert result.summary["peak_held_pages"].tolist() == [wanted, 0]


@pytest.mark.parametrize(("kernel", "wanted"), [("v6.1", 4095), ("v6.6", 4096), ("v6.7", 8192)])
def test_peak_of_held_pages_of_1g_folios(kernel, wanted):
    result = run(kernel, pages=2, page_size="1G", cpus=1)
    assert column(result.summary, "peak_held_pages") == wanted


# --- lists --------------------------------------------------------------------------------


def worked(result, phase, column_name):
    """Return the folios of a phase in the order of one of their times."""
    frame = result.folios[result.folios["phase"] == phase]
    return frame.sort_values(column_name, kind="stable")["folio"].tolist()


@pytest.mark.parametrize("kernel", MERGED)
def test_folios_are_optimised_in_reverse_order_of_allocation_once_listed(kernel):
    # list_add() puts each new folio at the head of the list that is walked later.
    result = run(kernel, pages=5, cpus=2)
    wanted = [0, 1, 2, 3, 4] if patches_of(kernel) < 3 else [4, 3, 2, 1, 0]
    ends = "ready_ns" if patches_of(kernel) < 3 else "end_ns"
    assert worked(result, "alloc", "start_ns") == [0, 1, 2, 3, 4]
    assert worked(result, "alloc", ends) == wanted


@pytest.mark.parametrize("kernel", MERGED)
def test_folios_are_freed_in_the_order_of_the_lists(kernel):
    """
    Follow the lists by hand, for folios 0 to 4 on one node.

    Up to the first patch the last folio added is at the head of the free list, and
    detached first. From the second patch on folios are added in reverse, so that
    folio 0 is at the head. Detached folios go to the head of a list again, which is
    walked to restore them. From the fourth patch on a restored folio is moved to the
    head of a list of its own, so that the order turns once more for the free.
    """
    result = run(kernel, pages=5, cpus=2, phases=ALLOC_FREE)
    restored = [0, 1, 2, 3, 4] if patches_of(kernel) < 2 else [4, 3, 2, 1, 0]
    freed = restored[::-1] if patches_of(kernel) >= 4 else restored
    assert worked(result, "free", "start_ns") == restored
    assert worked(result, "free", "ready_ns") == freed


# --- huge pages that run out --------------------------------------------------------------


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("writers", [1, 2])
@pytest.mark.parametrize("seed", [1, 3])
def test_a_list_that_ends_early_is_still_optimised_and_flushed(kernel, writers, seed):
    """
    Memory of 64 huge pages, of which 36 or 12 are free: the second writer gets some or none.

    When alloc_pool_huge_folio() fails, set_max_huge_pages() still calls
    prep_and_add_allocated_folios(), if need be with an empty list, and that flushes.
    """
    machine = constant().with_values({"memory.node_memory": "128MiB"})
    result, states = run_watched(
        kernel,
        machine=machine,
        pages=64,
        allocators=writers,
        placement="random",
        cpus=2,
        seed=seed,
    )
    got = column(result.counts, "pages_got")
    assert got == {1: 36, 3: 12}[seed]  # placements, not what is tested
    assert states[0].optimized_in_pool == states[0].nr_huge_pages == got
    calls = {6: writers + got, 7: 2 * writers, 8: 2 * writers}.get(patches_of(kernel), got + 1)
    assert column(result.summary, "flushes") == calls


@pytest.mark.parametrize(("kernel", "cycles"), [("v6.6", 3 * 10 + 2), ("v6.7", 10 + 3)])
def test_lock_cycles_when_huge_pages_run_out(kernel, cycles):
    """
    Count hugetlb_lock in the C code for 10 folios got of more asked for.

    v6.6: on entry, three for each folio, and the one before goto out. v6.7: on entry,
    one for each folio, the one that adds the list, and the one before goto out.
    """
    taken = []

    class Scarce(with_counted_lock(kernel, taken)):
        def alloc_huge_folio_of(k, h, nodes):
            if k.nr_filled == 10:
                return None
            return super().alloc_huge_folio_of(h, nodes)

    run(Scarce, pages=12, cpus=1)
    assert len(taken) == cycles
