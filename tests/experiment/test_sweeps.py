# SPDX-License-Identifier: MIT
"""Sweeps: baselines, failures, precision, executors."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

import simulator as sim
from simulator.errors import InputError
from simulator.experiment import sweep
from simulator.experiment.precision import Wanted
from simulator.experiment.store import Store
from tests.experiment.conftest import AXES, BASE, NEVER_BOOTS


def test_each_point_is_compared_as_if_there_were_no_others(swept):
    for cpus in AXES["cpus"]:
        alone = sim.compare(
            [sim.Scenario(**BASE, cpus=cpus, kernel=kernel) for kernel in AXES["kernel"]],
            replications=2,
        ).frame
        among = swept.frame[(swept.frame["cpus"] == str(cpus)) & (swept.frame["kernel"] == "v6.7")]
        alone = alone[alone["scenario"] == "v6.7"]
        for name in ("mean", "ratio", "diff_low", "p_value"):
            assert among[name].tolist() == pytest.approx(alone[name].tolist(), nan_ok=True)


def test_the_model_is_stated_for_each_machine():
    axes = {"machine": ["laptop-8", "epyc-zen4-vm2"], "kernel": ["v6.6", "v6.7"]}
    models = sweep(BASE, axes, replications=1).comparison.models
    assert set(models) == {"laptop-8", "epyc-zen4-vm2"}
    assert models["epyc-zen4-vm2"]["fitted"]
    assert not models["laptop-8"]["fitted"]


def test_a_failed_cell_is_a_row_with_its_error_and_a_command_and_the_others_go_on(own_kernel):
    own_kernel.write_text(
        own_kernel.read_text()
        + "    def __init__(k, engine, platform, *a):\n"
        + "        if platform.nr_cpus == 4:\n"
        + "            raise RuntimeError('not on four')\n"
        + "        super().__init__(engine, platform, *a)\n"
    )
    found = sweep(BASE, {"cpus": [2, 4], "kernel": ["v6.6", str(own_kernel)]}, replications=2)
    assert found.failed["replication"].tolist() == [0, 1]
    row = found.failed.iloc[1]
    assert row["error"] == "own.py, line 11, in __init__(): RuntimeError: not on four"
    assert row["command"] == (
        f"tlbsim run --machine laptop-8 --pages 2 --phases alloc --cpus 4 --kernel {own_kernel}"
        " --replication 1"
    )
    frame = found.frame
    assert frame[frame["error"] != ""]["point"].tolist() == [3]
    assert set(frame[frame["error"] == ""]["point"]) == {0, 1, 2}


def test_a_point_whose_baseline_failed_says_so(own_kernel):
    own_kernel.write_text(own_kernel.read_text() + NEVER_BOOTS)
    found = sweep(BASE, {"kernel": [str(own_kernel), "v6.7"]}, replications=1)
    raised = "own.py, line 11, in __init__(): OSError"
    assert found.failed["error"].tolist() == [raised, "its baseline failed"]
    assert found.comparison is None


def test_compare_says_which_simulation_failed(own_kernel):
    own_kernel.write_text(own_kernel.read_text() + NEVER_BOOTS)
    s = sim.Scenario(**BASE)
    with pytest.raises(InputError, match="OSError; repeat it with: tlbsim run"):
        sim.compare([s, s.replace(kernel=str(own_kernel))], replications=1)


def test_precision_adds_replications_until_the_interval_is_narrow_enough():
    axes = {"kernel": ["v6.6", "v6.7"]}
    found = sweep(BASE | {"noise": "busy"}, axes, precision=0.1, max_replications=40)
    n = len(found.cells[0])
    rows = found.comparison.frame
    rows = rows[rows["metric"] == "elapsed_s"]
    half = (rows["ci_high"] - rows["ci_low"]) / 2
    assert n == 40 or (half <= 0.1 * rows["mean"]).all()
    assert n >= 5
    capped = sweep(BASE | {"noise": "busy"}, axes, precision=0.0001, max_replications=6)
    assert {len(of) for of in capped.cells} == {6}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": 2}, "precision: must be above 0"),
        ({"precision": "2%"}, "precision: must be above 0 and below 1, such as 0.02, not '2%'"),
        ({"precision": math.nan}, "precision: must be above 0"),
        ({"metrics": ("elapsed",)}, "did you mean 'elapsed_s'"),
        ({"replications": 0}, "replications: must be 1"),
        ({"precision": 0.1, "cap": 0}, "max replications: must be 1"),
    ],
)
def test_wanted_precision_is_checked(options, message):
    with pytest.raises(InputError, match=message):
        Wanted(**options)


def test_any_executor_gives_the_same_frame_and_gets_it_back_running(swept, tmp_path):
    with ThreadPoolExecutor(2) as executor:
        found = sweep(BASE, AXES, replications=2, executor=executor, store=tmp_path / "s")
        assert executor.submit(int, 1).result() == 1
    assert found.frame.equals(swept.frame)


def test_processes_give_the_same_frame(swept):
    found = sweep(BASE, AXES, replications=2, jobs=2)
    assert found.frame.equals(swept.frame)


class Losing(ThreadPoolExecutor):
    """An executor that loses the worker of one scenario, whenever it is sent."""

    def __init__(self, key):
        super().__init__(1)
        self.key, self.sizes = key, []

    def submit(self, function, parcels, code, **options):
        self.sizes.append(len(parcels))
        if any((p.fields["cpus"], p.fields["kernel"]) == self.key for p in parcels):
            return super().submit(self._lose)
        return super().submit(function, parcels, code, **options)

    def _lose(self):
        raise ConnectionError("gone")


def test_what_kills_its_worker_fails_alone():
    with Losing((4, "v6.7")) as executor:
        found = sweep(BASE, AXES, replications=3, executor=executor)
    assert found.failed["point"].unique().tolist() == [3]
    assert found.failed["error"].unique().tolist() == ["ConnectionError: the worker was lost"]
    # Once somebody knows how long they take, small scenarios go together.
    assert max(executor.sizes) > 1


@pytest.mark.slow
def test_what_kills_its_process_fails_alone_and_is_tried_again(own_kernel, tmp_path):
    text = own_kernel.read_text()
    own_kernel.write_text(
        "import os\n" + text + "    def __init__(k, engine, platform, *a):\n"
        "        if platform.nr_cpus == 4:\n            os.kill(os.getpid(), 9)\n"
        "        super().__init__(engine, platform, *a)\n"
    )
    axes = {"cpus": [2, 4, 8], "kernel": ["v6.6", str(own_kernel)]}
    found = sweep(BASE, axes, replications=1, jobs=2, store=tmp_path / "s")
    assert found.failed["point"].tolist() == [3]
    assert "the worker was lost" in found.failed["error"][0]
    assert found.failed["command"][0].startswith("tlbsim run --machine laptop-8")
    assert set(found.comparison.frame["n"]) == {1}
    kept = {cell.error: cell.lost for cell in Store(tmp_path / "s").cells()}
    assert kept == {"": False, found.failed["error"][0]: True}
