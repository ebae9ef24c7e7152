# SPDX-License-Identifier: MIT
"""IPIs in full: replayed from checkpoints, and streamed to Parquet."""

from __future__ import annotations

import pandas as pd
import pytest

import simulator as sim
from simulator.errors import InputError
from tests.kernel.helpers import STILL, constant


@pytest.fixture(scope="module")
def pair():
    """One run of 2424 broadcasts on both engines."""
    s = sim.Scenario(machine="laptop-8", kernel="v6.6", pages=1200, cpus=4, noise="busy")
    return tuple(sim.simulate(s.replace(engine=engine)) for engine in ("events", "compiled"))


def test_replay_from_checkpoints_equals_the_events_engine(pair):
    events, compiled = pair
    last = len(events.flushes) - 1
    assert last > 2 * 1024
    # Around checkpoints, at the phases' first and last broadcasts, and in no order.
    wanted = [0, last, 1023, 1024, 1025, 2047, 2048, 5, 1230, 1231, 1232]
    assert compiled.ipis(wanted).equals(events.ipis(wanted))


@pytest.mark.parametrize(
    "path", ["boot", *(pytest.param(path, marks=pytest.mark.slow) for path in ("pool", "surplus"))]
)
def test_replay_of_several_tasks_from_any_checkpoint_equals_the_events_engine(path, monkeypatch):
    monkeypatch.setattr("simulator.engine.compiled.together.replay._EVERY", 1)
    s = sim.Scenario(
        machine="laptop-8", kernel="v6.6", pages=20, path=path, allocators=5, noise="idle",
        phases=("alloc", "free", "alloc"),
    )  # fmt: skip
    events, compiled = (sim.simulate(s.replace(engine=name)) for name in ("events", "compiled"))
    for flush in range(len(events.flushes)):
        assert compiled.ipis([flush]).equals(events.ipis([flush]))


def test_replay_of_the_worst_flushes_agrees_with_their_rows(pair):
    _, compiled = pair
    flushes = compiled.flushes
    worst = flushes.assign(ns=flushes.end_ns - flushes.start_ns).nlargest(5, "ns")
    ipis = compiled.ipis(worst.flush.tolist())
    assert (
        ipis.groupby("flush").ack_ns.max() == worst.set_index("flush").end_ns.sort_index()
    ).all()
    assert (ipis.groupby("flush").sent.sum() == worst.set_index("flush").ipis.sort_index()).all()


@pytest.mark.parametrize("path", ["pool", "boot"])
def test_parquet_holds_every_ipi_that_replay_shows(tmp_path, path):
    s = sim.Scenario(
        machine="laptop-8", kernel="v6.6", pages=12, cpus=4, path=path, allocators=2, seed=3
    )
    result = sim.simulate(s)
    result.write_ipis(tmp_path / "ipis.parquet")
    stored = pd.read_parquet(tmp_path / "ipis.parquet")
    shown = result.ipis(range(len(result.flushes)))
    assert len(stored) == result.flushes.targets.sum()
    for name in shown.columns:
        assert stored[name].tolist() == shown[name].tolist(), name


def test_an_unwritable_parquet_file_is_one_line_and_leaves_nothing(tmp_path):
    result = sim.simulate(sim.Scenario(machine="laptop-8", pages=1, cpus=2))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as error:
        result.write_ipis(tmp_path / "file" / "ipis.parquet")
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_parquet_file_that_is_a_folder_is_one_line_and_leaves_nothing(tmp_path):
    result = sim.simulate(sim.Scenario(machine="laptop-8", pages=1, cpus=2))
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"folder is a folder; name a file$"):
        result.write_ipis(tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("flushes", [5, None, ["a"], [1.5]])
def test_flushes_that_are_no_numbers_are_one_line(pair, flushes):
    with pytest.raises(InputError, match=r"^flushes: .* is not a list of numbers of flushes$"):
        pair[1].ipis(flushes)


@pytest.mark.parametrize("path", ["pool", "surplus"])
def test_replay_ends_with_its_phase_where_the_next_begins_in_the_same_nanosecond(path):
    """The oracle is the events engine, which runs the scenario once more."""
    s = sim.Scenario(
        machine=constant(), kernel="v6.6", pages=8, cpus=4, path=path, allocators=3, noise=STILL,
        phases=("alloc", "free"),
    )  # fmt: skip
    events, compiled = (sim.simulate(s.replace(engine=name)) for name in ("events", "compiled"))
    by_phase = compiled.flushes.groupby("phase", observed=True)
    assert by_phase["start_ns"].min()["free"] == by_phase["end_ns"].max()["alloc"]
    flushes = range(len(events.flushes))
    assert compiled.ipis(flushes).equals(events.ipis(flushes))
