# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
Locks and pages, on a run
-------------------------

Oracle: each kernel below has one mistake, and what lockdep or an account of pages would say
of it: the lock, who has it since where, and how many pages.
"""

from __future__ import annotations

import re

import pytest

from simulator.engine.locks import Mutex
from simulator.errors import KernelError
from simulator.kernel import load_kernel
from simulator.kernel.structs import ENOMEM, PMD_SIZE, list_add
from simulator.ordering.checker import Checks
from simulator.run import ALL_CHECKS, simulate
from simulator.scenario import Scenario
from tests.kernel.helpers import LAPTOP, STILL

V6_7 = load_kernel("v6.7")


def checked(kernel, checks=ALL_CHECKS, **fields):
    defaults = {"pages": 4, "placement": "pmds=2", "cpus": 4, "phases": ("alloc", "free")}
    defaults |= {"machine": LAPTOP, "noise": STILL}
    return simulate(Scenario(**{**defaults, "kernel": kernel, **fields}), None, checks)


def first(kernel, checks=ALL_CHECKS, **fields):
    """Return the invariants that a kernel breaks, and its first violation."""
    frame = checked(kernel, checks, **fields).violations
    return set(frame["invariant"]), frame.iloc[0]


class NoLock(V6_7):
    """Splits without page_table_lock."""

    name = "v6.7+nolock"

    def _split_vmemmap_huge_pmd(k, pmd, start, flush):
        pgtable = k.pte_alloc_one_kernel()
        if not pgtable:
            return -ENOMEM
        k.set_ptes_of_leaf(pgtable, pmd)
        k.smp_wmb()
        k.pmd_populate_kernel(pmd, pgtable)
        if flush:
            k.flush_tlb_kernel_range(start, start + PMD_SIZE, reason="split")
        return 0


def test_a_split_without_its_lock_names_lock_and_place():
    broken, row = first(NoLock)
    assert broken == {"lock-not-held"}
    assert (row["what"], row["function"]) == ("page_table_lock", "_split_vmemmap_huge_pmd")
    assert row["store"] == "pmd_populate_kernel() without it, which nobody has"


class NoPoolLock(V6_7):
    """Adds to the pool with another lock."""

    name = "v6.7+nopoollock"

    def prep_and_add_allocated_folios(k, h, folio_list):
        k.hugetlb_vmemmap_optimize_folios(h, folio_list)
        k.page_table_lock.lock()
        for folio in folio_list:
            k.enqueue_hugetlb_folio(h, folio)
            h.nr_huge_pages += 1
        k.page_table_lock.unlock()


def test_another_lock_is_not_the_one_that_the_pool_needs():
    broken, row = first(NoPoolLock)
    assert broken == {"lock-not-held"}
    assert (row["what"], row["function"]) == ("hugetlb_lock", "enqueue_hugetlb_folio")


class Inverted(V6_7):
    """Takes two locks in both orders, never at the same time."""

    name = "v6.7+inverted"

    def prep_and_add_allocated_folios(k, h, folio_list):
        k.hugetlb_lock.lock_irq()
        k.page_table_lock.lock()
        k.page_table_lock.unlock()
        k.hugetlb_lock.unlock_irq()
        super().prep_and_add_allocated_folios(h, folio_list)

    def update_and_free_pages_bulk(k, h, folio_list):
        k.page_table_lock.lock()
        k.hugetlb_lock.lock_irq()
        k.hugetlb_lock.unlock_irq()
        k.page_table_lock.unlock()
        super().update_and_free_pages_bulk(h, folio_list)


def test_an_order_of_two_locks_is_told_with_both_places_before_any_deadlock():
    broken, row = first(Inverted)
    assert broken == {"lock-order"}
    assert row["what"] == "hugetlb_lock"
    assert re.fullmatch(
        r"taken with page_table_lock held \(taken in update_and_free_pages_bulk\(\) line \d+\)",
        row["store"],
    )
    assert re.fullmatch(
        r"their order so far: hugetlb_lock before page_table_lock"
        r" in prep_and_add_allocated_folios\(\) line \d+",
        row["missing"],
    )


class ManyMutexes(V6_7):
    """Has fifty mutexes of its own, and takes the last two before a spinlock, and within it."""

    name = "v6.7+many"

    def __init__(k, engine, platform, memory, config):
        super().__init__(engine, platform, memory, config)
        names = [f"mutex_{nth}" for nth in range(50)]
        k.mutexes = [Mutex(k._timeline, platform, name) for name in names]

    def prep_and_add_allocated_folios(k, h, folio_list):
        *_, a, b = k.mutexes
        a.lock()
        b.lock()
        k.hugetlb_lock.lock_irq()
        k.hugetlb_lock.unlock_irq()
        b.unlock()
        a.unlock()
        super().prep_and_add_allocated_folios(h, folio_list)

    def update_and_free_pages_bulk(k, h, folio_list):
        k.hugetlb_lock.lock_irq()
        k.mutexes[-1].lock()
        k.mutexes[-1].unlock()
        k.hugetlb_lock.unlock_irq()
        super().update_and_free_pages_bulk(h, folio_list)


def test_the_order_of_any_number_of_locks_is_kept():
    broken, _ = first(ManyMutexes)
    assert broken == {"lock-order", "sleep-in-atomic"}


class Sleeper(V6_7):
    """Takes a page for the page table with the spinlock."""

    name = "v6.7+sleeper"

    def _split_vmemmap_huge_pmd(k, pmd, start, flush):
        k.page_table_lock.lock()
        pgtable = k.pte_alloc_one_kernel()
        k.set_ptes_of_leaf(pgtable, pmd)
        k.smp_wmb()
        k.pmd_populate_kernel(pmd, pgtable)
        k.page_table_lock.unlock()
        k.flush_tlb_kernel_range(start, start + PMD_SIZE, reason="split")
        return 0


class MutexInside(V6_7):
    """Takes a mutex with a spinlock."""

    name = "v6.7+mutex"

    def prep_and_add_allocated_folios(k, h, folio_list):
        k.page_table_lock.lock()
        k.jump_label_mutex.lock()
        k.jump_label_mutex.unlock()
        k.page_table_lock.unlock()
        super().prep_and_add_allocated_folios(h, folio_list)


@pytest.mark.parametrize(
    ("kernel", "what"),
    [(Sleeper, r"pte_alloc_one_kernel\(\)"), (MutexInside, "jump_label_mutex taken")],
)
def test_who_may_sleep_with_a_spinlock_is_told(kernel, what):
    broken, row = first(kernel)
    assert broken == {"sleep-in-atomic"}
    assert row["what"] == "page_table_lock"
    assert re.match(rf"{what} with it held \(taken in \w+\(\) line \d+\)", row["store"])


class Leaks(V6_7):
    """Keeps what it got when it cannot get all."""

    name = "v6.7+leaks"

    def alloc_vmemmap_page_list(k, start, end, nid, vmemmap_pages):
        nr_pages = (end - start) // 4096 - 1
        got = k.alloc_pages_node(nid, "restore_page", nr_pages)
        if got < nr_pages:
            return -ENOMEM
        list_add(got, vmemmap_pages)
        return 0


class Forgets(V6_7):
    """Loses a huge page."""

    name = "v6.7+forgets"

    def prep_and_add_allocated_folios(k, h, folio_list):
        super().prep_and_add_allocated_folios(h, folio_list[1:])


class TwiceBack(V6_7):
    """Gives pages back that it still has."""

    name = "v6.7+twice"

    def set_max_huge_pages(k, h, nr_more):
        super().set_max_huge_pages(h, nr_more)
        k.free_pages(2)


@pytest.mark.parametrize(
    ("kernel", "wanted"),
    [
        # The restore of the first folio gets 4 of 7 pages and keeps them.
        (Leaks, ["4 base pages"]),
        (Forgets, ["1 huge page"]),
        (TwiceBack, ["2 base pages", "2 base pages"]),
    ],
)
def test_pages_that_are_lost_are_counted(kernel, wanted):
    result = checked(kernel, faults={"restore_page": (5,)})
    rows = result.violations
    assert set(rows["invariant"]) == {"pages-lost"}
    assert rows["what"].tolist() == wanted
    given = rows["store"].str.startswith("given back")
    assert given.all() if kernel is TwiceBack else not given.any()


def test_where_huge_pages_are_of_the_same_memory_they_are_not_lost_and_what_leaks_is():
    fields = {"placement": "one-memory", "faults": {"restore_page": (5,)}}
    assert checked(V6_7, **fields).violations.empty
    assert checked(Leaks, **fields).violations["what"].tolist() == ["4 base pages"]


# --- what ends a run --------------------------------------------------------------------------


class FlushesLocked(V6_7):
    """Flushes with interrupts off."""

    name = "v6.7+locked"

    def prep_and_add_allocated_folios(k, h, folio_list):
        k.hugetlb_lock.lock_irq()
        k.flush_tlb_all("batch_remap")
        k.hugetlb_lock.unlock_irq()


class Keeps(V6_7):
    """Ends with a lock."""

    name = "v6.7+keeps"

    def set_max_huge_pages(k, h, nr_more):
        h.resize_lock.lock()


class Twice(V6_7):
    """Takes a lock twice."""

    name = "v6.7+relock"

    def set_max_huge_pages(k, h, nr_more):
        k.hugetlb_lock.lock_irq()
        k.hugetlb_lock.lock_irq()


class Listed(V6_7):
    """Has a folio in a list twice."""

    name = "v6.7+listed"

    def prep_and_add_allocated_folios(k, h, folio_list):
        super().prep_and_add_allocated_folios(h, [*folio_list, folio_list[0]])


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (Listed, r"the folio of PFN \d+ is optimized a second time \(is it in a list twice\?\)"),
        (
            FlushesLocked,
            r"irqs-off-flush: batch_remap: a flush with interrupts off would deadlock;"
            r" task 0 on CPU \d holds"
            r" hugetlb_lock \(taken in prep_and_add_allocated_folios\(\) line \d+\),"
            r" resize_lock \(taken in set_max_huge_pages\(\) line \d+\)$",
        ),
        (
            Keeps,
            r"resize_lock: still held by task 0 on CPU \d when it ended"
            r" \(taken in set_max_huge_pages\(\) line \d+\)$",
        ),
        (
            Twice,
            r"hugetlb_lock: task 0 on CPU \d takes it and has it already"
            r" \(taken in set_max_huge_pages\(\) line \d+\)$",
        ),
    ],
)
def test_what_ends_a_run_names_the_lock_and_where_it_was_taken(kernel, message):
    with pytest.raises(KernelError, match=message):
        checked(kernel)


# --- other machines, other writers --------------------------------------------------------------


def test_a_grace_period_answers_who_writes_the_head_struct_page():
    writer = Checks(head_writer=True)
    # v6.1 leaves the head page where it is; v6.6 moves it, v6.12 waits before.
    for path in ("pool", "surplus"):
        found = {
            kernel: set(checked(kernel, writer, path=path).violations["invariant"])
            for kernel in ("v6.1", "v6.6", "v6.7", "v6.12")
        }
        lost = {"write-lost"}
        assert found == {"v6.1": set(), "v6.6": lost, "v6.7": lost, "v6.12": set()}


def test_hvo_on_arm64_needs_break_before_make():
    for kernel in ("v6.1", "v6.12"):
        assert set(checked(kernel, Checks(isa="arm64")).violations["invariant"]) == {"needs-bbm"}
    assert checked("v6.12", Checks(isa="arm64"), hvo=False).violations.empty
