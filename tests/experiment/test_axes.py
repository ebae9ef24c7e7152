# SPDX-License-Identifier: MIT
"""Axes, products, zipped axes and baselines against what a reader would write down."""

from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.experiment.axes import plan, with_values
from simulator.experiment.command import run_command
from simulator.scenario import Scenario
from tests.experiment.conftest import BASE


def test_points_are_the_product_and_each_has_the_baseline_at_its_own_point():
    found = plan(BASE, {"kernel": ["v6.6", "v6.6+6", "v6.7"], "cpus": [2, 8]})
    said = [(p.scenario.kernel, p.scenario.cpus, p.baseline) for p in found.points]
    assert said == [
        ("v6.6", 2, 0), ("v6.6", 8, 1),
        ("v6.6+6", 2, 0), ("v6.6+6", 8, 1),
        ("v6.7", 2, 0), ("v6.7", 8, 1),
    ]  # fmt: skip
    assert found.groups() == [(0, 2, 4), (1, 3, 5)]


@pytest.mark.parametrize(
    ("axes", "baseline", "compared"),
    [
        ({"cpus": [2, 8], "hvo": [True, False], "kernel": ["v6.6", "v6.7"]}, None, ("kernel",)),
        ({"cpus": [2, 8], "hvo": [True, False]}, None, ("hvo",)),
        ({"cpus": [2, 8], "pages": [2, 4]}, None, ("cpus",)),
        ({"cpus": [2, 8], "kernel": ["v6.6", "v6.7"]}, {"cpus": 8}, ("cpus",)),
        ({"kernel": ["v6.6"], "cpus": [2, 8]}, None, ("cpus",)),
    ],
)
def test_what_is_compared_is_the_kernel_or_what_was_named(axes, baseline, compared):
    found = plan(BASE, axes, baseline)
    assert found.compared == compared
    if baseline:
        assert [p.scenario.cpus for p in found.points if p is found.points[p.baseline]] == [8, 8]


def test_zipped_names_go_together():
    axes = {("machine", "pages"): [("laptop-8", 4), ("epyc-zen4-vm2", 8)], "hvo": [True, False]}
    found = plan(BASE, axes)
    assert [(p.scenario.machine, p.scenario.pages) for p in found.points] == [
        ("laptop-8", 4), ("laptop-8", 4), ("epyc-zen4-vm2", 8), ("epyc-zen4-vm2", 8),
    ]  # fmt: skip


def test_axes_reach_machine_noise_and_tunables():
    axes = {
        "costs.invlpg": [90, "0.2 us"], "noise.idle_share": [0.1, 0.3], "static_key_sites": [0, 9],
    }  # fmt: skip
    last = plan(BASE, axes).points[-1].scenario
    assert last.machine_model.costs.invlpg.exact_ns == 200
    assert last.noise_model.idle_share == 0.3
    assert last.tunable_values["static_key_sites"] == 9


@pytest.mark.parametrize(
    ("axes", "baseline", "message"),
    [
        ({"cpus": []}, None, "cpus: has no values"),
        ({"cpus": [2, 2]}, None, "cpus: 2 is there twice"),
        ({"cpus": [2, 9]}, None, r"9 is more than the 8 CPUs of laptop-8 \(at cpus=9\)"),
        ({"costs.invlgp": [1, 2]}, None, "did you mean 'costs.invlpg'"),
        ({"kernl": ["v6.6", "v6.7"]}, None, "did you mean 'kernel'"),
        ({("cpus", "pages"): [(1, 2), (3,)]}, None, "1 values for 2 names"),
        ({"cpus": [2, 4], ("cpus", "pages"): [(1, 2)]}, None, "cpus: is an axis twice"),
        ({"cpus": [2, 4]}, {"cpu": 2}, "did you mean 'cpus'"),
        ({"kernel": ["v6.6", "v6.7"]}, {"kernel": "v6.5"}, "is none of the values"),
        ({"seed": range(20_000)}, None, "seed: 20000 values"),
        ({"seed": range(200), "cpus": range(1, 100)}, None, "19800 points"),
    ],
)
def test_axes_that_make_no_sense_are_refused_in_one_line(axes, baseline, message):
    with pytest.raises(InputError, match=message) as error:
        plan(BASE, axes, baseline)
    assert "\n" not in str(error.value)


def test_the_command_of_a_point_describes_the_very_same_scenario():
    from simulator.cli.parser import Parser
    from simulator.cli.run import configure
    from simulator.cli.scenario_options import scenario_of

    given = {
        "machine": "laptop-8", "kernel": "v6.7", "pages": 4, "hvo": False, "cpus": 6,
        "phases": ("alloc", "free", "alloc"), "faults": {"pte_page": (1, 3)},
        "noise": {"preset": "busy", "idle_share": 0.5}, "tunables": {"static_key_sites": 3},
        "costs.invlpg": "0.2 us", "noise.irqs_off_share": 0.01,
    }  # fmt: skip
    words = run_command(given, 4)
    parser = Parser(prog="tlbsim")
    configure(parser)
    import shlex

    found = scenario_of(parser.parse(shlex.split(words)[2:]))
    want = with_values(given, {}).replace(replication=4)
    assert found.key == want.key
    assert isinstance(found, Scenario)
