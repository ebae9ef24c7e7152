# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from simulator.machine import load_machine
from simulator.published import published_figures
from simulator.validation import check_benchmarks


@pytest.fixture(scope="module")
def checks():
    return check_benchmarks(ntimes=300, seed=1)


def test_every_figure_of_a_kernel_that_is_modelled_is_simulated_once(checks):
    wanted = [
        f
        for benchmark in ("ipi_benchmark", "madvise", "victim", "flush")
        for f in published_figures(benchmark)
        if "before" not in f.case
    ]
    assert sorted(map(str, (c.figure for c in checks))) == sorted(map(str, wanted))
    assert len(wanted) == 16 + 3 + 4 + 3 + 36


def test_what_was_fitted_is_met_as_the_profiles_say(checks):
    # The broadcasts of the guest, and what one flush adds and takes in the small VM: a cost
    # each. The flushes by size: a line, 14 % off at most.
    for c in checks:
        if c.figure.role == "fitted":
            near = 0.145 if c.figure.benchmark == "flush" else 0.01
            assert abs(c.error) < near, c.figure


def test_a_profile_that_was_fitted_to_a_figure_records_it(checks):
    fitted = {c.machine.name for c in checks if c.figure.role == "fitted"}
    for name in fitted:
        assert load_machine(name).calibration
    # Of the Haswell no cost is fitted.
    assert "core-i5-4590" not in fitted
    named = " ".join(f for fit in load_machine("xeon-skx-vm80").calibration for f in fit.figures)
    broadcasts = [c.figure for c in checks if c.figure.benchmark == "ipi_benchmark"]
    for figure in broadcasts:
        if figure.figure == "Broadcast IPI":
            assert (f"{figure.ns / 1000:.1f} us" in named) == (figure.role == "fitted")


def test_a_call_alone_is_given_and_no_check(checks):
    # What its flush adds for other CPUs is the least that a check can be about: 0 for none.
    alone = [c for c in checks if c.figure.benchmark == "madvise" and c.figure.figure == "1"]
    assert {c.figure.role for c in alone} == {"given"}
    assert {(c.simulated_ns, c.error) for c in alone} == {(None, None)}
    others = [c for c in checks if c not in alone]
    assert {c.figure.role for c in others} == {"fitted", "predicted"}
    assert all(c.error is not None for c in others)


def test_one_seed_one_answer_and_steps_for_the_impatient(checks):
    steps = []
    again = check_benchmarks(ntimes=300, seed=1, step=lambda: steps.append(1))
    assert [c.simulated_ns for c in again] == [c.simulated_ns for c in checks]
    # Three modes of the guest on two and on all CPUs; 3 and 2 CPU counts; one line of sizes.
    assert len(steps) == 3 * 2 + 3 + 2 + 1
