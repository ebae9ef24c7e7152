# SPDX-License-Identifier: MIT
"""
The protocols of HVO
--------------------

Oracles: the verdicts of a prototype written apart from this one; what the manuals and the kernel's
comments say each flush and barrier is for.
"""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.ordering.invariants import INVARIANTS
from simulator.ordering.litmus import Cpu, Protocol
from simulator.ordering.litmus.explorer import explore
from simulator.ordering.litmus.models import ARM64, SC, TSO
from simulator.ordering.litmus.protocols import PROTOCOLS
from simulator.ordering.litmus.suite import judge, shipped

EVERYWHERE = ("sc", "tso", "arm64")
FREED = {"freed-while-held"}
# What is broken where; every other case is safe.
BROKEN = {
    "split-no-wmb": ({"pte-before-pmd"}, ("arm64",)),
    "head-remap-no-wmb": ({"contents-before-pte"}, ("arm64",)),
    "batch-no-first-flush": ({"size-and-frame"}, EVERYWHERE),
    "batch-no-final-flush": (FREED, EVERYWHERE),
    "batch-freed-before-flush": (FREED, EVERYWHERE),
    "batch-flush-too-early": (FREED, EVERYWHERE),
    "batch-csd-acked-early": (FREED, ("sc", "tso")),
    "batch-no-last-dsb": (FREED, ("arm64",)),
    "batch-dsb-elsewhere": (FREED, ("arm64",)),
    "enomem-retry-no-flush": (FREED, EVERYWHERE),
    "posted-v3": ({"size-and-frame"}, EVERYWHERE),
    "posted-v3-small-invlpg": (FREED | {"size-and-frame"}, ("sc", "tso")),
    "flag-after-remap": ({"flag-before-copy"}, EVERYWHERE),
    "split-race-not-rechecked": ({"lost-split"}, EVERYWHERE),
    "head-writer": ({"write-lost"}, EVERYWHERE),
    "bbm": ({"walk-faults"}, EVERYWHERE),
    "deferral-flush-first": ({"stale-use"}, EVERYWHERE),
}
PROTOCOL_TESTS = [test for test in shipped() if test.kind == "protocol"]


@pytest.mark.parametrize("test", PROTOCOL_TESTS, ids=lambda test: test.name)
def test_a_protocol_has_the_verdict_that_was_worked_out_before(test):
    broken, where = BROKEN.get(test.name, (set(), ()))
    for model in test.models:
        one = judge(test, model, limit=200_000)
        assert set(one.found.broken) == (broken if model in where else set()), model
        assert one.found.final_states > 0
        assert not one.differs


def test_every_case_of_the_table_is_there():
    assert set(BROKEN) <= {protocol.name for protocol in PROTOCOLS}
    assert {name for names, _ in BROKEN.values() for name in names} <= set(INVARIANTS)


def test_only_a_change_of_the_output_address_needs_bbm():
    needs = {
        test.name
        for test in PROTOCOL_TESTS
        if "arm64" in test.models and judge(test, "arm64").found.needs_bbm
    }
    assert "head-remap" in needs
    # A split maps the same frames, and break-before-make is what is asked for.
    assert not needs & {"split", "split-no-wmb", "bbm"}


def test_the_shortest_counterexample_of_a_missing_final_flush_frees_at_once():
    test = next(t for t in PROTOCOL_TESTS if t.name == "enomem-retry-no-flush")
    moves = judge(test, "sc").found.broken["freed-while-held"]
    assert [(m.cpu, m.text) for m in moves if m.is_step] == [
        (0, "read(head) -> 1"),
        (0, "write_page(new, ...)"),
        (0, "set_pte(pte_head, new)"),
        (0, "free_page(page0)"),
    ]
    # Both CPUs may still reach the page.
    assert [m.cpu for m in moves if not m.is_step] == [0, 1]


# -- functions as programs ----------------------------------------------------------------------


def protocol(*cpus, **rest):
    return Protocol("p", "", cpus, **rest)


def both(model, *cpus, **rest):
    return explore(protocol(*cpus, **rest).program(model), model)


def increments(k: Cpu) -> None:
    k.spin_lock("lock")
    k.WRITE_ONCE("n", k.READ_ONCE("n") + 1)
    k.spin_unlock("lock")


def increments_unlocked(k: Cpu) -> None:
    k.WRITE_ONCE("n", k.READ_ONCE("n") + 1)


@pytest.mark.parametrize("model", [SC, TSO, ARM64], ids=lambda m: m.name)
def test_a_lock_protects_a_counter_and_without_it_an_increment_is_lost(model):
    at_end = {"counted": lambda final: final["n"] == 2}
    assert both(model, increments, increments, at_end=at_end).verdict == "safe"
    assert both(model, increments_unlocked, increments_unlocked, at_end=at_end).broken


def takes(*locks):
    def run(k: Cpu) -> None:
        for lock in locks:
            k.spin_lock(lock)
        for lock in locks:
            k.spin_unlock(lock)

    return run


def test_locks_taken_in_two_orders_can_deadlock_and_in_one_cannot():
    assert set(both(SC, takes("a", "b"), takes("b", "a")).broken) == {"deadlock"}
    assert both(SC, takes("a", "b"), takes("a", "b")).verdict == "safe"


def waits_for_nobody(k: Cpu) -> None:
    k.smp_cond_load_acquire("flag", 1)


def test_a_protocol_in_which_no_execution_ends_is_stuck_not_safe():
    found = both(TSO, waits_for_nobody)
    assert (found.verdict, found.final_states) == ("stuck", 0)


def branches(k: Cpu) -> None:
    if k.READ_ONCE("x") == 1:
        k.WRITE_ONCE("a", 1)
    elif k.READ_ONCE("y") > 0:
        k.WRITE_ONCE("b", 1)
    else:
        k.WRITE_ONCE("c", 1)


@pytest.mark.parametrize("model", [SC, TSO, ARM64], ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("memory", "written"), [({"x": 1, "y": 1}, "a"), ({"y": 2}, "b"), ({}, "c")]
)
def test_a_branch_is_taken_as_the_value_says(model, memory, written):
    def only(final):
        return [name for name in "abc" if final[name]] == [written]

    found = both(model, branches, memory=memory, at_end={"only": only})
    assert (found.verdict, found.final_states) == ("safe", 1)


def spins(k: Cpu) -> None:
    while k.READ_ONCE("flag") == 0:
        pass


def computes(k: Cpu) -> None:
    n = 0
    while True:
        n += 1


def forks(k: Cpu) -> None:
    for i in range(10):
        if k.READ_ONCE(f"x{i}") == 0:
            k.WRITE_ONCE("y", i)


@pytest.mark.parametrize(
    ("cpu", "said"),
    [
        (spins, "60 operations on one path (limit), after 60 operations"),
        (computes, "1,000,000 lines of Python (limit), after 0 operations"),
        (forks, "500 paths (limit)"),
    ],
)
def test_a_thread_that_does_not_end_meets_a_limit_with_a_name(cpu, said):
    with pytest.raises(InputError) as error:
        protocol(cpu).program(SC)
    assert said in str(error.value)
    assert str(error.value).startswith(cpu.__name__)


def stores(k: Cpu) -> None:
    for i in range(8):
        k.WRITE_ONCE(f"{k.number}_{i}", 1)


def test_a_protocol_with_too_many_states_says_how_far_it_came():
    program = protocol(stores, stores, stores, stores).program(ARM64)
    with pytest.raises(
        InputError, match=r"p: more than 5,000 states under arm64 \(limit\), 0 of them"
    ):
        explore(program, ARM64, limit=5000)
