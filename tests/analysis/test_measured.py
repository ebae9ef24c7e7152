# SPDX-License-Identifier: MIT
"""The published times, against the cover letter and the calibration of the profiles."""

from __future__ import annotations

import pytest

from simulator.analysis import Totals, measured_for, was_fitted
from simulator.machine import load_machine
from simulator.published.times import read_timings
from simulator.run import simulate
from simulator.scenario import Scenario

# The last table of the cover letter in seconds, by hand: HVO on, before and after the series.
SERIES = {
    ("epyc-7j13-vm252", "alloc"): ("147.609", "4.799"),
    ("epyc-7j13-vm252", "free"): ("149.924", "5.273"),
    ("xeon-e7-8895-8s", "alloc"): ("28.973", "7.267"),
    ("xeon-e7-8895-8s", "free"): ("36.748", "13.199"),
}


@pytest.mark.parametrize(("machine", "phase"), SERIES)
def test_times_with_hvo_are_those_of_the_cover_letter(machine, phase):
    times = {
        t.kernel: t for t in read_timings() if (t.machine, t.phase) == (machine, phase) and t.hvo
    }
    before, after = SERIES[machine, phase]
    assert times["v6.6"].elapsed_ns == int(before.replace(".", "")) * 10**6
    assert times["v6.6+8"].elapsed_ns == int(after.replace(".", "")) * 10**6


def test_there_is_one_time_for_each_machine_kernel_setting_and_phase():
    times = read_timings()
    assert len({(t.machine, t.kernel, t.hvo, t.phase) for t in times}) == len(times) == 2**4


@pytest.mark.parametrize("machine", ["epyc-7j13-vm252", "xeon-e7-8895-8s"])
def test_fitted_are_exactly_the_times_that_the_calibration_names(machine):
    model = load_machine(machine)
    named = [(t.cell, t.elapsed_ns) for fit in model.calibration for t in fit.times]
    fitted = [t for t in read_timings() if was_fitted(model, t)]
    assert {(t.cell, t.elapsed_ns) for t in fitted} == set(named)
    # The unmodified kernel, and no time of the patched one.
    assert {t.kernel for t in fitted} == {"v6.6"}
    assert len(named) == len(fitted) == 4


WHOLE = {"machine": "epyc-7j13-vm252", "kernel": "v6.6", "pages": 524288, "hvo": True}


class Ran:
    """As much of a result as it takes to find its published times."""

    def __init__(self, **fields):
        self.scenario = Scenario(**WHOLE | fields)


@pytest.mark.parametrize("same", [{}, {"cpus": 252}, {"seed": 2}, {"phases": ("alloc",)}])
def test_published_times_are_found_by_phase(same):
    found = measured_for(Ran(**same), read_timings())
    assert {phase: t.elapsed_ns for phase, t in found.items()} == {
        "alloc": 147_609_000_000,
        "free": 149_924_000_000,
    }


@pytest.mark.parametrize(
    "other",
    [
        {"machine": "xeon-e7-8895-8s"},
        {"kernel": "v6.7"},
        {"kernel": "v6.6+7"},
        {"pages": 524287},
        {"cpus": 251},
        {"path": "boot"},
        {"allocators": 2},
    ],
    ids=str,
)
def test_what_was_not_measured_has_no_published_time(other):
    assert measured_for(Ran(**other), read_timings()) == {}


def test_a_gigantic_page_is_no_huge_page():
    times = [t for t in read_timings() if t.pages == 500000]
    assert measured_for(Ran(machine="xeon-e7-8895-8s", pages=500000), times)
    assert not measured_for(Ran(page_size="1G", pages=500), times)


def test_totals_are_the_small_frames_of_a_result():
    result = simulate(Scenario(machine="laptop-8", pages=4))
    totals = Totals.of(result)
    assert totals.scenario is result.scenario
    for name in ("summary", "counts", "cpus", "time_by", "throughput", "latency"):
        assert getattr(totals, name) is getattr(result, name)
    assert not hasattr(totals, "folios")
    assert not hasattr(totals, "flushes")
