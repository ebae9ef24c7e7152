# SPDX-License-Identifier: MIT
"""
The memory models
-----------------

Oracles: the verdicts of herd7 (its sc, x86tso-mixed and aarch64 models) for 495 litmus tests and
208 translation tests; interleaving and a store buffer as they are defined, for programs at random.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.ordering.litmus import models, table
from simulator.ordering.litmus.explorer import explore
from simulator.ordering.litmus.machine import Machine
from simulator.ordering.litmus.models import ARM64, SC, TSO
from simulator.ordering.litmus.program import Op, Program, Thread
from simulator.ordering.litmus.suite import judge, shipped
from simulator.ordering.litmus.tlb import Translation


@pytest.fixture(scope="module")
def tests():
    return shipped()


def differing(tests, kind):
    judged = [judge(test, m) for test in tests if test.kind == kind for m in test.models]
    assert all(one.found.final_states > 0 for one in judged)
    return len(judged), [(one.test.name, one.model, one.verdict) for one in judged if one.differs]


def test_all_litmus_tests_have_the_verdicts_of_herd7(tests):
    assert differing(tests, "litmus") == (495 * 3, [])


def test_all_translation_tests_have_the_verdicts_and_the_bbm_flag_of_herd7(tests):
    assert differing(tests, "translation") == (208, [])


# -- wrong models -------------------------------------------------------------------------------


def without(model, *rules):
    assert set(rules) <= set(model.rules)
    return replace(model, rules=tuple(rule for rule in model.rules if rule not in rules))


def and_also(model, *rules):
    return replace(model, rules=model.rules + rules)


def instead(model, rule, other):
    return and_also(without(model, rule), other)


def ctrl_on_loads(path, first, second):
    on = path[first].index
    return any(on in op.ctrl for op in path[first + 1 : second + 1])


def fence(name):
    return lambda path, first, second: any(op.fence == name for op in path[first + 1 : second])


def rmb_of_loads(path, first, second):
    return path[second].reads and models.rmb(path, first, second)


def ldapr_as_ldar(path, first, second):
    return path[first].order == "release" and path[second].order.startswith("acquire")


def loads_in_order(path, first, second):
    return path[first].reads and path[second].reads and path[first].loc == path[second].loc


def mb_of_store_and_load(path, first, second):
    return path[first].writes and path[second].reads and models.mb(path, first, second)


def waits(path, first, second):
    return path[first].writes and path[second].reads and path[first].loc == path[second].loc


def drains(path, first, second):
    return path[first].order == "release"


def two_stores(path, first, second):
    one, other = path[first], path[second]
    return one.kind == other.kind == "W" and one.loc != other.loc


def any_order_of_stores(path, first, second):
    return models.fifo(path, first, second) and not two_stores(path, first, second)


def undrained(path, first, second):
    passes = path[first].writes and path[second].reads and path[first].loc != path[second].loc
    return not passes or fence("mb")(path, first, second)


def never_coherent(path, first, second):
    return False


# Parsed once; a model is explored until some test tells it from the machine.
LITMUS = table.shipped()
WRONG = {
    "arm64: no forwarding": replace(ARM64, forwards=lambda store: None),
    "arm64: forwards too early": replace(ARM64, forwards=lambda store: ()),
    "arm64: ctrl orders loads": instead(ARM64, models.ctrl, ctrl_on_loads),
    "arm64: ctrl orders nothing": without(ARM64, models.ctrl),
    "arm64: wmb as mb": and_also(ARM64, fence("wmb")),
    "arm64: rmb orders loads only": instead(ARM64, models.rmb, rmb_of_loads),
    "arm64: no addr;po": without(ARM64, models.addr_po),
    "arm64: release, acquire unordered": without(ARM64, models.release_acquire),
    "arm64: LDAPR as LDAR": instead(ARM64, models.release_acquire, ldapr_as_ldar),
    "arm64: xchg unordered": without(ARM64, models.xchg),
    "arm64: loads of a location not coherent": replace(ARM64, coherent=never_coherent),
    "arm64: loads of a location in order": and_also(ARM64, loads_in_order),
    "arm64: data ignored": without(ARM64, models.data),
    "arm64: mb orders store and load only": instead(ARM64, models.mb, mb_of_store_and_load),
    "tso: no forwarding": replace(TSO, forwards=lambda store: None),
    "tso: waits": and_also(TSO, waits),
    "tso: xchg does not drain": replace(TSO, rules=(undrained,)),
    "tso: wmb drains": and_also(TSO, fence("wmb")),
    "tso: release drains": and_also(TSO, drains),
    "tso: not FIFO": instead(TSO, models.fifo, any_order_of_stores),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_model_is_caught_by_some_litmus_test(wrong):
    model = WRONG[wrong]
    assert any(explore(test.program, model).verdict != test.expected[model.name] for test in LITMUS)


# -- programs at random -------------------------------------------------------------------------

LOCATIONS = ("x", "y")


def operation(kind, loc, value):
    return {"kind": kind, "loc": loc, "value": value}


OPERATIONS = st.one_of(
    st.builds(operation, st.just("R"), st.sampled_from(LOCATIONS), st.none()),
    st.builds(operation, st.sampled_from("WX"), st.sampled_from(LOCATIONS), st.integers(1, 3)),
    st.just({"kind": "F", "fence": "mb"}),
)
PROGRAMS = st.lists(st.lists(OPERATIONS, min_size=1, max_size=3), min_size=1, max_size=3)


def program(threads, everywhere=None):
    built = []
    for listed in threads:
        items = [i for op in listed for i in ((op, everywhere) if everywhere else (op,))]
        ops = []
        for item in items:
            n = len(ops)
            reg = f"r{n}" if item["kind"] in "RX" else ""
            ops.append(Op(n, n - 1 if n else None, text="", reg=reg, **item))
        built.append(Thread.straight(tuple(ops)))
    return Program("random", tuple(built), dict.fromkeys(LOCATIONS, 0))


def finals(program, model):
    """What memory and registers can hold in the end; registers by their order in the thread."""
    machine = Machine(program, model)
    reached, todo, found = {machine.first()}, [machine.first()], set()
    while todo:
        state = todo.pop()
        if machine.done(state):
            final = machine.final(state)
            loads = [
                [final[f"{n}:{op.reg}"] for op in thread.ops if op.reg]
                for n, thread in enumerate(program.threads)
            ]
            memory = tuple(final[loc] for loc in LOCATIONS)
            found.add((memory, tuple(map(tuple, loads))))
        for _, _, after in machine.steps(state):
            if after not in reached:
                reached.add(after)
                todo.append(after)
    return found


def by_definition(threads, buffered):
    """Run every interleaving; with a FIFO store buffer of each thread if `buffered`."""
    nothing = ((),) * len(threads)
    found, todo = set(), [((0, 0), nothing, nothing, (0,) * len(threads))]
    seen = set(todo)
    while todo:
        memory, buffers, loads, at = todo.pop()
        if all(at[n] == len(t) for n, t in enumerate(threads)) and not any(buffers):
            found.add((memory, loads))
        for n, thread in enumerate(threads):
            after = [drained(memory, buffers, loads, at, n)] if buffers[n] else []
            if at[n] < len(thread):
                after.append(executed(memory, buffers, loads, at, n, thread[at[n]], buffered))
            for state in after:
                if state is not None and state not in seen:
                    seen.add(state)
                    todo.append(state)
    return found


def put(values, n, value):
    return (*values[:n], value, *values[n + 1 :])


def drained(memory, buffers, loads, at, n):
    (slot, value), *rest = buffers[n]
    return put(memory, slot, value), put(buffers, n, tuple(rest)), loads, at


def executed(memory, buffers, loads, at, n, op, buffered):
    at = put(at, n, at[n] + 1)
    if op["kind"] in "FX" and buffers[n]:
        return None
    if op["kind"] == "F":
        return memory, buffers, loads, at
    slot = LOCATIONS.index(op["loc"])
    if op["kind"] in "RX":
        own = [value for where, value in buffers[n] if where == slot]
        loads = put(loads, n, (*loads[n], own[-1] if own else memory[slot]))
    if op["kind"] == "W" and buffered:
        buffers = put(buffers, n, (*buffers[n], (slot, op["value"])))
    elif op["kind"] in "WX":
        memory = put(memory, slot, op["value"])
    return memory, buffers, loads, at


@settings(max_examples=40, deadline=None)
@given(PROGRAMS)
def test_sc_is_every_interleaving(threads):
    assert finals(program(threads), SC) == by_definition(threads, buffered=False)


@settings(max_examples=40, deadline=None)
@given(PROGRAMS)
def test_tso_is_a_fifo_store_buffer_with_forwarding(threads):
    assert finals(program(threads), TSO) == by_definition(threads, buffered=True)


@settings(max_examples=40, deadline=None)
@given(PROGRAMS)
def test_with_a_full_fence_after_every_operation_arm64_is_sc(threads):
    fenced = program(threads, {"kind": "F", "fence": "mb"})
    assert finals(fenced, ARM64) == by_definition(threads, buffered=False)


@settings(max_examples=40, deadline=None)
@given(PROGRAMS)
def test_arm64_allows_all_that_tso_allows_without_acquire_and_release(threads):
    assert finals(program(threads), TSO) <= finals(program(threads), ARM64)


# -- what a TLB may hold ------------------------------------------------------------------------

VMEMMAP = Translation(
    pmd="pmd",
    leaves={"leaf": {"a": "f0", "b": "f1"}},
    tables={"pt": {"a": "pte_a", "b": "pte_b"}},
)
SMALL = {("4K", "a", "f0"), ("4K", "b", "f1"), ("table", "", "pt")}
LARGE = {("2M", "", "leaf")}


@pytest.mark.parametrize(
    ("scope", "how", "left"),
    [
        # Intel SDM vol. 3A: INVLPG drops the entry of the page, of either size, and all
        # paging-structure caches; entries of other addresses stay.
        ({"a"}, "", {("4K", "b", "f1")}),
        (set(), "", set()),
        ({"a"}, "4K entries only", LARGE | {("4K", "b", "f1"), ("table", "", "pt")}),
    ],
)
def test_an_invalidation_drops_what_the_manual_says(scope, how, left):
    held = frozenset(SMALL | LARGE)
    assert VMEMMAP.invalidate(held, frozenset(scope), how) == left


def test_a_walker_that_holds_a_table_still_enters_its_ptes_after_the_pmd_has_changed():
    memory = {"pmd": "leaf", "pte_a": "f0", "pte_b": 0}
    assert VMEMMAP.walk(memory.get) == LARGE
    assert VMEMMAP.walk(memory.get, {("table", "", "pt")}) == LARGE | {
        ("4K", "a", "f0"),
        ("table", "", "pt"),
    }


def test_entries_that_differ_in_size_alone_or_in_frame_alone_are_no_conflict():
    large, same, other = ("2M", "", "leaf"), ("4K", "a", "f0"), ("4K", "a", "f2")
    for held in itertools.combinations((large, same, other), 2):
        assert bool(VMEMMAP.size_and_frame(held)) == (held == (large, other))
