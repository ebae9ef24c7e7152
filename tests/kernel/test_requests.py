# SPDX-License-Identifier: MIT
"""
Who asks for huge pages, and where they lie
-------------------------------------------

Oracles: the shares, nodes and PMDs counted by hand; mm/hugetlb.c for resize_lock
and for the turns over nodes.
"""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from simulator.geometry import PFNS_PER_PMD
from simulator.kernel import kernels
from simulator.kernel.placement import lay_out
from simulator.machine import load_machine
from tests.kernel.helpers import LAPTOP, MERGED, column, flushes_of, patches_of, run, run_watched

XEON = load_machine("xeon-e7-8895-8s")  # eight nodes
XEON_NODE_PFNS = int(XEON.memory.node_memory.exact_bytes) // 4096


def folios_of(result, phase="alloc"):
    frame = result.folios
    return frame[frame["phase"] == phase].sort_values("folio")


# --- several tasks ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["pool", "boot", "surplus"])
@pytest.mark.parametrize(
    ("pages", "allocators", "shares"),
    [(6, 1, [6]), (7, 2, [4, 3]), (8, 3, [3, 3, 2]), (5, 5, [1] * 5), (20, 8, [3] * 4 + [2] * 4)],
)
def test_the_first_tasks_take_what_does_not_divide(path, pages, allocators, shares):
    result = run("v6.7", pages=pages, path=path, allocators=allocators)
    taken = Counter(folios_of(result)["task"])
    assert [taken[task] for task in range(allocators)] == shares


@pytest.mark.parametrize("path", ["pool", "boot", "surplus"])
def test_every_task_stays_on_a_cpu_of_its_own(path):
    phases = ("alloc", "free", "alloc", "free")
    result = run("v6.6", pages=16, path=path, allocators=8, phases=phases)
    pairs = set(result.flushes[["task", "cpu"]].itertuples(index=False, name=None))
    tasks = {task: cpu for task, cpu in pairs if task < 8}
    assert len(tasks) == len(set(tasks.values())) == 8
    # Beyond them is the kworker that frees surplus pages, on the CPU of one of them.
    kworkers = {(task, cpu) for task, cpu in pairs if task >= 8}
    assert len(kworkers) == (1 if path == "surplus" else 0)
    assert {cpu for _, cpu in kworkers} <= set(tasks.values())


def test_which_cpus_the_tasks_have_depends_on_the_seed():
    found = {
        tuple(run("v6.6", pages=1, seed=seed).flushes["cpu"].unique()) for seed in range(1, 30)
    }
    assert len(found) > 4


@pytest.mark.parametrize("kernel", ["v6.1", "v6.6", "v6.6+5", "v6.7"])
def test_writers_of_one_pool_follow_one_another_under_resize_lock(kernel):
    result = run(kernel, pages=9, allocators=3, cpus=4, phases=("alloc", "free"))
    for phase in ("alloc", "free"):
        rows = folios_of(result, phase).groupby("task")
        spans = sorted(zip(rows["start_ns"].min(), rows["ready_ns"].max(), strict=True))
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
        assert len(spans) == 3
    # Each one slept while others worked, before its turn or after it.
    time_by = result.time_by[result.time_by["phase"] == "alloc"]
    slept = time_by[time_by["category"] == "sleep"].set_index("task")["ns"]
    assert len(slept) == 3


@pytest.mark.parametrize("kernel", MERGED)
def test_each_writer_flushes_for_its_own_batch(kernel):
    result = run(kernel, pages=9, allocators=3, cpus=4, phases=("alloc", "free"))
    patches = patches_of(kernel)
    assert len(flushes_of(result)) == {6: 3 + 9, 7: 6, 8: 6}.get(patches, 10)
    assert len(flushes_of(result, "free")) == (3 if patches == 8 else 9)


@pytest.mark.parametrize("threads", [1, 2, 5, 8])
def test_v6_7_boot_flushes_twice_per_thread_and_is_freed_by_one_writer(threads):
    result = run(
        "v6.7", pages=10, path="boot", allocators=threads, phases=("alloc", "free", "alloc")
    )
    flushes = flushes_of(result)
    assert len(flushes) == 2 * threads
    assert Counter(flushes["task"]) == dict.fromkeys(range(threads), 2)
    assert len(flushes_of(result, "free")) == 1
    assert len(flushes_of(result, "alloc2")) == 2 * threads


def test_boot_threads_work_at_the_same_time():
    result = run("v6.7", pages=16, path="boot", allocators=4)
    rows = folios_of(result).groupby("task")
    assert rows["start_ns"].min().max() < rows["ready_ns"].min().min()


@pytest.mark.parametrize("kernel", ["v6.6", "v6.7"])
def test_surplus_pages_are_counted_beyond_the_pool(kernel):
    result, states = run_watched(
        kernel, pages=5, path="surplus", allocators=2, phases=("alloc", "free")
    )
    assert [(s.nr_huge_pages, s.surplus_huge_pages) for s in states] == [(5, 5), (0, 0)]
    # Not batched in any version: one split, a flush per folio each way.
    assert len(flushes_of(result)) == 6
    assert len(flushes_of(result, "free")) == 5


# --- nodes --------------------------------------------------------------------------------


def nodes(frame):
    return (frame["pfn"] // XEON_NODE_PFNS).tolist()


@pytest.mark.parametrize("kernel", ["v6.1", "v6.6", "v6.7"])
def test_folios_come_from_the_nodes_in_turn(kernel):
    result = run(kernel, machine=XEON, pages=20, cpus=2)
    assert nodes(folios_of(result)) == [i % 8 for i in range(20)]


def test_turns_go_on_where_the_last_write_stopped():
    # for_each_node_mask_to_alloc() keeps its place in the hstate.
    result = run("v6.7", machine=XEON, pages=11, allocators=2, cpus=2)
    assert nodes(folios_of(result)) == [i % 8 for i in range(11)]


def test_each_boot_thread_begins_its_turns_at_the_first_node():
    # next_node = first_online_node in hugetlb_pages_alloc_boot_node().
    result = run("v6.7", machine=XEON, pages=6, path="boot", allocators=2, cpus=2)
    frame = folios_of(result)
    for task in (0, 1):
        assert nodes(frame[frame["task"] == task]) == [0, 1, 2]


def test_folios_are_detached_from_the_nodes_in_turn():
    # Per node the first allocated is at the head (v6.7); each goes to the head of the list.
    result = run("v6.7", machine=XEON, pages=10, cpus=2, phases=("alloc", "free"))
    by_start = result.folios[result.folios["phase"] == "free"].sort_values(
        "start_ns", kind="stable"
    )
    assert by_start["folio"].tolist() == [*range(10)][::-1]


# --- placement ----------------------------------------------------------------------------


@pytest.mark.parametrize("pages", [1, 8, 9, 513])
def test_aligned_splits_are_the_sum_over_nodes_of_ceil_n_64(pages):
    per_node = Counter(i % 8 for i in range(pages))
    wanted = sum(-(-n // 64) for n in per_node.values())
    result = run("v6.7", machine=XEON, pages=pages, cpus=1)
    assert column(result.summary, "pmd_splits") == wanted


@pytest.mark.parametrize(("pages", "splits"), [(1, 1), (64, 1), (65, 2), (128, 2), (200, 4)])
def test_aligned_splits_on_one_node_are_ceil_n_64(pages, splits):
    assert column(run("v6.7", pages=pages, cpus=1).summary, "pmd_splits") == splits


def test_aligned_folios_are_one_run_from_the_start_of_each_node():
    frame = folios_of(run("v6.7", machine=XEON, pages=16, cpus=1))
    assert frame["pfn"].tolist() == [
        node * XEON_NODE_PFNS + nth * 512 for nth in (0, 1) for node in range(8)
    ]


@pytest.mark.parametrize("machine", [LAPTOP, XEON], ids=lambda machine: machine.name)
@pytest.mark.parametrize(("pages", "pmds"), [(5, 1), (5, 3), (5, 5), (20, 7), (100, 9), (64, 64)])
def test_pmds_s_lies_in_s_pmds_evenly(machine, pages, pmds):
    result = run("v6.7", machine=machine, pages=pages, placement=f"pmds={pmds}", cpus=1)
    pfns = folios_of(result)["pfn"]
    assert pfns.is_unique
    assert (pfns % 512 == 0).all()
    per_pmd = Counter(pfns // PFNS_PER_PMD)
    assert len(per_pmd) == column(result.summary, "pmd_splits") == pmds
    assert max(per_pmd.values()) - min(per_pmd.values()) <= 1


@pytest.mark.parametrize("machine", [LAPTOP, XEON], ids=lambda machine: machine.name)
@pytest.mark.parametrize("path", ["pool", "boot"])
@pytest.mark.parametrize(
    ("page_size", "pages", "splits"),
    [
        ("2M", 5, (3, 2)),
        ("2M", 5, (1, 5, 0, 5)),
        ("2M", 100, (2, 0, 30, 1)),
        ("1G", 3, (24, 8)),
        ("1G", 2, (16, 16, 0, 8)),
    ],
)
def test_later_fills_meet_as_many_new_pmds_as_placement_says(
    machine, path, page_size, pages, splits
):
    result, states = run_watched(
        "v6.7",
        machine=machine,
        page_size=page_size,
        pages=pages,
        path=path,
        placement=f"pmds={','.join(map(str, splits))}",
        cpus=1,
        phases=("alloc", "free") * 5,
    )
    assert result.summary["pmd_splits"].tolist()[::2] == [*splits, *[0] * (5 - len(splits))]
    assert result.counts["pages_got"].tolist() == [pages, 0] * 5
    assert len(states[-1].split_pmds) == sum(splits)
    for phase in ("alloc", "alloc2", "alloc3"):
        assert folios_of(result, phase)["pfn"].is_unique


@pytest.mark.parametrize("pages", [1, 40, 300])
@pytest.mark.parametrize("seed", [1, 2])
def test_random_placement_lies_in_at_least_ceil_n_64_pmds(pages, seed):
    phases = ("alloc", "free", "alloc")
    result = run("v6.7", pages=pages, placement="random", seed=seed, cpus=1, phases=phases)
    pfns = folios_of(result)["pfn"]
    assert pfns.is_unique
    assert (pfns % 512 == 0).all()
    splits = column(result.summary, "pmd_splits")
    assert -(-pages // 64) <= splits <= pages
    assert splits == (pfns // PFNS_PER_PMD).nunique()
    # Pages given back are taken again first: nothing is left to split.
    assert set(folios_of(result, "alloc2")["pfn"]) == set(pfns)
    assert column(result.summary, "pmd_splits", "alloc2") == 0


def test_random_placement_depends_on_the_seed_and_not_on_the_kernel():
    def pfns(**fields):
        return tuple(folios_of(run(pages=50, placement="random", cpus=1, **fields))["pfn"])

    assert pfns(kernel="v6.1", seed=1) == pfns(kernel="v6.7", seed=1)
    assert pfns(kernel="v6.1", seed=1) != pfns(kernel="v6.1", seed=2)


def test_random_free_pages_per_128_mib_are_uniform_from_1_to_64():
    rng = np.random.default_rng(7)

    def draws(nid):
        while True:
            yield int(rng.integers(2**32))

    nr_pmds = 2000
    memory = lay_out("random", 0, 512, nr_pmds * PFNS_PER_PMD, 1, draws)
    free = Counter()
    while (pfn := memory.take(0)) is not None:
        free[pfn // PFNS_PER_PMD] += 1
    assert set(free) == set(range(nr_pmds))
    assert set(free.values()) == set(range(1, 65))
    # Mean 32.5, standard deviation 18.5 / sqrt(2000): five of them.
    assert abs(np.mean(list(free.values())) - 32.5) < 5 * 18.5 / nr_pmds**0.5


def test_a_list_of_pfns_is_taken_in_its_order():
    pfns = [512 * 700, 0, 512 * 3]
    result = run("v6.6", pages=3, placement=pfns, cpus=1)
    assert folios_of(result)["pfn"].tolist() == pfns
    assert column(result.summary, "pmd_splits") == 2


@pytest.mark.parametrize("kernel", [name for name in kernels() if name != "v5.14"])
def test_a_pmd_is_split_once_in_a_boot(kernel):
    phases = ("alloc", "free") * 3
    result = run(kernel, pages=5, placement="pmds=2", cpus=1, phases=phases)
    assert result.summary["pmd_splits"].tolist() == [2, 0, 0, 0, 0, 0]
