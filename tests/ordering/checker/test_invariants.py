# SPDX-License-Identifier: MIT

"""
What must hold, on a run
------------------------

Oracles: kernels that were merged break nothing; each kernel with a mistake breaks the one
invariant that its author says, as often as its batch or its folios say; the small protocols of
the same patches, explored over all interleavings, have the same verdicts.
"""

from __future__ import annotations

import inspect

import pytest

from simulator.kernel import kernels, load_kernel, mutants, proposals
from simulator.ordering.checker import Checks
from simulator.ordering.checker.translations import Splits, StaleRanges, masks_of
from simulator.ordering.invariants import INVARIANTS
from simulator.run import simulate
from simulator.scenario import Scenario
from tests.kernel.helpers import LAPTOP, STILL

WEAK = Checks(isa="riscv")

#: What it takes until a mistake shows.
# Tasks that split a PMD at the same time, in "race".
CASES = {
    "pool": {"pages": 6, "placement": "pmds=3"},
    # Splits fail in the first pass and in the second, when there is something to give back.
    "enomem": {"pages": 6, "placement": "pmds=3", "faults": {"pte_page": (2, 3)}},
    "race": {"pages": 6, "placement": "pmds=3", "path": "surplus", "allocators": 3},
    "boot": {"pages": 12, "placement": "pmds=2", "path": "boot", "allocators": 4},
    "1G boot": {"pages": 1, "phases": ("1G boot 2", "1G write 0")},
    "1G": {"pages": 2, "page_size": "1G", "faults": {"pte_page": (3,), "restore_page": (5000,)}},
}


def checked(kernel, case="pool", checks=WEAK, **fields):
    """Return the violations of a small run: invariant and how often, by invariant."""
    machine = load_kernel(kernel).example_machine or LAPTOP
    defaults = {"machine": machine, "noise": STILL, "cpus": 4, "phases": ("alloc", "free")}
    scenario = Scenario(**{**defaults, **CASES[case], "kernel": kernel, **fields})
    return simulate(scenario, None, checks)


def broken(result):
    frame = result.violations
    return dict(zip(frame["invariant"], frame["times"], strict=True))


# --- kernels that are right -----------------------------------------------------------------

RIGHT = [name for name in (*kernels(), *proposals()) if not name.endswith(("6@v3", "7@v3"))]
RELEASES = [name for name in RIGHT if "+" not in name]
EVERY = [(name, case) for name in RELEASES for case in CASES]
EVERY += [(name, "enomem") for name in RIGHT if name not in RELEASES]


@pytest.mark.parametrize(("kernel", "case"), EVERY)
def test_a_kernel_that_was_merged_or_proposed_breaks_nothing(kernel, case):
    result = checked(kernel, case, phases=("alloc", "free", "alloc"))
    assert broken(result) == {}
    assert result.summary["violations"].tolist() == [0, 0, 0]
    assert set(result.provenance["checked"]) <= set(INVARIANTS)


# --- kernels with a mistake -----------------------------------------------------------------

MISTAKES = {
    # A split of each PMD that is remapped.
    "v6.7-no-split-flush": ("pool", {"size-and-frame": 3}),
    # Every folio of the batch.
    "v6.7-no-final-flush": ("pool", {"freed-while-held": 6}),
    "v6.7-early-free": ("pool", {"freed-while-held": 6}),
    # Only those that are remapped when the memory runs out.
    "v6.7-no-enomem-flush": ("enomem", {"freed-while-held": 2}),
    "v6.7-no-restore-flush": ("pool", {"used-while-stale": 6}),
    "v6.7-late-flag": ("pool", {"flag-before-copy": 6}),
    "v6.7-no-recheck": ("race", {"lost-split": 1}),
    "v6.7-no-pmd-wmb": ("pool", {"pte-before-pmd": 3}),
    # The head page of every folio that is optimised, the pages of every one that is restored.
    "v6.7-no-pte-wmb": ("pool", {"contents-before-pte": 12}),
    "v6.15-early-tlbsync": ("pool", {"freed-while-held": 6}),
    "v6.15-other-tlbsync": ("pool", {"freed-while-held": 6}),
    "v6.12-arm64-other-dsb": ("pool", {"freed-while-held": 6}),
    # Every folio that is remapped, and every one that is restored.
    "v6.12-arm64-no-bbm": ("pool", {"needs-bbm": 12}),
}


@pytest.mark.parametrize("kernel", mutants())
def test_a_mistake_breaks_the_invariant_that_it_says_and_no_other(kernel):
    case, wanted = MISTAKES[kernel]
    # Break-before-make is a matter of arm64.
    result = checked(kernel, case, Checks(isa="arm64") if "needs-bbm" in wanted else WEAK)
    assert broken(result) == wanted
    assert list(wanted) == [load_kernel(kernel).breaks]
    assert result.summary["violations"].sum() == sum(wanted.values())


@pytest.mark.parametrize("kernel", ["v6.7-no-pmd-wmb", "v6.7-no-pte-wmb"])
def test_a_missing_barrier_is_nothing_to_x86(kernel):
    assert broken(checked(kernel, checks=Checks())) == {}


def test_the_inverted_flag_of_v3_breaks_size_and_frame_and_frees_nothing_too_early():
    # Its single folios split without a flush: one PMD each.
    result = checked("v6.6+6@v3", "race")
    assert broken(result) == {"size-and-frame": 3}


# --- what is recorded -----------------------------------------------------------------------


def test_a_violation_names_the_place_in_the_kernel():
    result = checked("v6.7-no-split-flush")
    row = result.violations.iloc[0]
    function = row["function"]
    lines = inspect.getsourcelines(getattr(load_kernel("v6.1"), function))
    assert "set_ptes" in lines[0][row["line"] - lines[1]]
    assert row["what"] == "PMD 2"  # the list is worked on from its end
    assert (row["phase"], row["task"]) == ("alloc", 0)
    assert row["missing"] == "a flush of the PMD between"


def test_a_hundred_violations_are_kept_and_all_are_counted():
    result = checked("v6.7-no-final-flush", pages=150, placement="aligned")
    assert len(result.violations) == 100
    assert result.summary["violations"].tolist() == [150, 0]
    assert set(result.violations["times"]) == {150}


@pytest.mark.parametrize(
    ("kernel", "case"),
    [("v6.7-no-recheck", "race"), ("v6.7-no-enomem-flush", "enomem"), ("v6.6+6@v3", "boot")],
)
def test_both_engines_find_the_same(kernel, case):
    fields = {"noise": "busy", "faults": {"pte_page": (2, 3)}}
    found = [checked(kernel, case, engine=engine, **fields) for engine in ("events", "compiled")]
    assert found[0].violations.equals(found[1].violations)


@pytest.mark.parametrize("engine", ["events", "compiled"])
@pytest.mark.parametrize("case", ["pool", "race", "boot"])
def test_checking_changes_no_number(case, engine):
    with_checks = checked("v6.7", case, engine=engine, noise="busy")
    without = checked("v6.7", case, None, engine=engine, noise="busy")
    for frame in ("summary", "folios", "flushes", "cpus", "time_by", "latency", "counts"):
        assert getattr(with_checks, frame).equals(getattr(without, frame)), frame
    assert without.provenance["checked"] == []


# --- what TLBs may still hold: against sets of single pages ------------------------------------


def test_masks_are_the_ptes_of_a_range():
    for start, end in ((0, 1), (3, 515), (511, 1025), (7, 7)):
        pages = {
            pmd * 512 + bit
            for pmd, mask in masks_of(start << 12, end << 12)
            for bit in range(512)
            if mask >> bit & 1
        }
        assert pages == set(range(start, end))


def test_a_store_is_forgotten_by_a_flush_that_began_after_it():
    stale = StaleRanges()
    stale.add(0, 0b11, epoch=1)
    stale.add(0, 0b100, epoch=2)
    stale.forget(0, 0b111, before=2)
    assert stale.stale(0, 0b111) == 0b100
    stale.forget(0, 0b1, before=3)
    assert stale.stale(0, -1) == 0b100
    stale.forget_all(before=3)
    assert stale.stale(0, -1) == 0


def test_any_address_of_a_pmd_flushes_its_former_translation_of_2_mb():
    splits = Splits()
    for pmd in (1, 2, 3):
        splits[pmd] = pmd  # its epoch
    splits.forget(1, 2, before=2)
    assert set(splits) == {2, 3}
    splits.forget_all(before=3)
    assert set(splits) == {3}
