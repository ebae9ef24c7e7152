# SPDX-License-Identifier: MIT
"""Uncertain costs: ranges, ties and rankings against what they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import simulator as sim
from simulator.errors import InputError
from simulator.experiment import sweep
from simulator.experiment.breakeven import break_even
from simulator.experiment.evidence import tornado
from simulator.experiment.refit import refitted, refitted_costs
from simulator.experiment.runner import Runner
from simulator.experiment.sweeps import Options
from simulator.experiment.uncertainty import factors_of, rank, sampled
from simulator.machine import load_machine
from simulator.machine.override import leaves

BASE = {"machine": "laptop-8", "pages": 4, "phases": ("alloc",)}


@pytest.fixture(scope="module")
def machine():
    return load_machine("epyc-7j13-vm252")


def columns(frame):
    return [name for name in frame.columns if not name.startswith("factor:")]


def test_draws_fill_the_ranges_and_have_the_profiles_value_as_their_median(machine):
    frame = sampled(machine, 400, seed=1)
    for factor in factors_of(machine):
        for name, (value, low, high) in factor.values.items():
            drawn = frame[name].to_numpy(dtype=float)
            assert drawn.min() >= low - 1
            assert drawn.max() <= high + 1
            if low < value < high:
                assert np.mean(drawn <= value * (1 + 1e-9)) == pytest.approx(0.5, abs=0.05)


def test_draws_are_a_latin_hypercube(machine):
    frame = sampled(machine, 50, seed=3)
    for name in frame.columns:
        if name.startswith("factor:"):
            # One draw in each of 50 strata, which independent draws never are.
            assert sorted(np.floor(frame[name] * 50).astype(int)) == list(range(50))


def test_every_uncertain_cost_is_drawn_but_vendors_figures_and_what_is_fitted_again(machine):
    wanted = {
        key
        for key in machine.keys()  # noqa: SIM118 - of a machine, not of a mapping
        if key.startswith("costs.")
    }
    drawn = set(columns(sampled(machine, 4, seed=1)))
    # The only vendor's figure among the costs is the barrier, which costs nothing on x86.
    fixed = {key for key in wanted if len(set(leaves(machine)[key].range)) == 1}
    again = {"costs.inject", "costs.huge_alloc_2m", "costs.huge_free_2m"}
    assert again == set(refitted_costs(machine))
    assert wanted - drawn - fixed == {"costs.smp_wmb"} - fixed | again


def test_what_one_fit_names_and_the_distances_of_a_cost_go_together():
    # Fitted to figures that are no times of nr_hugepages.
    frame = sampled(load_machine("epyc-zen4-vm2"), 30, seed=2)
    for one, other in (
        ("costs.handler_entry", "costs.handler_exit"),
        ("costs.ack.core", "costs.ack.socket"),
    ):
        assert stats.spearmanr(frame[one], frame[other]).statistic == pytest.approx(1.0)
    loose = stats.spearmanr(frame["costs.send"], frame["costs.invlpg"]).statistic
    assert abs(loose) < 0.9


def test_a_covariance_is_found_again_in_the_draws(machine):
    names = ("costs.huge_alloc_2m", "costs.huge_free_2m")
    sigma = np.array([[100.0**2, 0.8 * 100 * 150], [0.8 * 100 * 150, 150.0**2]])
    data = machine.model_dump()
    fit = next(f for f in data["calibration"] if f["parameters"] == names)
    fit["covariance"] = tuple(map(tuple, sigma.tolist()))
    fit["fitted"] = tuple(
        {"name": name, "unit": "ns", "start": 1.0, "value": 1.0, "standard_error": error}
        for name, error in zip(names, (100.0, 150.0), strict=True)
    )
    frame = sampled(type(machine).model_validate(data), 400, seed=5)
    drawn = frame[list(names)].to_numpy()
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(0.8, abs=0.08)
    assert drawn.std(axis=0) == pytest.approx([100, 150], rel=0.1)


def test_the_ranking_finds_what_the_answer_is_made_of(machine):
    frame = sampled(machine, 300, seed=1)
    answer = 2 * frame["factor:costs.send"] - frame["factor:costs.invlpg"]
    found = rank(frame, answer)
    assert found["factor"].tolist()[:2] == ["costs.send", "costs.invlpg"]
    assert (found["correlation"][:2] > 0).tolist() == [True, False]
    assert found["clear"].tolist()[0]
    assert found["share"].sum() == pytest.approx(1.0)
    # A constant answer hangs on nothing.
    assert not rank(frame, [1.0] * 300)["share"].any()


@pytest.fixture(scope="module")
def two_draws(machine):
    """The profile's own values, and twice the cost of an acknowledgement; fitted again."""
    ack = {
        f"costs.ack.{name}": of for name, of in (("core", 5.0), ("socket", 49.0), ("hop1", 98.0))
    }
    draws = [ack, {name: 2 * ns for name, ns in ack.items()}]
    with Runner() as runner:
        return draws, refitted(machine, draws, runner)


def test_with_the_profiles_own_costs_a_fit_finds_the_profiles_values(two_draws):
    found = two_draws[1].values[0]
    assert found["costs.inject"] == pytest.approx(938, rel=1e-3)
    assert found["costs.huge_alloc_2m"] == pytest.approx(1209, rel=1e-3)


def test_what_acknowledgements_take_more_injections_take_less_summed_over_targets(
    two_draws,
):
    # An initiator has one hyperthread beside it, 124 CPUs on its socket and 126 on the other.
    more = (5.0 + 124 * 49.0 + 126 * 98.0) / 251
    before, after = (values["costs.inject"] for values in two_draws[1].values)
    assert before - after == pytest.approx(more, rel=0.01)
    # Without flushes nothing is acknowledged.
    assert two_draws[1].values[1]["costs.huge_alloc_2m"] == pytest.approx(1209, rel=1e-3)


def test_what_was_measured_holds_in_a_draw_that_would_miss_it_otherwise(machine, two_draws):
    draws, found = two_draws
    assert max(found.missed) < 0.005
    # With other pages, noise and cache than the fit had.
    base = sim.Scenario(machine=machine, kernel="v6.6", pages=64, replication=3)
    nominal, without, again = (
        sim.simulate(base.replace(machine=machine.with_values(values))).summary["elapsed_ns"]
        for values in (draws[0], draws[1], draws[1] | found.values[1])
    )
    assert (without / nominal).min() > 1.03
    assert again.tolist() == pytest.approx(nominal.tolist(), rel=0.01)


@pytest.mark.parametrize("number", [1, 0, -3, 2.5, True, 10_001])
def test_numbers_of_draws_are_checked(machine, number):
    with pytest.raises(InputError, match="uncertainty: must be"):
        sampled(machine, number, seed=1)


def test_scenarios_that_are_compared_have_the_same_costs_in_each_draw_and_others_in_the_next():
    found = sweep(BASE, {"kernel": ["v6.6", "v6.7"]}, uncertainty=6)
    drawn = [[c.scenario.machine_model.costs.set_pte.value for c in of] for of in found.cells]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 6
    row = found.comparison.frame.query("scenario == 'v6.7' and metric == 'elapsed_s'").iloc[0]
    before, after = ([c.summary["elapsed_s"].iloc[0] for c in of] for of in found.cells)
    ratios = [a / b for a, b in zip(after, before, strict=True)]
    # Of six draws, a band of 95 % is all of them.
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx((min(ratios), max(ratios)))
    assert found.comparison.provenance["set"] == {}
    ends = tornado(found, Options(), most=2)
    assert len(ends) == 2
    nominal = sim.compare([sim.Scenario(**BASE, kernel=k) for k in ("v6.6", "v6.7")], 1)
    of = nominal.frame.query("scenario == 'v6.7' and metric == 'elapsed_s'").iloc[0]
    assert ends["ratio"].tolist() == pytest.approx([of["ratio"]] * 2)


def test_break_even_is_where_the_sign_changes():
    # v6.7 flushes everything twice where v6.6 flushes single pages for each folio: if that is
    # dear, it loses where folios are few.
    with Runner() as runner:
        (found,) = break_even(
            {**BASE, "kernel": "v6.6", "costs.flush_full": 10_000},
            {**BASE, "kernel": "v6.7", "costs.flush_full": 10_000},
            "pages", runner, 1, (1, 32),
        )  # fmt: skip
        ((low, high),) = found.places
        assert high == low + 1
        ratios = {}
        for pages in (int(low), int(high)):
            pair = [
                sim.Scenario(**{**BASE, "pages": pages, "kernel": k}).replace(
                    machine=load_machine("laptop-8").with_values({"costs.flush_full": 10_000})
                )
                for k in ("v6.6", "v6.7")
            ]
            times = [int(sim.simulate(s).summary["elapsed_ns"].iloc[0]) for s in pair]
            ratios[pages] = times[1] / times[0]
    assert (ratios[int(low)] < 1) != (ratios[int(high)] < 1)


@pytest.mark.parametrize(
    ("field", "of"),
    [
        ("static_key_sites", {"machine": "laptop-8", "kernel": "v6.7", "cpus": 2}),
        (
            "mechanisms.invlpgb.count_max",
            {"machine": "epyc-9755-2s", "kernel": "v6.15", "cpus": 2},
        ),
    ],
)
def test_what_counts_something_is_varied_in_whole_numbers(field, of):
    given = {**BASE, **of}
    with Runner() as runner:
        found = break_even(given, given, field, runner, 1, (1, 4))
    assert [step.value for step in found[0].steps] == [1, 2, 3, 4]


def test_a_value_that_the_other_kernel_cannot_have_comes_out_before_anything_is_simulated():
    def executed(*_):
        raise AssertionError("wrong input was simulated")

    pair = ({**BASE, "kernel": "v7.3"}, {**BASE, "kernel": "v6.12"})
    with Runner(progress=executed) as runner, pytest.raises(InputError, match="no tunable"):
        break_even(*pair, "tlbi_ipi", runner, 1, (0, 1))


@pytest.mark.parametrize(
    ("field", "bounds", "message"),
    [
        ("kernel", None, "'kernel' is none of cpus"),
        ("costs.injct", None, "did you mean 'costs.inject'"),
        ("cpus", (4, 4), "nothing between 4 and 4"),
        ("cpus", (2, math.inf), "cpus must be a whole number, not inf"),
        ("cpus", (1.5, 4), r"cpus must be a whole number, not 1\.5"),
        ("static_key_sites", (0, 1.5), r"static_key_sites must be a whole number, not 1\.5"),
        ("tlbi_ipi", (0, 1), "v6.6 has no tunable 'tlbi_ipi'"),
    ],
)
def test_break_even_of_what_is_no_number_is_refused(field, bounds, message):
    with Runner() as runner, pytest.raises(InputError, match=message):
        break_even(BASE, BASE, field, runner, 1, bounds)
