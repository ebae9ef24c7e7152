# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
What is cold costs what its lines cost, worked by hand.

With ``memory_near`` at 160 ns and 16 lines under way a run of cold lines side by side
takes 160 ns for the first and 10 for each further one: 5,270 for the 512 struct pages
of a folio, 230 for the 8 of its vmemmap pages.  All other costs are 0 but for those
that a test gives.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from simulator.kernel import load_kernel
from simulator.machine import load_machine
from tests.kernel.helpers import STILL, constant, run

EVERYTHING, NOTHING = "1TiB", "64bytes"
PAGE = "4KiB"


def laptop(cache, cores=4, **costs):
    """Return a machine of one node; ``cores`` of its 4 are below one cache, which holds so much."""
    machine = constant(memory_near=160, memory_far=160, **costs)
    return machine.with_values(
        {
            "memory.last_level_cache": cache,
            "memory.outstanding_lines": 16,
            "topology.cache_cores": cores,
        }
    )


def spent(result, category, phase="alloc"):
    """Return what the task of a phase spent on something, in nanoseconds."""
    by = result.time_by
    return by.loc[(by["phase"] == phase) & (by["category"] == category), "ns"].sum()


def both(kernel, cache, pages, hvo=True, **costs):
    """Return the result of a fill and a free."""
    machine = laptop(cache, **costs)
    return run(kernel, machine=machine, pages=pages, hvo=hvo, phases=("alloc", "free"))


# --- struct pages of the folio --------------------------------------------------------------


@pytest.mark.parametrize("cache", [EVERYTHING, NOTHING])
def test_a_fresh_folio_costs_a_latency_and_511_more_lines(cache):
    result = both("v6.6", cache, 3, hvo=False)
    assert spent(result, "huge_page_alloc") == 3 * (160 + 511 * 10)


def test_a_gigantic_folio_has_512_times_as_many_struct_pages():
    machine = laptop(EVERYTHING)
    result = run("v6.6", machine=machine, pages=1, page_size="1G", hvo=False)
    assert spent(result, "huge_page_alloc") == 160 + (512 * 512 - 1) * 10


def test_what_is_cached_costs_nothing_more():
    result = both("v6.6", EVERYTHING, 3, hvo=False)
    assert spent(result, "bookkeeping") == 0
    assert spent(result, "bookkeeping", "free") == 0
    assert spent(result, "huge_page_free", "free") == 0


def test_a_free_follows_two_lists_and_comes_back_to_all_struct_pages():
    # A head counts as a page, so that one stays cached: at first the newest one's, which
    # came into the pool last and is detached first; then the oldest one's, which was
    # detached last and is given back first.
    result = both("v6.6", PAGE, 3, hvo=False)
    assert spent(result, "bookkeeping", "free") == 2 * 160 + 2 * 160
    # The run goes on from the head.
    assert spent(result, "huge_page_free", "free") == 3 * 512 * 10


def test_batching_costs_two_passes_even_where_nothing_is_optimised():
    # Split pass and remap pass look at each folio, and the pool takes it in a third pass.
    # The list is gone through from its newest folio, whose struct pages were written last:
    # more than a page of them.
    result = both("v6.7", PAGE, 5, hvo=False)
    unbatched = both("v6.6", PAGE, 5, hvo=False)
    assert spent(result, "bookkeeping") == 3 * 5 * 160
    assert spent(unbatched, "bookkeeping") == 5 * 160  # 32 KiB came after the head


def test_the_struct_pages_of_a_restored_folio_are_cached_only_without_batching():
    costs = {"page_copy_near": 1000}
    # More than one folio needs, less than two.
    unbatched = both("v6.6", "64KiB", 4, **costs)
    batched = both("v6.6+8", "64KiB", 4, **costs)
    assert spent(unbatched, "huge_page_free", "free") == 0
    # The one restored last is given back first. Lists were followed to the heads before.
    assert spent(batched, "huge_page_free", "free") == 3 * 512 * 10


# --- vmemmap pages and their copies ------------------------------------------------------------


def test_struct_pages_of_vmemmap_pages_are_cold_when_they_come_on_the_list():
    for kernel, nr in (("v6.1", 7), ("v6.6", 8)):
        result = both(kernel, EVERYTHING, 4)
        assert spent(result, "remap") == 4 * (160 + (nr - 1) * 10)
        assert spent(result, "page_free") == 0


def test_the_list_of_a_batch_is_cold_when_its_pages_are_given_back():
    # From the first page listed on: its folio's 8 struct pages, then for each of three
    # more folios its head (a page, and a line of PTEs), the struct page of a new head
    # page, two pages of the copy, and 8 struct pages.
    distance = 8 * 64 + 3 * (4096 + 64 + 64 + 2 * 4096 + 8 * 64)
    still_cached = 32 * 4096 // distance
    result = both("v6.7", PAGE, 4)
    assert spent(result, "page_free") == 230 * (32 - still_cached) // 8
    assert spent(both("v6.6", PAGE, 4), "page_free") == 0


def test_a_head_page_is_copied_to_a_page_just_given_back_only_without_batching():
    costs = {"page_copy_near": 1000, "page_copy_hot": 7}
    unbatched = both("v6.6", EVERYTHING, 4, **costs)
    batched = both("v6.7", EVERYTHING, 4, **costs)
    assert spent(unbatched, "page_copy") == 1000 + 3 * 7
    assert spent(batched, "page_copy") == 4 * 1000
    # The struct page of a page from the buddy allocator is cold.
    assert spent(unbatched, "page_alloc") == 160
    assert spent(batched, "page_alloc") == 4 * 160


def test_the_page_that_is_copied_is_cold_in_a_batch():
    # 64 lines of it, the first of which the list has just been followed to.
    result = both("v6.7", "64KiB", 8)
    assert spent(result, "page_copy") == (8 - 1) * 64 * 10
    assert spent(both("v6.6", "64KiB", 8), "page_copy") == 0


def test_restoring_copies_to_seven_pages():
    for kernel in ("v6.6", "v6.7"):
        result = both(kernel, EVERYTHING, 3, page_copy_near=1000, page_copy_hot=7)
        # All of the pages that the fill gave back are still there.
        assert spent(result, "page_copy", "free") == 3 * 7 * 7
        cold = both(kernel, NOTHING, 3, page_copy_near=1000, page_copy_hot=7)
        assert spent(cold, "page_copy", "free") == 3 * (7 * 1000 + 64 * 10)
        assert spent(cold, "page_alloc", "free") == 3 * (160 + 6 * 10)


# --- whose cache, which node -------------------------------------------------------------------


def test_far_memory_takes_longer():
    machine = load_machine("epyc-7j13-vm252").with_values(
        {
            "costs.memory_near": 240,
            "costs.memory_far": 480,
            "costs.huge_alloc_2m": 0,
            "memory.outstanding_lines": 24,
        }
    )
    result = run("v6.6", machine=machine, pages=2, hvo=False, cpus=1)
    assert spent(result, "huge_page_alloc") == (240 + 511 * 10) + (480 + 511 * 20)


def probed(cache, probe, cores=4):
    """Run something on the kernel that holds four folios."""
    found = []

    class Probed(load_kernel("v6.6")):
        def end_phase(k, end_ns):
            super().end_phase(end_ns)
            found.append(probe(k, k.h.hugepage_freelists[0]))

    run(Probed, machine=laptop(cache, cores), hvo=False, cpus=2, noise=STILL)
    return found[0]


def head_ns(k, cpu, folio):
    k.resumes(SimpleNamespace(cpu=SimpleNamespace(number=cpu)))
    return k.head_ns(folio)


@pytest.mark.parametrize(("cores", "taken"), [(1, [0, 160, 0, 160]), (4, [0, 0, 0, 0])])
def test_a_head_that_a_cpu_below_another_cache_touched_last_is_cold(cores, taken):
    def probe(k, folios):
        return [head_ns(k, cpu, folios[0]) for cpu in (0, 0, 1, 1, 0)]

    assert probed(EVERYTHING, probe, cores)[1:] == taken


@pytest.mark.parametrize(("cores", "taken"), [(1, [0, 0]), (4, [0, 160])])
def test_what_one_cpu_touches_drives_out_what_another_below_its_cache_has(cores, taken):
    def probe(k, folios):
        found = []
        for nr_pages in (1, 3):
            head_ns(k, 0, folios[0])
            k.resumes(SimpleNamespace(cpu=SimpleNamespace(number=1)))
            for _ in range(nr_pages):
                k.struct_pages_ns(folios[1], 64)  # a page of struct pages
            found.append(head_ns(k, 0, folios[0]))
        return found

    assert probed("8KiB", probe, cores) == taken


def busy(cores, tasks, pages):
    """Return what tasks of a boot spend on cold heads, 36 KiB of each folio being touched."""
    machine = laptop("96KiB", cores)
    result = run("v6.12", machine=machine, pages=pages, hvo=False, path="boot", allocators=tasks,
                 cpus=4, placement="aligned", phases=("alloc",))  # fmt: skip
    return spent(result, "bookkeeping")


def test_tasks_below_one_cache_have_less_of_it_and_a_lone_one_has_all():
    # Two folios a task fit into a cache of its own, but not those of four tasks into one.
    assert busy(1, 1, 2) == busy(4, 1, 2) == 0
    assert busy(1, 4, 8) == 0
    assert busy(4, 4, 8) > 0


def test_a_head_is_cached_until_more_than_the_cache_was_touched():
    def probe(k, folios):
        head_ns(k, 0, folios[0])
        found = []
        for more in (8 << 20 >> 6, (8 << 20 >> 6) + 1):  # lines
            head_ns(k, 0, folios[0])
            k.caches[0].llc.touched_lines += more
            found.append(head_ns(k, 0, folios[0]))
        return found

    assert probed("8MiB", probe) == [0, 160]


def test_a_head_that_ptes_map_costs_a_line_of_the_page_table_too():
    def probe(k, folios):
        folios[0].cache = None
        folios[0].pte_mapped = True
        return head_ns(k, 0, folios[0])

    assert probed(EVERYTHING, probe) == 2 * 160


@pytest.mark.parametrize("kernel", ["v5.14", "v6.1"])
def test_the_heads_of_optimised_folios_are_mapped_by_ptes(kernel):
    # They are read twice, to detach a folio and to restore it.
    result = both(kernel, NOTHING, 2)
    assert spent(result, "bookkeeping", "free") == 2 * 2 * (160 + 160)


# --- the sources of the profiles -------------------------------------------------------------


def ns_of(machine, cost):
    return float(getattr(load_machine(machine).costs, cost).exact_ns)


def test_copies_on_the_xeon_store_as_fast_as_memset_of_all_struct_pages_did():
    # 11.28 s for the 2**28 struct pages of 1 TiB, an eighth of them on the CPU's own node.
    line_ns = 11.28e9 / 2**28
    near, far = (ns_of("xeon-e7-8895-8s", f"page_copy_{where}") for where in ("near", "far"))
    assert (near + 7 * far) / 8 == pytest.approx(64 * line_ns, rel=1e-3)
    memory = [ns_of("xeon-e7-8895-8s", f"memory_{where}") for where in ("near", "far")]
    assert near / far == pytest.approx(memory[0] / memory[1], rel=1e-3)


def test_lines_on_milan_arrive_as_fast_as_memory_was_cleared():
    lines = load_machine("epyc-7j13-vm252").memory.outstanding_lines.value
    assert 64 / (ns_of("epyc-7j13-vm252", "memory_near") / lines) == pytest.approx(14.55, rel=0.02)


@pytest.mark.parametrize(
    ("machine", "alloc_us", "free_us"),
    [
        ("epyc-7j13-vm252", 2.463e6 / 524288, 2.931e6 / 524288),
        ("xeon-e7-8895-8s", 4.119e6 / 500000, 4.477e6 / 500000),
    ],
)
def test_with_hvo_off_the_unmodified_kernel_takes_what_was_published(machine, alloc_us, free_us):
    pages = 8192  # more struct pages than any cache here holds
    result = run(
        "v6.6", machine=machine, pages=pages, hvo=False, noise="quiet", phases=("alloc", "free")
    )
    took_us = result.summary["elapsed_ns"] / pages / 1000
    assert took_us[0] == pytest.approx(alloc_us, rel=0.005)
    # At the published size the heads are cold once more, when they are given back.
    latency_us = (ns_of(machine, "memory_near") + 7 * ns_of(machine, "memory_far")) / 8 / 1000
    assert free_us - latency_us <= took_us[1] <= free_us


@pytest.mark.parametrize("kernel", ["v6.6+5", "v6.7"])
def test_pages_that_go_back_from_a_list_are_no_longer_on_it_wherever_they_lie(kernel):
    found = []

    class Watched(load_kernel(kernel)):
        def unlist_pages_ns(k, vmemmap_pages):
            found.append((vmemmap_pages.nr_far, vmemmap_pages.nr_old))
            return super().unlist_pages_ns(vmemmap_pages)

    # Of the 8 PMDs of each 1 GB page the fifth cannot be split: four go back.
    run(
        Watched,
        machine=load_machine("epyc-7j13-vm252"),
        pages=16,
        page_size="1G",
        cpus=2,
        faults={"pte_page": [*range(5, 80, 5)]},
        phases=("alloc",),
    )
    assert found
    assert all(0 <= nr_far <= nr_old for nr_far, nr_old in found)
