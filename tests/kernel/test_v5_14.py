# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
HVO as it was first merged
--------------------------

Oracle: mm/sparse-vmemmap.c and mm/hugetlb_vmemmap.c of the series of 2021, read by
hand.  Of the 8 vmemmap pages of a 2 MB folio 6 go back, of the 4096 of 1 GB 4094; each
folio flushes what it remapped; nothing is split, and no code is patched.
"""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.kernel import kernels, load_kernel
from tests.kernel.helpers import column, constant, flushes_of, run, run_watched

PHASES = ("alloc", "free", "alloc", "free")


@pytest.mark.parametrize("hvo", [True, False], ids=["on", "off"])
@pytest.mark.parametrize(("page_size", "pages", "moved"), [("2M", 5, 6), ("1G", 2, 4094)])
@pytest.mark.parametrize("path", ["pool", "boot"])
def test_each_folio_flushes_and_frees_all_but_two_of_its_pages(hvo, page_size, pages, moved, path):
    cpus = 3
    fields = {"pages": pages, "page_size": page_size, "hvo": hvo, "path": path, "cpus": cpus}
    result, states = run_watched("v5.14", phases=PHASES, free_pages=10_000, **fields)
    summary, counts = result.summary, result.counts
    flushes = pages if hvo else 0
    assert summary["flushes"].tolist() == [flushes] * 4
    assert summary["ipis"].tolist() == [flushes * (cpus - 1)] * 4
    assert (summary[["pmd_splits", "other_broadcasts", "failed_folios"]] == 0).all(axis=None)
    assert counts["flush_tlb_kernel_range_calls"].tolist() == [flushes] * 4
    assert counts["on_each_cpu_calls"].tolist() == [flushes] * 4
    assert (counts[["flush_tlb_all_calls", "vmemmap_head_pages_allocated"]] == 0).all(axis=None)
    assert counts["vmemmap_pages_freed"].tolist() == [flushes * moved, 0] * 2
    assert counts["vmemmap_pages_allocated_restore"].tolist() == [0, flushes * moved] * 2
    assert [s.free_pages - 10_000 for s in states] == [flushes * moved, 0] * 2
    assert [s.held_pages for s in states] == [0] * 4
    # At most the pages of one folio wait for their flush.
    assert column(summary, "peak_held_pages") == (moved if hvo else 0)


@pytest.mark.parametrize(
    ("page_size", "kind", "nr_pages"), [("2M", "range", 6), ("1G", "all", 4094)]
)
def test_reason_kind_and_pages_of_each_flush(page_size, kind, nr_pages):
    result = run("v5.14", pages=2, page_size=page_size, cpus=2, phases=("alloc", "free"))
    for phase, reason in (("alloc", "remap"), ("free", "restore")):
        rows = flushes_of(result, phase)[["reason", "kind", "pages"]]
        assert list(rows.itertuples(index=False, name=None)) == [(reason, kind, nr_pages)] * 2


def test_page_by_page_in_the_order_of_the_c_code():
    log = []

    class Logged(load_kernel("v5.14")):
        def set_ptes(k, addr, nr, category):
            log.append(f"{category} {nr}")
            super().set_ptes(addr, nr, category)

        def flush_tlb_kernel_range(k, start, end, reason):
            log.append(f"flush {(end - start) // 4096}")
            super().flush_tlb_kernel_range(start, end, reason)

        def free_pages(k, nr_pages, category="page_free"):
            log.append(f"free {nr_pages}")
            super().free_pages(nr_pages, category)

        def copy_page(k, to, from_addr):
            log.append(f"copy {to}")
            super().copy_page(to, from_addr)

    run(Logged, pages=2, cpus=2, phases=("alloc", "free"))
    alloc = ["remap 6", "flush 6", "free 6"]
    # The pages to restore a folio are filled as they are mapped.
    assert log == alloc * 2 + ["copy 6", "restore 6", "flush 6"] * 2


def test_the_time_of_a_folio_is_that_of_its_steps():
    costs = {"set_pte": 20, "page_free": 150, "page_alloc": 130, "invlpg": 100, "vmemmap_walk": 70}
    result = run("v5.14", machine=constant(**costs), pages=3, cpus=1, phases=("alloc", "free"))
    assert column(result.summary, "elapsed_ns") == 3 * (70 + 6 * 20 + 6 * 100 + 6 * 150)
    assert column(result.summary, "elapsed_ns", "free") == 3 * (6 * 130 + 70 + 6 * 20 + 6 * 100)


@pytest.mark.parametrize("nth", [1, 6])
def test_a_folio_that_cannot_be_restored_stays_as_a_surplus_page(nth):
    result, states = run_watched(
        "v5.14", pages=2, cpus=2, phases=("alloc", "free"), faults={"restore_page": [nth]}
    )
    assert column(result.summary, "failed_folios", "free") == 1
    assert states[1].surplus_huge_pages == states[1].nr_huge_pages == states[1].optimized_in_pool
    assert states[1].surplus_huge_pages == 1
    assert column(result.summary, "flushes", "free") == 1


def test_without_memory_for_page_tables_all_is_as_with_it():
    # Nothing is allocated to optimise a folio.
    result = run("v5.14", pages=4, cpus=2, free_pages=0, faults={"pte_page": [1], "head_page": [1]})
    assert column(result.summary, "optimized_folios") == 4


def test_there_is_no_static_key_to_tune():
    with pytest.raises(InputError, match=r"v5\.14 has no 'static_key_sites'"):
        run("v5.14", pages=1, tunables={"static_key_sites": 5})


def test_it_is_the_oldest_kernel():
    assert kernels()[0] == "v5.14"
