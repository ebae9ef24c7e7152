# SPDX-License-Identifier: MIT
"""The compiled engine against the events engine, over random programs on real machines."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.engine import EventsEngine
from simulator.engine.compiled import CompiledEngine
from simulator.machine import LoweredCost, LoweredCosts, load_machine, load_noise, lower
from tests.engine.hand import World
from tests.engine.strategies import operations, small
from tests.engine.test_invariants import everything
from tests.engine.tick_model import as_body

MACHINES = ("laptop-8", "epyc-7j13-vm252", "xeon-e7-8895-8s")
NOISES = ("quiet", "idle", "busy", "overcommitted")


@functools.cache
def platform(machine, noise, nr_cpus, seed):
    return lower(load_machine(machine), nr_cpus, load_noise(noise), seed, 0)


def scaled(part, factor):
    """Return operations whose times are long enough for the costs of a real machine."""
    if isinstance(part, int):
        return part * factor
    return part if isinstance(part, str) else tuple(scaled(inner, factor) for inner in part)


@st.composite
def real_cases(draw):
    nr_cpus = draw(st.one_of(st.integers(1, 8), st.just(40)))  # 40: several clusters
    machine = platform(
        draw(st.sampled_from(MACHINES if nr_cpus <= 8 else MACHINES[1:])),
        draw(st.sampled_from(NOISES)),
        nr_cpus,
        draw(st.integers(0, 9)),
    )
    return machine, [draw(programs_for(nr_cpus)) for _ in range(draw(st.integers(1, 2)))]


@st.composite
def programs_for(draw, nr_cpus):
    cpus = st.lists(st.integers(0, nr_cpus - 1), min_size=1, max_size=min(4, nr_cpus), unique=True)
    factor = draw(st.sampled_from((1, 30, 1000)))
    ops = st.lists(operations, min_size=1, max_size=5)
    return {cpu: scaled(draw(ops), factor) for cpu in draw(cpus)}


@st.composite
def tied_cases(draw):
    """Costs of a few nanoseconds without spread: much happens within one."""
    nr_cpus = draw(st.integers(2, 8))
    machine = platform(
        draw(st.sampled_from(MACHINES)), draw(st.sampled_from(NOISES)), nr_cpus, draw(small)
    )
    few_ns = draw(st.lists(st.integers(0, 8), min_size=1, max_size=3))
    costs = {}
    for name in LoweredCosts.model_fields:
        ns = draw(st.sampled_from(few_ns))
        costs[name] = LoweredCost(name, (ns << 10,) * 4, None, 1)
    machine = replace(machine, costs=LoweredCosts(**costs))
    ops = st.lists(operations, min_size=1, max_size=6)
    cpus = st.lists(st.integers(0, nr_cpus - 1), min_size=2, max_size=min(5, nr_cpus), unique=True)
    return machine, [{cpu: draw(ops) for cpu in draw(cpus)} for _ in range(draw(small) % 2 + 1)]


def run(engine, machine, phases):
    """Return all that every phase has left behind."""
    world, found, end_ns = World(machine, engine=engine), [], 0
    for programs in phases:
        world.run({cpu: as_body(ops) for cpu, ops in programs.items()}, end_ns)
        end_ns = world.recorder.phase.end_ns
        found.append(everything(world))
    return found


@settings(max_examples=200, deadline=None)
@given(real_cases())
def test_both_engines_agree_on_everything(case):
    assert run(CompiledEngine, *case) == run(EventsEngine, *case)


@settings(max_examples=300, deadline=None)
@given(tied_cases())
def test_both_engines_agree_where_much_happens_at_once(case):
    assert run(CompiledEngine, *case) == run(EventsEngine, *case)


@pytest.mark.parametrize("engine", [EventsEngine, CompiledEngine])
def test_a_lock_that_changes_hands_within_a_nanosecond_goes_by_keys(engine):
    """Oracle: by hand. CPU 2 gives it up at 1 ns, and all that happens then costs nothing."""
    machine = platform("laptop-8", "quiet", 3, 0)
    costs = {name: LoweredCost(name, (0,) * 4, None, 1) for name in LoweredCosts.model_fields}
    world = World(replace(machine, costs=LoweredCosts(**costs)), engine=engine)
    later = as_body([("work", 1), ("ptl", [])])
    world.run({0: later, 1: later, 2: as_body([("ptl", [("work", 1)])])})
    assert world.notes == [
        ("ptl", 2, 0), ("ptl", 0, 1), ("no ptl", 0, 1), ("ptl", 1, 1), ("no ptl", 1, 1),
        ("no ptl", 2, 1),
    ]  # fmt: skip
