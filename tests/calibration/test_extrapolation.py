# SPDX-License-Identifier: MIT
"""
Many pages from few
-------------------

Oracles: a phase made of a constant and so much a page; full runs, whose draws of
the flushes that are made once are those of a shorter one.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.calibration.extrapolation import PhaseTime, extrapolated_ns, phase_times
from simulator.machine import load_machine
from simulator.run import simulate
from simulator.scenario import Scenario

NS = st.integers(0, 10**9)
GUEST = load_machine("epyc-7j13-vm252")


@given(page_ns=NS, constant_ns=NS, stalls_ns=st.tuples(NS, NS), pages=st.integers(4160, 10**6))
def test_a_stall_of_what_happens_once_is_added_once(page_ns, constant_ns, stalls_ns, pages):
    def run(n, stall_ns):
        whole_ns = constant_ns + n * page_ns + stall_ns
        return PhaseTime(n, whole_ns, {"other_broadcasts": (15, stall_ns)})

    short, long = (run(n, ns) for n, ns in zip((64, 4160), stalls_ns, strict=True))
    full = run(pages, stalls_ns[1])
    assert extrapolated_ns(short, long, pages) == pytest.approx(full.elapsed_ns, rel=1e-12)


@given(each_ns=NS, pages=st.integers(4160, 10**6))
def test_flushes_of_every_page_are_no_constant(each_ns, pages):
    short, long = (PhaseTime(n, n * each_ns, {"flushes": (n, n * each_ns)}) for n in (64, 4160))
    assert extrapolated_ns(short, long, pages) == pytest.approx(pages * each_ns, rel=1e-12)


def run(kernel, pages, phase):
    return phase_times(simulate(Scenario(machine=GUEST, kernel=kernel, pages=pages)))[phase]


@pytest.mark.parametrize(
    ("kernel", "phase", "constant"),
    [
        # One flush for each batch of the series; counted on 6.12, with a grace period.
        ("v6.6+8", "alloc", {"flushes": 2, "other_broadcasts": 12, "synchronize_rcu_calls": 0}),
        ("v6.6+8", "free", {"flushes": 1, "other_broadcasts": 12, "synchronize_rcu_calls": 0}),
        ("v6.12", "alloc", {"flushes": 2, "other_broadcasts": 9, "synchronize_rcu_calls": 1}),
        ("v6.6", "free", {"flushes": None, "other_broadcasts": 12, "synchronize_rcu_calls": 0}),
    ],
)
def test_broadcasts_of_a_batch_and_grace_periods_are_as_many_however_many_pages(
    kernel, phase, constant
):
    few, many = (run(kernel, pages, phase) for pages in (64, 192))
    for name, nr in constant.items():
        if nr is None:  # one for each folio
            assert (few.counted[name][0], many.counted[name][0]) == (64, 192)
        else:
            assert (few.counted[name][0], many.counted[name][0]) == (nr, nr)
            assert (few.counted[name][1] > 0) == (nr > 0)
