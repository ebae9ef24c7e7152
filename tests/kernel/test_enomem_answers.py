# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
Out of memory: the answers that were debated
--------------------------------------------

Oracle: the rules of the answers, walked by hand for up to three folios on one
node, as in test_enomem.py, whose letters are used here; and what holds whatever
fails: pages are neither made nor lost, and none is given back before a flush that
follows the change of its PTE.

Folios are numbered by allocation; all of these kernels work on 2, 1, 0.
"""

from __future__ import annotations

import inspect
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.kernel import kernels, load_kernel, proposals
from simulator.kernel.tlb import TLB_FLUSH_ALL
from simulator.kernel.versions.v6_7 import V6_7
from simulator.run import simulate
from simulator.saved import load_result
from simulator.scenario import Scenario
from tests.kernel.helpers import (
    LAPTOP,
    STILL,
    column,
    flushes_of,
    keeps_key,
    of_the_laptop,
    run,
    run_watched,
)
from tests.kernel.test_enomem import Alloc, Scarce, check_alloc, codes, name, outcome, pte, status

ABORT, IGNORE, GO_ON, RETRY = ANSWERS = (
    "v6.7+enomem-abort",
    "v6.7+enomem-ignore",
    "v6.7+enomem-go-on",
    "v6.7+enomem-retry",
)

# --- injected failures, by hand -----------------------------------------------------------

FAULTS = [
    # Nothing is remapped, and what was split is split in vain.
    Alloc(ABORT, 1, "one", pte(1), "F", 0, "B", 0, 0),
    Alloc(ABORT, 3, "one", pte(1), "FFF", 0, "B", 0, 0),
    Alloc(ABORT, 3, "apart", pte(3), "FFF", 2, "B", 0, -2),
    # Pass 2 splits late, with whatever memory there is, and never tries again.
    Alloc(IGNORE, 1, "one", pte(1), "O", 1, "BSM", 8, 6),
    Alloc(IGNORE, 1, "one", pte(1, 2), "F", 0, "BM", 0, 0),
    Alloc(IGNORE, 2, "apart", pte(1, 3), "OF", 1, "BM", 8, 6),
    Alloc(IGNORE, 3, "apart", pte(1, 2, 4), "OOF", 2, "BSM", 16, 12),
    Alloc(IGNORE, 3, "one", pte(1, 2, 3), "OOO", 1, "BSM", 24, 20),
    # Each folio tries its split in pass 1: fewer late splits than v6.7 (BSM, BSSM).
    Alloc(GO_ON, 3, "one", pte(1), "OOO", 1, "BM", 24, 20),
    Alloc(GO_ON, 2, "apart", pte(1), "OO", 2, "BSM", 16, 12),
    Alloc(GO_ON, 3, "apart", pte(1), "OOO", 3, "BSM", 24, 18),
    Alloc(GO_ON, 3, "apart", pte(1, 2), "OOO", 3, "BSSM", 24, 18),
    # The late split fails (4): its new head page alone is freed, and it is tried again.
    Alloc(GO_ON, 3, "apart", pte(1, 4), "OOO", 3, "BESM", 24, 18),
    # Nothing to free yet: folio 2 (or the only one) stays as it is.
    Alloc(RETRY, 1, "one", pte(1), "F", 0, "BM", 0, 0),
    Alloc(RETRY, 2, "apart", pte(1), "OF", 1, "BM", 8, 6),
    Alloc(RETRY, 3, "one", pte(1), "OOF", 1, "BM", 16, 13),
    # Folio 1 fails: folio 2 is remapped and freed for it (B, E), then the rest (B, M).
    Alloc(RETRY, 2, "apart", pte(2), "OO", 2, "BEBM", 8, 12),
    Alloc(RETRY, 3, "apart", pte(2), "OOO", 3, "BEBM", 16, 18),
    # ... and fails again, with nothing left to free.
    Alloc(RETRY, 3, "apart", pte(2, 3), "OFO", 2, "BEBM", 8, 12),
]


@pytest.mark.parametrize("row", FAULTS, ids=name)
def test_failed_splits_end_as_the_answer_says(row):
    result, states = outcome(row)
    check_alloc(row, result, states[0])


@pytest.mark.parametrize("kernel", ANSWERS)
@pytest.mark.parametrize("lie", ["one", "apart"])
def test_without_a_failure_every_answer_is_v6_7(kernel, lie):
    splits = {"one": 1, "apart": 3}[lie]
    row = Alloc(kernel, 3, lie, {}, "OOO", splits, "BM", 24, 21 - splits)
    result, states = outcome(row)
    check_alloc(row, result, states[0])
    other, _ = outcome(row._replace(kernel="v6.7"))
    assert result.summary.equals(other.summary)
    assert result.folios.equals(other.folios)


# --- finite memory, by hand ---------------------------------------------------------------

# Three folios; v6.7 is in test_enomem.py. The PTE pages are taken first, all of them.
SCARCE = [
    *(Scarce(kernel, "one", 1, "OOO", "BM", 21, 21) for kernel in ANSWERS),
    *(Scarce(kernel, "apart", 3, "OOO", "BM", 21, 21) for kernel in ANSWERS),
    Scarce(ABORT, "apart", 0, "FFF", "B", 0, 0),
    Scarce(ABORT, "apart", 1, "FFF", "B", 0, 0),
    Scarce(ABORT, "apart", 2, "FFF", "B", 0, 0),
    Scarce(IGNORE, "apart", 0, "FFF", "BM", 0, 0),
    # Only folio 2 is split; its 7 pages come back when it is too late.
    Scarce(IGNORE, "apart", 1, "FFO", "BM", 7, 7),
    Scarce(IGNORE, "apart", 2, "FOO", "BM", 14, 14),
    Scarce(GO_ON, "apart", 0, "FFF", "BM", 0, 0),
    Scarce(GO_ON, "apart", 1, "OOO", "BESSM", 16, 19),
    Scarce(GO_ON, "apart", 2, "OOO", "BESM", 14, 20),
    Scarce(RETRY, "apart", 0, "FFF", "BM", 0, 0),
    # Folio 2 gives 7 pages for the PTE pages of 1 and 0, and for their head pages.
    Scarce(RETRY, "apart", 1, "OOO", "BEBM", 16, 19),
    Scarce(RETRY, "apart", 2, "OOO", "BEBM", 14, 20),
]


@pytest.mark.parametrize("row", SCARCE, ids=lambda r: f"{r.kernel}-{r.lie}-{r.free_pages}")
def test_the_few_pages_that_are_free_go_as_far_as_the_answer_lets_them(row):
    made = Alloc(row.kernel, 3, row.lie, {}, "", 0, "", 0, 0)
    result, states = outcome(made, free_pages=row.free_pages)
    assert status(result, "alloc") == row.status
    assert codes(result, "alloc") == row.flushes
    assert column(result.summary, "peak_held_pages") == row.held
    assert states[0].free_pages == row.left


def rounds_of_retry(nr_folios, free_pages):
    """
    How often memory runs out in the split pass, each folio in a PMD of its own.

    A round splits as many folios as there are free pages, and there is no page left for
    a new head: each of them gives back 7 old pages.  So it is 7 times as many next time.
    """
    rounds, left = 0, nr_folios
    while left > free_pages:
        left -= free_pages
        free_pages *= 7
        rounds += 1
    return rounds


@pytest.mark.parametrize(("nr_folios", "free_pages"), [(60, 1), (60, 3), (250, 1), (57, 8), (8, 1)])
def test_retry_needs_the_logarithm_to_base_7_of_rounds(nr_folios, free_pages):
    result = run(
        RETRY, pages=nr_folios, placement=f"pmds={nr_folios}", cpus=2, free_pages=free_pages
    )
    rounds = rounds_of_retry(nr_folios, free_pages)
    assert rounds == math.ceil(math.log(6 * nr_folios / free_pages + 1, 7) - 1e-9) - 1
    assert column(result.summary, "optimized_folios") == nr_folios
    assert codes(result, "alloc") == "BE" * rounds + "BM"


@pytest.mark.parametrize("kernel", ["v6.7", GO_ON])
@pytest.mark.parametrize("free_pages", [1, 3, 10])
def test_v6_7_flushes_once_for_each_pmd_that_the_split_pass_left(kernel, free_pages):
    nr_folios = 60
    result = run(
        kernel, pages=nr_folios, placement=f"pmds={nr_folios}", cpus=2, free_pages=free_pages
    )
    assert column(result.summary, "optimized_folios") == nr_folios
    assert codes(result, "alloc").count("S") == nr_folios - free_pages


@pytest.mark.parametrize("free_pages", [0, 1, 7, 59, 60])
def test_ignoring_optimises_as_many_folios_as_there_were_free_pages(free_pages):
    result = run(IGNORE, pages=60, placement="pmds=60", cpus=2, free_pages=free_pages)
    assert column(result.summary, "optimized_folios") == free_pages


@pytest.mark.parametrize("free_pages", [0, 1, 7, 59, 60])
def test_aborting_optimises_all_or_nothing_and_splits_in_vain(free_pages):
    result = run(ABORT, pages=60, placement="pmds=60", cpus=2, free_pages=free_pages)
    assert column(result.summary, "optimized_folios") == (60 if free_pages >= 60 else 0)
    assert column(result.summary, "pmd_splits") == free_pages


# --- whatever fails -----------------------------------------------------------------------


def flush_watched(kernel, unflushed_frees):
    """Return a kernel that notes each free of a page whose old mapping was not flushed."""

    class Watched(load_kernel(kernel)):
        stale = ()  # folios with PTEs changed since the last flush that covers them

        def set_ptes(k, addr, nr, category):
            super().set_ptes(addr, nr, category)
            if category == "remap" and nr:
                folio = k.cache.folio
                k.stale = (*(f for f in k.stale if f is not folio), folio)

        def flush_tlb_all(k, reason):
            before = k.recorder.counts["flush_tlb_all_calls"]
            super().flush_tlb_all(reason)
            if k.recorder.counts["flush_tlb_all_calls"] > before:
                k.stale = ()

        def flush_tlb_kernel_range(k, start, end, reason):
            super().flush_tlb_kernel_range(start, end, reason)
            # The range of one folio's vmemmap: that of the walk, which was the last to change.
            if end == TLB_FLUSH_ALL:
                k.stale = ()
            elif reason in ("remap", "enomem"):
                k.stale = k.stale[:-1]

        def free_vmemmap_page_list(k, vmemmap_pages):
            if vmemmap_pages.nr_old and k.stale:
                unflushed_frees.append(len(k.stale))
            super().free_vmemmap_page_list(vmemmap_pages)

        def free_pages(k, nr_pages, category="page_free"):
            assert k.nr_free_pages >= 0
            assert k.nr_held_pages >= 0
            super().free_pages(nr_pages, category)

    return Watched


EVERY = of_the_laptop(*kernels(), *proposals())
failures = st.fixed_dictionaries(
    {
        "pte_page": st.lists(st.integers(1, 12), max_size=6),
        "head_page": st.lists(st.integers(1, 12), max_size=6),
        "restore_page": st.lists(st.integers(1, 60), max_size=4),
    }
)


@given(
    kernel=st.sampled_from(EVERY),
    pages=st.integers(1, 12),
    spread=st.booleans(),
    gigantic=st.booleans(),
    free_pages=st.one_of(st.integers(0, 40), st.integers(4000, 9000)),
    faults=failures,
)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_no_page_is_made_or_lost_or_freed_before_its_flush(
    kernel, pages, spread, gigantic, free_pages, faults
):
    """Free = at the start - a PTE page per split PMD + V - 1 per optimised folio."""
    pages = min(pages, 3) if gigantic else pages
    unflushed: list[int] = []
    result, states = run_watched(
        flush_watched(kernel, unflushed),
        pages=pages,
        page_size="1G" if gigantic else "2M",
        placement=f"pmds={pages}" if spread and not gigantic else "aligned",
        cpus=1,
        phases=("alloc", "free", "alloc"),
        free_pages=free_pages,
        faults=faults,
    )
    assert unflushed == []
    # v5.14 keeps one page more.
    gain = (4095 if gigantic else 7) - (kernel == "v5.14")
    for state in states:
        optimized = state.optimized_in_pool
        taken = len(state.split_pmds) + state.shared_tail_pages
        assert state.free_pages == free_pages - taken + gain * optimized
        assert state.free_pages >= 0
        assert state.held_pages == 0
        # The key of the first posting counts splits too; some have none.
        assert state.key_enabled == optimized or not keeps_key(kernel)
    assert (result.summary["free_pages_min"] >= 0).all()


@given(
    kernel=st.sampled_from(EVERY),
    path=st.sampled_from(["boot", "surplus"]),
    allocators=st.integers(2, 4),
    pages=st.integers(4, 16),
    spread=st.booleans(),
    free_pages=st.integers(0, 30),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_tasks_that_share_the_free_pages_neither_make_nor_lose_any(
    kernel, path, allocators, pages, spread, free_pages, seed
):
    """What one task gives back, another may split with; the balance is that of one task."""
    result, states = run_watched(
        kernel,
        pages=pages,
        placement=f"pmds={pages}" if spread else "aligned",
        path=path,
        allocators=allocators,
        free_pages=free_pages,
        seed=seed,
    )
    optimized = column(result.summary, "optimized_folios")
    (state,) = states
    gain = 6 if kernel == "v5.14" else 7
    taken = len(state.split_pmds) + state.shared_tail_pages
    assert state.free_pages == free_pages - taken + gain * optimized
    assert state.free_pages >= 0
    assert column(result.summary, "free_pages_min") >= 0
    assert state.held_pages == 0
    # v1 took the static key for the split too, and never gave that back; some have none.
    assert state.key_enabled == optimized or not keeps_key(kernel)


def test_a_kernel_that_frees_before_it_flushes_is_caught():
    class Hasty(V6_7):
        name = "v6.7+hasty"
        base = "v6.7"
        subject = summary = "frees the pages, then flushes"
        commit = ""

        def flush_tlb_all(k, reason):
            if reason != "batch_remap":
                super().flush_tlb_all(reason)

    unflushed: list[int] = []
    run(flush_watched(Hasty, unflushed), pages=3, cpus=1)
    assert unflushed == [3]


@given(
    kernel=st.sampled_from(ANSWERS),
    pages=st.integers(1, 30),
    spread=st.booleans(),
    free_pages=st.integers(0, 40),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_no_answer_optimises_more_than_v6_7_where_only_memory_is_short(
    kernel, pages, spread, free_pages
):
    """A page that is free for one is free for all; with one page v6.7 optimises all."""
    fields = {
        "pages": pages,
        "placement": f"pmds={pages}" if spread else "aligned",
        "cpus": 1,
        "free_pages": free_pages,
    }
    merged, answer = (
        column(run(k, **fields).summary, "optimized_folios") for k in ("v6.7", kernel)
    )
    assert merged == (pages if free_pages else 0)
    assert answer <= merged
    if kernel in (GO_ON, RETRY):
        assert answer == merged


# --- what they are called -----------------------------------------------------------------


def test_answers_are_known_by_name_and_listed_apart_from_what_was_merged():
    assert set(ANSWERS) <= set(proposals())
    assert not set(kernels()) & set(proposals())
    for answer in ANSWERS:
        kernel = load_kernel(answer)
        assert kernel.name == answer
        assert issubclass(kernel, V6_7)
        assert "@" in kernel.proposed_in
        assert inspect.getmodule(kernel).__doc__
    with pytest.raises(InputError, match=r"did you mean 'v6\.7\+enomem-retry'"):
        load_kernel("v6.7+enomem-rety")


def test_a_result_of_an_answer_says_that_it_was_never_merged(tmp_path):
    noise = STILL | {"shootdowns_per_s": 100}
    scenario = Scenario(machine=LAPTOP, noise=noise, kernel=RETRY, pages=2, phases=("alloc",))
    result = simulate(scenario)
    (note,) = result.provenance["notes"]
    assert note.startswith("v6.7+enomem-retry was never merged; proposed in ")
    result.save(tmp_path / "saved")
    loaded = load_result(tmp_path / "saved")
    assert loaded.scenario.kernel_class is load_kernel(RETRY)
    assert loaded.scenario.noise_model == scenario.noise_model
    assert loaded.scenario.key == scenario.key
    assert flushes_of(loaded).equals(flushes_of(result))
