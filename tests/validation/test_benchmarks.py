# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from simulator.analysis import published_figures
from simulator.machine import load_machine
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
        if c.figure.fitted:
            near = 0.145 if c.figure.benchmark == "flush" else 0.01
            assert abs(c.error) < near, c.figure


def test_a_profile_that_was_fitted_to_a_figure_records_it(checks):
    fitted = {c.machine.name for c in checks if c.figure.fitted}
    # Of a Haswell alone on its CPU nothing is simulated: the whole call is taken as published.
    for name in fitted - {"core-i5-4590"}:
        assert load_machine(name).calibration
    named = " ".join(f for fit in load_machine("xeon-skx-vm80").calibration for f in fit.figures)
    broadcasts = [c.figure for c in checks if c.figure.benchmark == "ipi_benchmark"]
    for figure in broadcasts:
        if figure.figure == "Broadcast IPI":
            assert (f"{figure.ns / 1000:.1f} us" in named) == figure.fitted


def test_one_seed_one_answer_and_steps_for_the_impatient(checks):
    steps = []
    again = check_benchmarks(ntimes=300, seed=1, step=lambda: steps.append(1))
    assert [c.simulated_ns for c in again] == [c.simulated_ns for c in checks]
    # Three modes of the guest on two and on all CPUs; 3 and 2 CPU counts; one line of sizes.
    assert len(steps) == 3 * 2 + 3 + 2 + 1
