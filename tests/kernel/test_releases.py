# SPDX-License-Identifier: MIT
"""
Releases of today where nothing was packaged
--------------------------------------------

Oracle: what was counted in Linux 6.12.107, 6.18.15 and 7.3.4, as formulas: H pages
optimised, K demoted, 4 CPUs, and grace periods that take as long as they take.
"""

from __future__ import annotations

import pytest

from simulator.kernel import load_kernel
from simulator.kernel.counted import counted
from simulator.kernel.listing import listing
from tests.kernel.helpers import OF_TODAY, column, constant, run

TODAY = ("v6.12", *OF_TODAY[1:])
NO_RCU = ("v7.1", "v7.3")


def count(kernel, *names, **fields):
    """Return counts of a run on four CPUs, a list for each phase."""
    counts = run(kernel, cpus=4, **fields).counts
    return counts[list(names)].to_numpy().tolist()


@pytest.mark.parametrize("kernel", TODAY)
def test_a_write_that_gets_no_page_flushes_two_one_or_no_times(kernel):
    fields = {"pages": 1, "placement": "splits=0/0", "phases": ("write 3",)}
    flushes = {"v6.15": 1, "v6.18": 1, "v7.1": 0, "v7.3": 0}.get(kernel, 2)
    assert count(kernel, "pages_got", "flush_tlb_all_calls", **fields) == [[0, flushes]]


@pytest.mark.parametrize("kernel", TODAY)
def test_grow_shrink_and_same_flush_twice_once_and_never(kernel):
    phases = ("write 3", "write 8", "write 1", "write 1", "write 0")
    found = count(kernel, "flush_tlb_all_calls", "synchronize_rcu_calls", pages=1, phases=phases)
    rcu = 0 if kernel in NO_RCU else 1
    assert found == [[2, rcu], [2, rcu], [1, rcu], [0, 0], [1, rcu]]


@pytest.mark.parametrize("kernel", TODAY)
@pytest.mark.parametrize("hvo", ["on", "off", "never"])
def test_demotion_flushes_by_the_list(kernel, hvo):
    first = () if hvo != "never" else ("hvo off",)
    phases = (*first, "1G write 2", f"hvo {'on' if hvo == 'on' else 'off'}", "demote 2")
    names = ("flush_tlb_all_calls", "synchronize_rcu_calls", "pmd_splits")
    _, found = count(kernel, *names, pages=1, phases=phases)
    rcu = {"on": 2, "off": 1, "never": 0}[hvo]
    # In 6.12.117 all but the first of 512 pages look optimised, and one is.
    assert found == [3 - (hvo == "never"), 0 if kernel in NO_RCU else rcu, 0]


@pytest.mark.parametrize("kernel", TODAY)
def test_demotion_takes_4095_pages_and_gives_4096(kernel):
    names = (
        "vmemmap_pages_allocated_restore", "vmemmap_head_pages_allocated", "vmemmap_pages_freed",
    )  # fmt: skip
    _, found = count(kernel, *names, pages=1, phases=("1G write 2", "demote 2"))
    optimised = 1 if kernel == "v6.12.117" else 512
    assert found == [4095 * 2, optimised * 2, optimised * 8 * 2]


def test_the_grace_periods_of_v6_11_make_demotion_take_nine_minutes():
    # 513 to a page of 1 GB; the other costs are 0 ns.
    machine = constant(synchronize_rcu=10_000_000)
    fields = {"machine": machine, "pages": 1, "cpus": 1, "page_size": "1G"}
    phases = ("write 1", "demote 1")
    one_by_one = run("v6.11", phases=phases, **fields).summary
    batched = run("v6.12", phases=phases, **fields).summary
    assert column(one_by_one, "elapsed_ns", "demote1") == 513 * 10_000_000
    assert column(batched, "elapsed_ns", "demote1") == 2 * 10_000_000


@pytest.mark.parametrize("kernel", ["v6.12.117", "v7.3"])
def test_without_a_head_page_a_folio_stays_as_it_is(kernel):
    fields = {"pages": 1, "phases": ("write 3",), "faults": {"head_page": (1,)}}
    # The first folio has nothing on the list that could be freed, and is not tried again.
    assert count(kernel, "vmemmap_pages_freed", **fields) == [[2 * 8]]
    assert count("v6.18", "vmemmap_pages_freed", **fields) == [[2 * 8 + 7]]


@pytest.mark.parametrize(
    ("kernel", "cpus", "threads"),
    [("v6.1", 8, 1), ("v6.11", 8, 2), ("v6.12", 8, 2), ("v6.15", 8, 2), ("v7.3", 3, 1)],
)
def test_boots_have_the_tasks_and_lists_of_their_version(kernel, cpus, threads):
    boot = {"pages": 1, "cpus": cpus, "phases": ("boot 64",)}
    result = run(counted(load_kernel(kernel)), **boot)
    assert column(result.counts, "distinct_tasks", "boot") == threads


@pytest.mark.parametrize("kernel", TODAY)
def test_boot_pages_of_1_gb_are_born_optimised_since_v6_15(kernel):
    fields = {"pages": 1, "phases": ("1G boot 2", "1G write 0")}
    names = ("flush_tlb_all_calls", "pmd_splits", "vmemmap_pages_allocated_restore")
    born = kernel not in ("v6.12", "v6.12.117")
    expected = [1, 0, 0] if born else [2, 16, 0]
    assert count(kernel, *names, **fields) == [expected, [1, 0, 2 * 4095]]


@pytest.mark.parametrize("kernel", ["v6.1", "v6.12", "v7.3"])
def test_a_migrated_page_is_optimised_alone_and_the_old_one_restored_alone(kernel):
    machine = "xeon-e7-8895-8s"
    phases = ("node0 write 4", "node0 map 2", "node0 mbind 2 node1", "exit", "write 0")
    fields = {"machine": machine, "pages": 1, "phases": phases}
    found = count(kernel, "pages_got", "hugepage_allocs", "flush_tlb_kernel_range_calls", **fields)
    # One new page needs its PMD split; the pool is as large as before.
    assert found[1] == [4, 0, 0]
    assert found[2][:2] == [4, 2]
    assert found[2][2] == 2 * 2 + 1
    assert found[4][0] == 0


@pytest.mark.parametrize("kernel", ["v6.6", "v6.12", "v6.12.117", "v7.3"])
def test_every_function_is_listed_once_under_its_own_name(kernel):
    listed = listing(load_kernel(kernel))
    names = [function.name for function in listed]
    assert len(set(names)) == len(names)
    split = "split_vmemmap_huge_pmd" if kernel == "v6.6" else "vmemmap_pmd_entry"
    other = {"split_vmemmap_huge_pmd", "vmemmap_pmd_entry"} - {split}
    assert split in names
    assert not other & set(names)
    for function in listed:
        for definition in function.definitions:
            assert definition.source.startswith((f"def {function.name}(", "@property"))
            assert f"k.{min(other)}(" not in definition.source


@pytest.mark.parametrize("kernel", ["v6.1", "v6.7", *TODAY])
def test_demotion_and_migration_are_safe(kernel):
    # The checker's invariants; 6.12.117 "restores" pages that were never remapped.
    phases = ("1G write 2", "demote 1", "write 0", "1G write 0", "map 4", "unmap 4")
    assert run(kernel, pages=1, cpus=2, phases=phases).violations.empty
