# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
How often each kernel flushes, and with what
--------------------------------------------

Oracle: the formulas that follow from the C code and were counted in real
kernels.  N folios, S vmemmap PMDs split in the phase, V vmemmap pages to a
folio; flushes of alloc / free are

    v6.1, v6.6, +1 to +5    N+S / N
    +6                      N+1 / N
    +7                      2 / N
    +8, v6.7, v6.12         2 / 1

With HVO off nothing is flushed, but for the flush_tlb_all() calls that
hugetlb_vmemmap_optimize_folios() makes whatever its list holds: 1 from +6 on, 2
from +7 on.
"""

from __future__ import annotations

import pytest

from simulator.kernel import load_kernel
from simulator.machine import lower
from tests.kernel.helpers import MERGED, constant, flushes_of, patches_of, run

FOUR_PHASES = ("alloc", "free", "alloc", "free")
# page size, pages, placement, PMDs
SHAPES = [
    ("2M", 70, "aligned", 2),
    ("2M", 5, "pmds=3", 3),
    ("2M", 1, "aligned", 1),
    ("1G", 2, "aligned", 16),
]
IDS = ["2M-aligned", "2M-pmds=3", "2M-one", "1G"]


def flushes_of_alloc(kernel, pages, splits, *, hvo):
    patches = patches_of(kernel)
    if not hvo:
        return {6: 1, 7: 2, 8: 2}.get(patches, 0)
    return {6: pages + 1, 7: 2, 8: 2}.get(patches, pages + splits)


def flushes_of_free(kernel, pages, *, hvo):
    if not hvo:
        return 0
    return 1 if patches_of(kernel) == 8 else pages


@pytest.mark.parametrize("kernel", MERGED)
@pytest.mark.parametrize("hvo", [True, False], ids=["on", "off"])
@pytest.mark.parametrize(("page_size", "pages", "placement", "pmds"), SHAPES, ids=IDS)
@pytest.mark.parametrize("cpus", [1, 2, 5])
def test_flushes_and_ipis_follow_the_formula(kernel, hvo, page_size, pages, placement, pmds, cpus):
    result = run(
        kernel,
        pages=pages,
        page_size=page_size,
        hvo=hvo,
        placement=placement,
        cpus=cpus,
        phases=FOUR_PHASES,
        tunables={"static_key_sites": 300},
    )
    summary = result.summary.set_index("phase")
    for phase, splits in (("alloc", pmds if hvo else 0), ("alloc2", 0)):
        wanted = flushes_of_alloc(kernel, pages, splits, hvo=hvo)
        assert summary.loc[phase, "flushes"] == wanted
        assert summary.loc[phase, "pmd_splits"] == splits
        assert summary.loc[phase, "optimized_folios"] == (pages if hvo else 0)
    for phase in ("free", "free2"):
        assert summary.loc[phase, "flushes"] == flushes_of_free(kernel, pages, hvo=hvo)
        assert summary.loc[phase, "pmd_splits"] == 0
    # Every flush interrupts every other CPU once, and there is one task.
    assert (summary["ipis"] == summary["flushes"] * (cpus - 1)).all()
    assert (summary["ipis_saved"] == 0).all()
    # 300 sites are two batches of up to 256, with three broadcasts each; the first
    # optimised folio and the last restored one flip the key.
    assert (summary["other_broadcasts"] == (6 if hvo else 0)).all()
    assert (summary["other_ipis"] == (6 * (cpus - 1) if hvo else 0)).all()
    assert (summary["pages"] == pages).all()
    assert (summary["failed_folios"] == 0).all()


@pytest.mark.parametrize("kernel", MERGED)
def test_what_every_cpu_executes_is_flushes_times_cpus(kernel):
    pages, pmds, cpus = 5, 3, 4
    counts = run(
        kernel, pages=pages, placement=f"pmds={pmds}", cpus=cpus, phases=("alloc", "free")
    ).counts.set_index("phase")
    patches = patches_of(kernel)
    moved = 7 if kernel == "v6.1" else 8  # PTEs that change, and pages that are freed
    ranges = {6: pages, 7: 0, 8: 0}.get(patches, pages)  # of one folio each
    splits = pmds if patches < 6 else 0
    everything = {6: 1, 7: 2, 8: 2}.get(patches, 0)
    alloc = counts.loc["alloc"]
    assert alloc["flush_tlb_kernel_range_calls"] == ranges + splits
    assert alloc["flush_tlb_all_calls"] == everything
    # A range of 512 pages is above the ceiling of 33.
    assert alloc["do_flush_tlb_all_exec_total"] == cpus * (splits + everything)
    assert alloc["do_kernel_range_flush_exec_total"] == cpus * ranges
    assert alloc["flush_tlb_one_kernel_exec_total"] == cpus * ranges * moved
    assert alloc["vmemmap_pages_freed"] == pages * moved
    assert alloc["vmemmap_head_pages_allocated"] == (0 if kernel == "v6.1" else pages)
    free = counts.loc["free"]
    ranges = 0 if patches == 8 else pages
    assert free["flush_tlb_kernel_range_calls"] == ranges
    assert free["flush_tlb_all_calls"] == (1 if patches == 8 else 0)
    assert free["flush_tlb_one_kernel_exec_total"] == cpus * ranges * moved
    assert free["vmemmap_pages_allocated_restore"] == 7 * pages
    assert free["pages_got"] == 0


@pytest.mark.parametrize(("sites", "batches"), [(0, 0), (1, 1), (256, 1), (257, 2), (1107, 5)])
@pytest.mark.parametrize("kernel", ["v6.1", "v6.6", "v6.6+5", "v6.6+7", "v6.7"])
def test_static_key_broadcasts_are_three_per_256_sites(kernel, sites, batches):
    summary = run(
        kernel,
        pages=3,
        cpus=3,
        phases=("alloc", "free"),
        tunables={"static_key_sites": sites},
    ).summary
    assert summary["other_broadcasts"].tolist() == [3 * batches] * 2
    assert summary["other_ipis"].tolist() == [3 * batches * 2] * 2


def test_counted_static_key_sites_give_the_counted_broadcasts():
    # 6.1.176: 1107 sites, 15 broadcasts; 6.12.107: 687 and 9. Kernels between have one number.
    sites = {name: load_kernel(name).TUNABLES["static_key_sites"][0] for name in MERGED}
    assert (sites["v6.1"], sites["v6.12"]) == (1107, 687)
    between = {sites[name] for name in ("v6.6", *(f"v6.6+{n}" for n in range(1, 9)), "v6.7")}
    assert len(between) == 1
    assert 687 <= between.pop() <= 1107


# --- reason, kind and pages of each flush -------------------------------------------------


def rows(result, phase):
    frame = flushes_of(result, phase)
    return list(frame[["reason", "kind", "pages"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(("kernel", "folio_pages"), [("v6.1", 7), ("v6.6", 8), ("v6.6+5", 8)])
def test_without_batching_each_folio_flushes_its_split_and_its_own_pages(kernel, folio_pages):
    result = run(kernel, pages=4, placement="pmds=2", cpus=2, phases=("alloc", "free"))
    split, remap = ("split", "all", 512), ("remap", "range", folio_pages)
    # Folios 0 and 1 share a PMD, and 2 and 3; batching does not change which folio splits.
    assert rows(result, "alloc") == [split, remap, remap] * 2
    assert rows(result, "free") == [("restore", "range", folio_pages)] * 4


def test_v6_6_6_flushes_once_for_all_splits_then_once_per_folio():
    result = run("v6.6+6", pages=4, placement="pmds=2", cpus=2, phases=("alloc", "free"))
    assert rows(result, "alloc") == [("batch_split", "all", 0)] + [("remap", "range", 8)] * 4
    assert rows(result, "free") == [("restore", "range", 8)] * 4


def test_v6_6_7_flushes_twice_and_restores_one_by_one():
    result = run("v6.6+7", pages=4, placement="pmds=2", cpus=2, phases=("alloc", "free"))
    assert rows(result, "alloc") == [("batch_split", "all", 0), ("batch_remap", "all", 0)]
    assert rows(result, "free") == [("restore", "range", 8)] * 4


@pytest.mark.parametrize("kernel", ["v6.6+8", "v6.7"])
def test_the_whole_series_flushes_twice_and_once(kernel):
    result = run(kernel, pages=4, placement="pmds=2", cpus=2, phases=("alloc", "free"))
    assert rows(result, "alloc") == [("batch_split", "all", 0), ("batch_remap", "all", 0)]
    assert rows(result, "free") == [("batch_restore", "all", 0)]


@pytest.mark.parametrize(("kernel", "folio_pages"), [("v6.1", 4095), ("v6.6", 4096)])
def test_every_flush_of_a_1g_folio_is_a_full_one(kernel, folio_pages):
    result = run(kernel, pages=1, page_size="1G", cpus=2, phases=("alloc", "free"))
    assert rows(result, "alloc") == [("split", "all", 512)] * 8 + [("remap", "all", folio_pages)]
    assert rows(result, "free") == [("restore", "all", folio_pages)]


@pytest.mark.parametrize(
    ("ceiling", "kind"), [(0, "all"), (7, "all"), (8, "range"), (9, "range"), (33, "range")]
)
def test_only_strictly_more_than_the_ceiling_is_a_full_flush(ceiling, kind):
    result = run("v6.6", pages=1, cpus=2, tunables={"tlb_single_page_flush_ceiling": ceiling})
    assert rows(result, "alloc")[-1] == ("remap", kind, 8)


@pytest.mark.parametrize(("ceiling", "kind"), [(511, "all"), (512, "range")])
def test_the_ceiling_holds_for_a_split_too(ceiling, kind):
    result = run("v6.6", pages=1, cpus=2, tunables={"tlb_single_page_flush_ceiling": ceiling})
    assert rows(result, "alloc")[0] == ("split", kind, 512)


# --- order of operations ------------------------------------------------------------------


def logged(kernel):
    """Return a kernel that logs what kprobes on it would show, and its log."""
    log = []

    class Logged(load_kernel(kernel)):
        def pmd_populate_kernel(k, pmd, pgtable):
            log.append("split")
            super().pmd_populate_kernel(pmd, pgtable)

        def set_ptes(k, addr, nr, category):
            log.append(f"{category} {nr}")
            super().set_ptes(addr, nr, category)

        def flush_tlb_kernel_range(k, start, end, reason):
            log.append(f"flush {(end - start) // 4096}")
            super().flush_tlb_kernel_range(start, end, reason)

        def flush_tlb_all(k, reason):
            log.append("flush all")
            super().flush_tlb_all(reason)

        def jump_label_update(k, key):
            log.append("static key")
            super().jump_label_update(key)

        def synchronize_rcu(k):
            log.append("rcu")
            super().synchronize_rcu()

        def free_pages(k, nr_pages, category="page_free"):
            log.append(f"free {nr_pages}")
            super().free_pages(nr_pages, category)

        def begin_phase(k, label, start_ns, initiators):
            log.append(label)
            super().begin_phase(label, start_ns, initiators)

    return Logged, log


def log_of(kernel, **fields):
    kernel_class, log = logged(kernel)
    run(kernel_class, cpus=2, phases=("alloc", "free"), **fields)
    at = log.index("free")
    return log[1:at], log[at + 1 :]


def test_v6_1_does_page_by_page_what_linux_6_1_176_does():
    alloc, free = log_of("v6.1", pages=3, placement="pmds=2")
    assert alloc == [
        "static key",
        *("split", "flush 512", "remap 7", "flush 7", "free 7"),
        *("remap 7", "flush 7", "free 7"),
        *("split", "flush 512", "remap 7", "flush 7", "free 7"),
    ]
    assert free == ["restore 7", "flush 7"] * 3 + ["static key"]


def test_v6_6_remaps_the_head_too():
    alloc, free = log_of("v6.6", pages=2, placement="aligned")
    assert alloc == [
        "static key",
        *("split", "flush 512", "remap 8", "flush 8", "free 8"),
        *("remap 8", "flush 8", "free 8"),
    ]
    assert free == ["restore 7", "flush 8"] * 2 + ["static key"]


def test_v6_6_5_frees_the_pages_of_all_folios_at_the_end():
    alloc, _ = log_of("v6.6+5", pages=2, placement="aligned")
    assert alloc == [
        "static key",
        *("split", "flush 512", "remap 8", "flush 8", "remap 8", "flush 8"),
        "free 16",
    ]


def test_v6_7_does_list_by_list_what_linux_6_12_107_does():
    # As counted in 6.12.107, but for synchronize_rcu(), which came in v6.11.
    alloc, free = log_of("v6.7", pages=3, placement="pmds=2")
    assert alloc == [
        *("split", "split", "flush all"),
        *("static key", "remap 8", "remap 8", "remap 8", "flush all"),
        "free 24",
    ]
    assert free == ["restore 7", "restore 7", "restore 7", "static key", "flush all"]


def test_v6_12_does_list_by_list_what_the_trace_of_linux_6_12_107_shows():
    # vrr (split) for every folio, fta, tpb, syn, then vrr (remap) for every folio, fta.
    alloc, free = log_of("v6.12", pages=3, placement="pmds=2")
    assert alloc == [
        *("split", "split", "flush all"),
        *("static key", "rcu", "remap 8", "remap 8", "remap 8", "flush all"),
        "free 24",
    ]
    assert free == ["rcu", "restore 7", "restore 7", "restore 7", "static key", "flush all"]


def test_v6_12_waits_for_a_grace_period_and_flushes_for_every_surplus_folio():
    alloc, free = log_of("v6.12", pages=2, path="surplus")
    assert alloc == [
        *("static key", "rcu", "split", "flush 512", "remap 8", "flush 8", "free 8"),
        *("rcu", "remap 8", "flush 8", "free 8"),
    ]
    assert free == ["rcu", "restore 7", "flush 8", "rcu", "restore 7", "flush 8", "static key"]


@pytest.mark.parametrize(("path", "waits"), [("pool", 1), ("surplus", 3)])
def test_v6_12_sleeps_for_its_grace_periods_while_others_run(path, waits):
    machine = constant(synchronize_rcu=1_000_000)
    result = run("v6.12", machine=machine, pages=3, path=path, phases=("alloc", "free"))
    assert result.counts["synchronize_rcu_calls"].tolist() == [waits, waits]
    asleep = result.time_by[result.time_by["category"] == "rcu"]
    assert asleep["ns"].tolist() == [waits * 1_000_000] * 2


def test_every_surplus_folio_of_every_phase_draws_its_own_grace_period():
    """Their sum is that of draws whose keys are the phase and the folio."""
    phases = ("alloc", "free", "alloc")
    result = run("v6.12", pages=3, path="surplus", phases=phases)
    s = result.scenario
    machine = lower(s.machine_model, s.nr_cpus, s.noise_model, s.seed, s.replication)
    drawn = [machine.work_draws("synchronize_rcu", phase << 32, 3) for phase in range(3)]
    asleep = result.time_by[result.time_by["category"] == "rcu"]
    assert asleep["ns"].tolist() == [draws.sum() for draws in drawn]
    assert len({ns for draws in drawn for ns in draws.tolist()}) == 9


@pytest.mark.parametrize("path", ["pool", "surplus"])
def test_v6_12_waits_for_no_grace_period_with_hvo_off(path):
    result = run("v6.12", pages=3, path=path, hvo=False, phases=("alloc", "free"))
    assert result.counts["synchronize_rcu_calls"].tolist() == [0, 0]


def test_v6_12_enters_mmap_lock_once_for_every_walk():
    # vmemmap_remap_range() takes it itself: for the split, for the remap, to restore.
    entered = []

    class Entered(load_kernel("v6.12")):
        def __init__(k, *args):
            super().__init__(*args)
            down_read = k.mmap_lock.down_read
            k.mmap_lock.down_read = lambda: (entered.append(k.phase), down_read())[1]

    run(Entered, pages=5, cpus=2, phases=("alloc", "free"))
    assert entered == [0] * 10 + [1] * 5
