# SPDX-License-Identifier: MIT
"""What --fit means: members, ranges and conditions, against the profiles."""

from __future__ import annotations

import pytest

from simulator.calibration import default_steps, parse_steps
from simulator.errors import InputError
from simulator.machine import load_machine
from simulator.published.times import of_machine, read_timings

LAPTOP = load_machine("laptop-8")
GUEST = load_machine("epyc-7j13-vm252")


def group(text, machine=LAPTOP):
    ((only,),) = (step.groups for step in parse_steps([text], machine))
    return only


def test_one_cost_is_a_value_in_nanoseconds_within_its_range():
    inject = group("inject", GUEST)
    p = inject.parameter()
    assert inject.unit == "ns"
    assert (p.start, p.low, p.high) == pytest.approx((938, 500, 1100))
    assert inject.values_ns(700) == {"costs.inject": 700}


def test_several_costs_are_one_factor_as_far_as_all_stay_in_their_ranges():
    both = group("enqueue+ack")
    assert both.unit == "factor"
    assert set(both.members) == {
        f"costs.{cost}.{distance}" for cost in ("enqueue", "ack") for distance in ("core", "socket")
    }
    p = both.parameter()
    # 4 ns in [2, 20] and 24 ns in [10, 100]: the first bounds from below, the second from above.
    assert (p.start, p.low, p.high) == pytest.approx((1, 2 / 4, 100 / 24))
    assert both.values_ns(2)["costs.ack.socket"] == pytest.approx(48)


@pytest.mark.parametrize("text", ["enqueue", "enqueue.*", "costs.enqueue"])
def test_a_cost_by_distance_is_a_group_by_itself(text):
    assert list(group(text).members) == ["costs.enqueue.core", "costs.enqueue.socket"]


def test_one_distance_is_a_single_cost():
    assert group("enqueue.socket").unit == "ns"


def test_conditions_choose_cells():
    timings = of_machine(read_timings(), "epyc-7j13-vm252")
    (step,) = parse_steps(["inject@on+alloc"], GUEST)
    taken = [(t.hvo, t.phase) for t in timings if step.takes(t)]
    assert taken == [(True, "alloc"), (True, "alloc")]
    assert step.text == "inject@on+alloc"


@pytest.mark.parametrize(
    ("machine", "per_target"),
    [("epyc-7j13-vm252", "inject"), ("xeon-e7-8895-8s", "enqueue+ack")],
)
def test_by_default_what_the_published_profiles_record_is_fitted(machine, per_target):
    model = load_machine(machine)
    timings = of_machine(read_timings(), machine)
    base, target = default_steps(model, timings)
    assert base.text == "huge_alloc_2m,huge_free_2m@off"
    assert target.text == f"{per_target}@on"
    recorded = {name for fit in model.calibration for name in fit.parameters}
    assert recorded == {name for step in (base, target) for g in step.groups for name in g.costs}


WRONG = [
    (["injekt"], "fit: laptop-8 has no cost 'injekt' (did you mean 'inject'?)"),
    (["topology.cpus"], "fit: laptop-8 has no cost 'topology.cpus'"),
    (["send@of"], "fit: send@of: 'of' is not one of off, on, alloc, free, 2M, 1G"),
    (["send.core"], "fit: send.core: send does not depend on distance"),
    (["ack.hop1"], "fit: ack.hop1: ack has only core, socket"),
    (["ack,ack.core"], "fit: costs.ack.core is there twice"),
    (["ack@on", "ack@off"], "fit: costs.ack.core is there twice"),
    (["ack+ack.core"], "fit: ack+ack.core: costs.ack.core is there twice"),
    ([""], "fit: laptop-8 has no cost ''"),
]


@pytest.mark.parametrize(("texts", "message"), WRONG, ids=str)
def test_a_wrong_key_is_one_line(texts, message):
    with pytest.raises(InputError) as error:
        parse_steps(texts, LAPTOP)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("text", ["inject", "smp_wmb", "inject+smp_wmb"])
def test_what_cannot_vary_cannot_be_fitted(text):
    with pytest.raises(InputError, match="no range to vary in"):
        group(text).parameter()
