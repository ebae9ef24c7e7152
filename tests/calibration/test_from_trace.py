# SPDX-License-Identifier: MIT
"""
A machine fitted to a trace
---------------------------

Oracles: the distributions that a trace was written from; a part of a real trace
that the fit did not see, within the bounds that ``tests/data/ftrace/README.md``
had before there was a fit.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import simulator as sim
from simulator.analysis.trace_costs import flush_job, ks_distance, summand, trace_costs
from simulator.calibration.from_trace import fit_trace, profile_toml
from simulator.draws import stream
from simulator.machine import load_noise, lower
from simulator.trace import read_ftrace

DATA = Path(__file__).parents[1] / "data" / "ftrace"
KS_BOUND, MEDIAN_BOUND = 0.25, 0.15


# --- a real trace -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    trace = read_ftrace(DATA / "ftrace-6.1-8cpu-128-free.txt.gz")
    return fit_trace(trace, engine="events", flushes=400)


def test_flushes_held_out_are_within_the_bounds_set_before(real):
    assert (real.nr_fitted, len(real.held)) == (64, 64)
    assert real.ks <= KS_BOUND
    assert abs(real.median_error) <= MEDIAN_BOUND


def test_same_job_on_the_fitted_machine_has_the_flushes_held_out(real):
    scenario = sim.Scenario(machine=real.machine, kernel="v6.1", pages=128, engine="events")
    flushes = sim.simulate(scenario).flushes
    mine = flushes[(flushes["phase"] == "free") & (flushes["kind"] == "range")]
    assert len(mine) == len(real.job.flushes)
    assert (mine["pages"] == 7).all()
    elapsed = (mine["end_ns"] - mine["start_ns"]).to_numpy(dtype=float)
    assert ks_distance(elapsed, real.held.astype(float)) <= KS_BOUND
    assert abs(np.median(elapsed) / np.median(real.held) - 1) <= MEDIAN_BOUND


def test_what_the_trace_cannot_tell_is_said(real):
    notes = "; ".join(real.notes)
    for what in ("one CPU count", "enqueue: as on", "ack: as on", "whole us", "emulated clock"):
        assert what in notes
    assert real.costs.serial


def test_few_flushes_are_called_few():
    trace = read_ftrace(DATA / "trace-7.3-4cpu-alloc16-default.txt.gz")
    fit = fit_trace(trace, engine="events", flushes=10)
    assert "2 flushes are few: the tails are guesses" in fit.notes
    whole = fit_trace(trace, engine="events", flushes=10, fit_share=1)
    assert (whole.ks, whole.median_error) == (None, None)
    assert "no flush was left for a check" in whole.notes


@pytest.mark.parametrize("name", ["alloc8-clock-counter", "free4-raw", "alloc8-graph"])
def test_trace_without_times_is_refused_in_one_line(name):
    trace = read_ftrace(DATA / f"trace-7.3-4cpu-{name}.txt.gz")
    with pytest.raises(sim.InputError, match="no complete flush with times") as error:
        fit_trace(trace)
    assert "\n" not in str(error.value)


# --- traces written from known times ------------------------------------------------------------


def written(path, flushes, nr_targets, times):
    """Write a trace; `times` of a flush: (enqueue, [delivery], entry, run, exit, ack), in ns."""
    lines = []

    def line(cpu, ns, event):
        pid = 0 if cpu else 7
        lines.append((ns, f" task-{pid} [{cpu:03d}] d..1. {ns / 1e9:.9f}: {event}\n"))

    now = 10**9
    for flush in range(flushes):
        enqueue, delivery, entry, run, leave, ack = times(flush)
        line(0, now, "fkr: (flush_tlb_kernel_range+0x0/0x1) start=0x1000 end=0x8000")
        at = now + 50
        for cpu in range(1, nr_targets + 1):
            at += enqueue * (cpu > 1)
            line(
                0, at, f"csd_queue_cpu: cpu={cpu} callsite=f func=do_kernel_range_flush csd=a{cpu}"
            )
        done = []
        for cpu, delay in enumerate(delivery, start=1):
            ns = at + delay
            line(cpu, ns, "call_function_entry: vector=252")
            line(cpu, ns + entry, f"csd_function_entry: func=do_kernel_range_flush, csd=a{cpu}")
            done.append(ns + entry + run)
            line(cpu, done[-1], f"csd_function_exit: func=do_kernel_range_flush, csd=a{cpu}")
            line(cpu, done[-1] + leave, "call_function_exit: vector=252")
        last = nr_targets - done.index(max(done))
        end = max(done) + ack * last
        line(0, end, "fkrx: (f+0x1/0x2 <- flush_tlb_kernel_range)")
        now = end + 10_000
    path.write_text("".join(text for _, text in sorted(lines)))
    return read_ftrace(path)


def test_steps_are_those_a_trace_was_written_from(tmp_path):
    rng = np.random.default_rng(5)
    delays = rng.integers(1000, 3000, (200, 3))
    trace = written(
        tmp_path / "t", 200, 3, lambda i: (20, delays[i].tolist(), 100, 70 + i % 7, 40, 30)
    )
    job = flush_job(trace)
    assert (job.function, job.pages, job.targets, len(job.flushes)) == (
        "flush_tlb_kernel_range", 7, 3, 200,
    )  # fmt: skip
    costs = trace_costs(job.flushes, trace.ipis())
    assert not costs.serial
    assert sorted(costs.samples["deliver"]) == sorted(delays.ravel())
    assert set(costs.samples["enqueue"]) == {20}
    assert set(costs.samples["handler_exit"]) == {40}
    assert set(costs.samples["ack"]) == {30}
    assert costs.run_ns == 70
    assert set(costs.samples["handler_entry"]) == set(range(100, 107))


def test_simulated_flushes_are_those_of_a_machine_whose_interrupts_arrive_side_by_side(tmp_path):
    rng = np.random.default_rng(6)
    delays = rng.gamma(4, 500, (400, 3)).astype(int) + 500
    trace = written(tmp_path / "t", 400, 3, lambda i: (20, delays[i].tolist(), 100, 70, 40, 30))
    fit = fit_trace(trace, "laptop-8", engine="events", flushes=800)
    assert not fit.costs.serial
    assert fit.ks < 0.12  # 200 held out against 800: 1.36 * sqrt(1/200 + 1/800) = 0.108, and bias
    assert abs(fit.median_error) < 0.1


def test_interrupts_that_arrive_one_after_another_are_told_from_those_side_by_side(tmp_path):
    rng = np.random.default_rng(7)
    gaps = rng.integers(900, 1100, (100, 6))
    trace = written(
        tmp_path / "t", 100, 6, lambda i: (20, gaps[i].cumsum().tolist(), 100, 70, 40, 30)
    )
    costs = trace_costs(flush_job(trace).flushes, trace.ipis())
    assert costs.serial
    assert costs.samples["inject"].mean() == pytest.approx(1000, rel=0.02)


def test_independent_steps_add_up_to_totals_whose_own_steps_are_not():
    # All five steps of a flush are slow, or none is: a tenth of the flushes.
    rng = np.random.default_rng(8)
    slow = rng.random(500) < 0.1
    totals = np.where(slow, rng.uniform(500, 900, 500), rng.uniform(100, 120, 500))
    drawn = rng.choice(summand(totals, 5), (4000, 5)).sum(axis=1)
    assert ks_distance(drawn, totals) < 0.12
    assert np.median(drawn) == pytest.approx(np.median(totals), rel=0.05)
    # As wide as the steps are: the median of independent sums would be far off.
    alike = rng.choice((totals / 5), (4000, 5)).sum(axis=1)
    assert ks_distance(alike, totals) > 0.25


# --- as a profile -------------------------------------------------------------------------------


def test_profile_is_a_file_that_inherits_and_says_where_every_value_is_from(real, tmp_path):
    path = tmp_path / "fitted.toml"
    path.write_text(profile_toml(real.profile))
    machine = sim.load_machine(path)
    assert machine.costs == real.machine.costs
    assert machine.costs.inject.kind == "measured"
    assert "ftrace-6.1-8cpu-128-free.txt.gz: 64 flushes" in machine.costs.inject.source
    assert machine.costs.page_alloc == real.start.costs.page_alloc
    assert machine.nr_cpus == 8


def test_quantiles_by_distance_are_of_the_ratio_to_the_mean(tmp_path):
    text = 'inherits = "laptop-8"\n[costs.deliver]\nquantiles = [[0, 0.5], [1, 1.5]]\n'
    path = tmp_path / "m.toml"
    path.write_text(text)
    machine = sim.load_machine(path)
    flushes = 300
    lowered = lower(machine, 2, load_noise("quiet"), 1, 0)
    drawn = lowered.costs.deliver.draws(
        np.full(flushes, lowered.costs.deliver.mean_fp[0]), stream(1, 0, flushes)
    )
    assert 75 <= drawn.min() < 80
    assert 220 < drawn.max() <= 225
    assert drawn.mean() == pytest.approx(150, rel=0.05)
    path.write_text(text.replace("1.5", "2.5"))
    with pytest.raises(sim.InputError, match="mean of its quantiles"):
        sim.load_machine(path)
    path.write_text(text + 'spread = { family = "gamma", cv = 0.2 }\n')
    with pytest.raises(sim.InputError, match="not both"):
        sim.load_machine(path)


def test_points_of_a_table_increase(real):
    points = real.machine.costs.inject.quantiles
    assert all(p < q and v <= w for (p, v), (q, w) in itertools.pairwise(points))
