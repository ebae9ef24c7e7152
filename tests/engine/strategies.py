# SPDX-License-Identifier: MIT
"""Random small machines and programs, for Hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.engine.hand import HandIdle, HandMachine, HandSpells

small = st.integers(0, 12)
positive = st.integers(1, 40)  # what wakes or interrupts another CPU takes time


@st.composite
def intervals(draw):
    """Return half-open intervals that neither overlap nor touch."""
    found, at = [], 0
    for gap, length in draw(st.lists(st.tuples(st.integers(1, 200), positive), max_size=3)):
        found.append((at + gap, at + gap + length))
        at += gap + length
    return found


def spells_of(nr_cpus):
    cpus = st.integers(0, nr_cpus - 1)
    now_and_then = st.dictionaries(cpus, intervals(), max_size=nr_cpus)
    all_the_time = st.dictionaries(cpus, st.just([(0, 10**6)]), max_size=nr_cpus)
    return st.builds(HandSpells, now_and_then, now_and_then, now_and_then | all_the_time)


@st.composite
def machines(draw, with_spells=True):
    nr_cpus = draw(st.integers(2, 6))
    stated = ("flush_base", "send", "atomic", "irq_save")
    ns = {name: draw(small) for name in stated}
    ns |= {name: draw(positive) for name in ("cache_line", "poll_wake", "mutex_wakeup")}
    seed, spread = draw(st.integers(0, 2**31)), draw(st.sampled_from((1, 2, 30)))

    def drawn(name, initiator, flush):
        purpose = sum(map(ord, name))
        rng = np.random.default_rng((seed, purpose, initiator, flush))
        low = 1 if name in ("deliver", "handler_entry") else 0
        return rng.integers(low, low + spread, nr_cpus)

    idle = st.builds(HandIdle, small, st.booleans(), st.just(0))
    deep = st.builds(HandIdle, st.integers(0, 60), st.just(False), st.integers(1, 80))
    return HandMachine(
        nr_cpus,
        ns=ns,
        drawn=drawn,
        spells=draw(spells_of(nr_cpus)) if with_spells else HandSpells(),
        idle_states=(draw(idle), draw(deep)),
        writes=draw(st.sampled_from(("each", "pairs", "shorthand"))),
    )


work = st.tuples(st.just("work"), st.integers(0, 60))
flush = st.tuples(st.just("flush"), small, st.sampled_from((0, 0, 9)))
inner = st.lists(st.one_of(work, flush), max_size=2)
operations = st.one_of(
    work,
    flush,
    st.tuples(st.just("hugetlb"), st.integers(0, 60)),
    st.tuples(st.just("irqs_off"), st.integers(0, 60)),
    st.tuples(st.just("sleep"), st.integers(0, 60)),
    st.tuples(st.just("ptl"), inner),
    st.tuples(st.just("resize"), st.one_of(inner, st.tuples(st.tuples(st.just("ptl"), inner)))),
)


@st.composite
def cases(draw, with_spells=True):
    """Return a machine and programs by CPU."""
    machine = draw(machines(with_spells))
    cpus = draw(
        st.lists(
            st.integers(0, machine.nr_cpus - 1),
            min_size=1,
            max_size=min(4, machine.nr_cpus),
            unique=True,
        )
    )
    return machine, {cpu: draw(st.lists(operations, min_size=1, max_size=5)) for cpu in cpus}
