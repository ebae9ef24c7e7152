# SPDX-License-Identifier: MIT
"""``tlbsim compare REAL SIMULATED``: counts and times of a trace and a simulation in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simulator as sim
from simulator.analysis.distributions import histogram_distance
from simulator.analysis.histogram import Histogram
from simulator.analysis.trace_costs import ks_distance

DATA = Path(__file__).parents[1] / "data" / "ftrace"
REAL = DATA / "ftrace-6.1-8cpu-128-free.txt.gz"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "result"
    scenario = sim.Scenario(machine="laptop-8", kernel="v6.1", pages=128, engine="events")
    sim.simulate(scenario).save(folder)
    return folder


def test_counts_of_a_real_kernel_are_those_simulated(simulated, tlbsim):
    found = tlbsim("compare", REAL, simulated, "--json").json
    assert found["phases"] == ["free"]
    # The real kernel also pokes text in this phase; flushes are the same.
    for name in ("flushes", "flush_tlb_kernel_range_calls", "do_kernel_range_flush_exec_total"):
        real, model = found["counts"][name]
        assert real == model, name
    flush = found["times"]["flush"]
    assert [row["count"] for row in flush] == [128, 128]
    assert flush[0]["ks"] == 0
    assert flush[1]["ks"] == 1  # an emulator is slower than any laptop


def test_table_and_plot(simulated, tlbsim, tmp_path):
    done = tlbsim("compare", REAL, simulated, "--plot", tmp_path / "p.png")
    assert done.status == 0
    assert "KS distance to [1]" in done.out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "other").write_text("mine")
    done = tlbsim("compare", REAL, simulated, "--plot", tmp_path / "other")
    assert (done.status, done.out) == (2, "")
    assert (tmp_path / "other").read_text() == "mine"


def test_trace_alone_is_nothing_to_compare(tlbsim):
    done = tlbsim("compare", REAL)
    assert (done.status, done.out) == (2, "")
    assert "name a second" in done.err


@pytest.mark.parametrize(
    "options", [("--out", "x"), ("--format", "lkp"), ("--all",), ("--strict",)]
)
def test_what_is_not_done_with_a_trace_is_refused(tlbsim, options):
    done = tlbsim("compare", REAL, REAL, *options)
    assert (done.status, done.out) == (2, "")
    assert (
        done.err == f"tlbsim: {options[0][2:]}: of a comparison of results alone, without a trace\n"
    )


def test_distance_of_histograms_is_that_of_their_values():
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 50, 300), rng.integers(10, 60, 200)

    def histogram(values):
        return Histogram.of_buckets(values, values + 1, [1] * len(values))

    assert histogram_distance(histogram(one), histogram(other)) == pytest.approx(
        ks_distance(one.astype(float), other.astype(float))
    )
