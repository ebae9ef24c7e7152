# SPDX-License-Identifier: MIT
"""Cells hold what the result holds, and the same bytes whoever made them."""

from __future__ import annotations

import pickle

import pandas as pd
import pytest

from simulator.experiment.cell import FRAMES, DamagedError, decode, encode, simulate_cell
from simulator.experiment.code import code_key
from simulator.experiment.travel import pack, self_contained, simulate_parcels
from simulator.run import simulate
from simulator.scenario import Scenario


@pytest.fixture(scope="module")
def scenario():
    return Scenario(machine="laptop-8", kernel="v6.7", pages=2, cpus=1)


def test_frames_are_those_of_the_result_also_after_a_round_trip(scenario):
    # With one CPU, what the others lost has no value.
    result, cell = simulate(scenario), decode(encode(simulate_cell(scenario)))
    for name in FRAMES:
        if name != "slowest":
            pd.testing.assert_frame_equal(getattr(cell, name), getattr(result, name))
    assert cell.scenario.key == scenario.key


def test_the_slowest_flush_is_that_of_the_frames_and_says_what_it_met():
    scenario = Scenario(machine="laptop-8", kernel="v6.6", pages=2, noise="idle")
    result, cell = simulate(scenario), simulate_cell(scenario)
    flushes = result.flushes.assign(took=result.flushes["end_ns"] - result.flushes["start_ns"])
    exits = {s.name: int(s.exit_latency.exact_ns) for s in scenario.machine_model.idle_states}
    for row in cell.slowest.to_dict("records"):
        of_phase = flushes[flushes["phase"] == row["phase"]]
        assert row["took_ns"] == of_phase["took"].max()
        ipis = result.ipis([row["flush"]]).set_index("cpu")
        assert ipis.loc[row["slowest_cpu"], "state"] == row["state"]
        if row["state"] == "idle":
            assert row["late_ns"] == exits[row["idle_state"]]


def test_bytes_are_the_same_from_either_engine_and_after_travelling(scenario, own_kernel):
    for of in (scenario, scenario.replace(kernel=str(own_kernel))):
        here = encode(simulate_cell(of))
        assert encode(simulate_cell(of.replace(engine="events"))) == here
        assert encode(simulate_cell(self_contained(of))) == here
        parcel = pickle.loads(pickle.dumps(pack(of)))
        (there,), _ = simulate_parcels([parcel], code_key())
        assert there == here


def test_a_kernel_travels_by_content_and_not_by_path(scenario, own_kernel):
    of = scenario.replace(kernel=str(own_kernel))
    parcel, key = pack(of), of.key
    own_kernel.unlink()
    (data,), _ = simulate_parcels([parcel], code_key())
    cell = decode(data)
    assert (cell.error, cell.provenance["key"]) == ("", key)


def test_an_error_is_in_the_cell_with_its_line_and_the_same_everywhere(scenario, own_kernel):
    own_kernel.write_text(
        own_kernel.read_text()
        + "    def __init__(k, *a):\n        raise RuntimeError('no\\nway')\n"
    )
    cell = simulate_cell(scenario.replace(kernel=str(own_kernel)))
    assert cell.error == "own.py, line 10, in __init__(): RuntimeError: no"
    assert decode(encode(cell)).error == cell.error


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d[:-5] + b"x" + d[-4:], lambda d: b""]
)
def test_damage_is_noticed(scenario, damage):
    data = encode(simulate_cell(scenario))
    with pytest.raises(DamagedError):
        decode(damage(data))
