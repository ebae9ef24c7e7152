# SPDX-License-Identifier: MIT

"""
The forms in which the PMD split was posted
-------------------------------------------

Oracle: the patches of the postings of August and September 2023, walked by hand; the
tables were written down before the simulator was asked.  N folios in S PMDs, of which
L are split late; flushes of a fill:

    v6.6+6@v1    N+1+L, the 1 a range that ends at TLB_FLUSH_ALL
    v6.6+6@v2    N+1+L
    v6.6+6@v3    S+1+N, late splits and those of single folios never flushed
    v6.6+6@v8    N+1+L
    v6.6+7@v1, @v2  2+L, v6.6+7@v3  S+2

Letters as in test_enomem: S split, B the flush of the batch of splits, R remap, M of
the batch of remaps, E before a second try, r restore; folios are worked on in reverse.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.errors import InputError
from simulator.kernel import kernels, load_kernel
from simulator.saved import load_result
from tests.kernel.helpers import column, flushes_of, lock_cycles, run, run_watched
from tests.kernel.test_enomem import START, Alloc, check_alloc, codes, head, name, outcome, pte
from tests.kernel.test_enomem import status as status_of

SPLITS = ("v6.6+6@v1", "v6.6+6@v2", "v6.6+6@v3", "v6.6+6@v8")
REMAPS = ("v6.6+7@v1", "v6.6+7@v2", "v6.6+7@v3")
POSTED = ("v6.6+5@v2", "v6.6+5@v3", *SPLITS, *REMAPS)
SHAPES = [("2M", 70, "aligned", 2), ("2M", 5, "pmds=3", 3), ("1G", 2, "aligned", 16)]


def test_every_posted_form_is_a_kernel_and_says_where_it_was_posted():
    assert {name for name in kernels() if "@" in name} == set(POSTED)
    for form in POSTED:
        assert load_kernel(form).name == form
        assert load_kernel(form).subject.startswith("[PATCH")


# --- number and kind of flushes -----------------------------------------------------------


@pytest.mark.parametrize(("page_size", "pages", "placement", "pmds"), SHAPES)
@pytest.mark.parametrize("hvo", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("kernel", SPLITS + REMAPS)
def test_flushes_of_a_posted_form_follow_its_formula(
    kernel, hvo, page_size, pages, placement, pmds
):
    phases = ("alloc", "free", "alloc")
    fields = {"pages": pages, "page_size": page_size, "placement": placement, "hvo": hvo}
    summary = run(kernel, cpus=3, phases=phases, **fields).summary.set_index("phase")
    # With HVO off the batch is flushed all the same; nothing is split the second time.
    batches = 1 if kernel in SPLITS else 2
    remaps = pages if kernel in SPLITS and hvo else 0
    splits = pmds if kernel.endswith("@v3") and hvo else 0
    assert summary.loc["alloc", "flushes"] == splits + batches + remaps
    assert summary.loc["alloc2", "flushes"] == batches + remaps
    assert summary.loc["free", "flushes"] == (pages if hvo else 0)
    assert summary.loc["alloc", "pmd_splits"] == (pmds if hvo else 0)
    assert summary.loc["alloc", "optimized_folios"] == (pages if hvo else 0)


@pytest.mark.parametrize(
    ("kernel", "ranges", "everything"),
    [
        # v1 writes flush_tlb_kernel_range(0, TLB_FLUSH_ALL), later forms flush_tlb_all().
        ("v6.6+6@v1", 4 + 1, 0),
        ("v6.6+6@v2", 4, 1),
        ("v6.6+6@v3", 2 + 4, 1),
        ("v6.6+6@v8", 4, 1),
        ("v6.6+7@v1", 2, 0),
        ("v6.6+7@v2", 0, 2),
        ("v6.6+7@v3", 2, 2),
    ],
)
def test_which_function_flushes(kernel, ranges, everything):
    result = run(kernel, pages=4, placement="pmds=2", cpus=2)
    assert column(result.counts, "flush_tlb_kernel_range_calls") == ranges
    assert column(result.counts, "flush_tlb_all_calls") == everything
    # Whichever it was, every CPU flushed everything for it: splits and batches.
    full = ranges + everything - (4 if kernel in SPLITS else 0)
    assert column(result.counts, "do_flush_tlb_all_exec_total") == 2 * full


@pytest.mark.parametrize("kernel", SPLITS + REMAPS)
def test_reason_and_kind_of_each_flush(kernel):
    frame = flushes_of(run(kernel, pages=3, placement="pmds=2", cpus=2))
    rows = list(frame[["reason", "kind", "pages"]].itertuples(index=False, name=None))
    splits = [("split", "all", 512)] * 2 if kernel.endswith("@v3") else []
    remaps = [("remap", "range", 8)] * 3 if kernel in SPLITS else [("batch_remap", "all", 0)]
    assert rows == [*splits, ("batch_split", "all", 0), *remaps]


@pytest.mark.parametrize("kernel", SPLITS + REMAPS)
def test_a_single_folio_flushes_its_split_except_with_the_inverted_flag(kernel):
    # alloc_surplus_hugetlb_folio() calls hugetlb_vmemmap_optimize(), without a list.
    result = run(kernel, pages=4, placement="pmds=2", cpus=2, path="surplus")
    assert column(result.summary, "pmd_splits") == 2
    assert codes(result, "alloc") == ("RRRR" if kernel.endswith("@v3") else "SRRSRR")


# --- out of memory ------------------------------------------------------------------------

OUT_OF_MEMORY = [
    # Each folio in a PMD of its own; the first split fails. v8 stops there and splits the
    # rest late; the others go on. v3 flushes in pass 1, and its late split not at all.
    Alloc("v6.6+6@v1", 3, "apart", pte(1), "OOO", 3, "BSRRR", 24, 18),
    Alloc("v6.6+6@v2", 3, "apart", pte(1), "OOO", 3, "BSRRR", 24, 18),
    Alloc("v6.6+6@v3", 3, "apart", pte(1), "OOO", 3, "SSBRRR", 24, 18),
    Alloc("v6.6+6@v8", 3, "apart", pte(1), "OOO", 3, "BSRSRSR", 24, 18),
    # The last split fails: one late split in each form.
    Alloc("v6.6+6@v1", 3, "apart", pte(3), "OOO", 3, "BRRSR", 24, 18),
    Alloc("v6.6+6@v2", 3, "apart", pte(3), "OOO", 3, "BRRSR", 24, 18),
    Alloc("v6.6+6@v3", 3, "apart", pte(3), "OOO", 3, "SSBRRR", 24, 18),
    Alloc("v6.6+6@v8", 3, "apart", pte(3), "OOO", 3, "BRRSR", 24, 18),
    # Two folios in one PMD: where pass 1 goes on, the second one splits it.
    Alloc("v6.6+6@v1", 2, "one", pte(1), "OO", 1, "BRR", 16, 13),
    Alloc("v6.6+6@v2", 2, "one", pte(1), "OO", 1, "BRR", 16, 13),
    Alloc("v6.6+6@v3", 2, "one", pte(1), "OO", 1, "SBRR", 16, 13),
    Alloc("v6.6+6@v8", 2, "one", pte(1), "OO", 1, "BSRR", 16, 13),
    # The late split fails too: v1 and v2 leave it at that, v3 and v8 try once more.
    Alloc("v6.6+6@v1", 1, "one", pte(1, 2), "F", 0, "B", 0, 0),
    Alloc("v6.6+6@v2", 1, "one", pte(1, 2), "F", 0, "B", 0, 0),
    Alloc("v6.6+6@v3", 1, "one", pte(1, 2), "O", 1, "BR", 8, 6),
    Alloc("v6.6+6@v8", 1, "one", pte(1, 2), "O", 1, "BSR", 8, 6),
    # With the head page missing there is nothing to free first: v3 tries all the same.
    Alloc("v6.6+6@v3", 1, "one", {**pte(1, 2), **head(1)}, "O", 1, "BR", 8, 6),
    Alloc("v6.6+6@v8", 1, "one", {**pte(1, 2), **head(1)}, "F", 0, "B", 0, 0),
    # The patch after it, in the same postings.
    Alloc("v6.6+7@v1", 3, "apart", pte(1), "OOO", 3, "BSM", 24, 18),
    Alloc("v6.6+7@v2", 3, "apart", pte(1), "OOO", 3, "BSM", 24, 18),
    Alloc("v6.6+7@v3", 3, "apart", pte(1), "OOO", 3, "SSBM", 24, 18),
    Alloc("v6.6+7@v1", 1, "one", pte(1, 2), "F", 0, "BM", 0, 0),
    Alloc("v6.6+7@v2", 1, "one", pte(1, 2), "F", 0, "BM", 0, 0),
    Alloc("v6.6+7@v3", 1, "one", pte(1, 2), "O", 1, "BEM", 8, 6),
    # Their bases: v6.6+5 without and with a second try.
    Alloc("v6.6+5@v2", 2, "one", pte(1), "OF", 1, "SR", 8, 6),
    Alloc("v6.6+5@v3", 1, "one", {**pte(1), **head(1)}, "O", 1, "SR", 8, 6),
]


@pytest.mark.parametrize("row", OUT_OF_MEMORY, ids=name)
def test_failed_allocations_end_as_the_posted_code_says(row):
    result, states = outcome(row)
    (state,) = states
    if row.kernel.endswith("@v1"):
        # Every folio but the one that failed in the split pass counts twice in the key.
        assert state.key_enabled == row.status.count("O") + row.pages - 1
        state = replace(state, key_enabled=row.status.count("O"))
    check_alloc(row, result, state)


@pytest.mark.parametrize("kernel", [*SPLITS[:2], *REMAPS[:2]])
@pytest.mark.parametrize(
    ("faults", "status_wanted", "flushes"),
    [
        # Folio 1 is first on the list. It fails, folio 0 is restored, 1 tried once more.
        ([1], "--", "rr"),
        # ... and fails for good: surplus.
        ([1, 9], "-O", "r"),
        # Folio 0 fails (8), then 1 is given back, then 0 is restored.
        ([8], "--", "rr"),
    ],
)
def test_v1_and_v2_try_a_failed_restore_once_more(kernel, faults, status_wanted, flushes):
    row = Alloc(kernel, 2, "one", {"restore_page": faults}, "", 0, "", 0, 0)
    result, states = outcome(row, phases=("alloc", "free"))
    assert status_of(result, "free") == status_wanted
    assert codes(result, "free") == flushes
    stay = status_wanted.count("O")
    assert states[1].surplus_huge_pages == states[1].optimized_in_pool == stay
    assert states[1].free_pages - START == -1 + 7 * stay


# --- the static key of the first posting ----------------------------------------------------


@pytest.mark.parametrize("kernel", ["v6.6+6@v1", "v6.6+7@v1"])
def test_the_key_of_v1_never_gets_back_to_zero(kernel):
    phases = ("alloc", "free", "alloc", "free")
    # 300 sites are two batches of three broadcasts, made when the key leaves 0 or gets there.
    fields = {"pages": 3, "cpus": 2, "phases": phases, "tunables": {"static_key_sites": 300}}
    result, states = run_watched(kernel, **fields)
    assert [state.key_enabled for state in states] == [6, 3, 9, 6]
    assert result.summary["other_broadcasts"].tolist() == [6, 0, 0, 0]
    result, states = run_watched("v6.6+6@v2", **fields)
    assert [state.key_enabled for state in states] == [3, 0, 3, 0]
    assert result.summary["other_broadcasts"].tolist() == [6, 6, 6, 6]


def test_a_failed_split_of_v1_takes_its_key_back():
    # 0 to 1 and back in the split pass, 0 to 1 in the remap pass.
    result, states = run_watched(
        "v6.6+6@v1", pages=1, cpus=2, faults=pte(1), tunables={"static_key_sites": 300}
    )
    assert states[0].key_enabled == 1
    assert column(result.summary, "other_broadcasts") == 3 * 6


# --- unflushed splits -----------------------------------------------------------------------


def unflushed(kernel, **fields):
    """Return the phase and PMD of each split that was not flushed before its PTEs were stored."""
    rows = run(kernel, cpus=2, **fields).violations
    assert set(rows["invariant"]) <= {"size-and-frame"}
    return [(str(row.phase), str(row.what)) for row in rows.itertuples()]


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("path", ["pool", "surplus"])
@pytest.mark.parametrize("page_size", ["2M", "1G"])
def test_only_single_folios_of_v3_remap_while_a_split_is_unflushed(kernel, path, page_size):
    if (path, page_size) == ("surplus", "1G"):
        return
    placement = "pmds=2" if page_size == "2M" else "aligned"
    fields = {"page_size": page_size, "placement": placement, "path": path}
    single = path == "surplus" and kernel.endswith(("6@v3", "7@v3"))
    wanted = [("alloc", "PMD 0"), ("alloc", "PMD 1")] if single else []
    assert unflushed(kernel, pages=4 if page_size == "2M" else 1, **fields) == wanted


@pytest.mark.parametrize(
    ("kernel", "nr"),
    [("v6.6+6@v1", 0), ("v6.6+6@v2", 0), ("v6.6+6@v3", 1), ("v6.6+6@v8", 0), ("v6.6+7@v3", 1)],
)
def test_a_late_split_of_v3_is_never_flushed(kernel, nr):
    # Folio 1, in PMD 1, is the second of the list 2, 1, 0.
    found = unflushed(kernel, pages=3, placement="pmds=3", faults=pte(2))
    assert found == [("alloc", "PMD 1")] * nr


@pytest.mark.parametrize(("ceiling", "wanted"), [(33, []), (512, [])])
def test_a_range_of_the_whole_pmd_counts_as_a_flush_of_it(ceiling, wanted):
    tunables = {"tlb_single_page_flush_ceiling": ceiling}
    assert unflushed("v6.6", pages=2, tunables=tunables) == wanted


# --- locks, names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "clears"), [("v6.6+5@v2", 0), ("v6.6+6@v1", 0), ("v6.6+6@v2", 0), ("v6.6+6@v3", 1)]
)
def test_v1_and_v2_clear_no_destructor_of_a_list(kernel, clears):
    """
    Count spin_lock_irq(&hugetlb_lock) of a free.

    Once on entry and once at the end; patch 1/8 of the merged series, in v3 and later,
    adds one for the list. Without it a restored folio is no longer optimised when it is
    given back, so its destructor is not cleared there either.
    """
    assert lock_cycles(kernel, 5, hvo=True)[1] == 2 + clears


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("v6.6+6@v4", "v6.6+6@v3"),  # has the inverted flag too
        ("v6.6+6@v5", "v6.6+6@v8"),  # put right
        ("v6.6+6@v7", "v6.6+6@v8"),
        ("v6.6+6v2", "v6.6+6@v2"),
        ("v6.6+7@v22", "v6.6+7@v2"),
    ],
)
def test_an_unknown_posting_gets_the_one_that_flushes_alike(typed, near):
    with pytest.raises(InputError, match="there is no") as error:
        load_kernel(typed)
    assert f"(did you mean {near!r}?)" in str(error.value)


@pytest.mark.parametrize("kernel", ["v6.6+6@v1", "v6.6+7@v3"])
def test_a_saved_result_of_a_posting_is_loaded_and_replayed(kernel, tmp_path):
    result = run(kernel, pages=4, cpus=3)
    folder = tmp_path / f"result-{kernel}"
    result.save(folder)
    loaded = load_result(folder)
    assert loaded.scenario.kernel_class is load_kernel(kernel)
    assert loaded.summary.equals(result.summary)
    assert loaded.ipis([0]).equals(result.ipis([0]))
