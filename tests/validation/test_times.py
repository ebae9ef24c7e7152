# SPDX-License-Identifier: MIT
"""
Times held against real machines
--------------------------------

Oracles: the published times and which of them the profiles were fitted to; times
that grow by the page, of which an extrapolation must find the rest.
"""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

import simulator as sim
from simulator.errors import InputError
from simulator.experiment import simulate_totals
from simulator.machine import load_machine
from simulator.published.times import read_timings
from simulator.report.validate_text import times_text
from simulator.validation import plan_times

HEADER = "machine,kernel,hvo,phase,n_pages,page_kb,real_s\n"
PHASES = ("alloc", "free")
PUBLISHED = read_timings()


def timings(tmp_path, *rows):
    path = tmp_path / "times.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return read_timings(path)


def linear(scenario):
    """A result in which a phase takes 1 s, and 1 us for each page, a replication 1 s longer."""
    elapsed_ns = 10**9 * (1 + scenario.replication) + 1000 * scenario.pages
    rows = pd.DataFrame({"phase": scenario.phase_labels, "elapsed_ns": elapsed_ns})
    nothing = {"flushes": 0, "other_broadcasts": 0, "synchronize_rcu_calls": 0}
    return SimpleNamespace(
        scenario=scenario,
        summary=rows.assign(**nothing),
        counts=rows[["phase"]].assign(**nothing),
        time_by=pd.DataFrame(columns=["phase", "category", "ns"]),
    )


@pytest.mark.parametrize("quick", [False, True])
def test_every_published_time_has_its_simulated_one(quick):
    plan = plan_times(PUBLISHED, replications=2, quick=quick)
    # Two machines, two kernels, HVO off and on; alloc and free are phases of one scenario.
    assert len(plan.scenarios) == 2 * 2**3 * (2 if quick else 1)
    checks = plan.checks(map(linear, plan.scenarios))
    assert [c.timing for c in checks] == list(PUBLISHED)
    for check in checks:
        assert check.simulated_ns.n == 2
        assert check.simulated_ns.mean == pytest.approx(1.5e9 + 1000 * check.timing.pages)
        assert (check.simulated_pages < check.timing.pages) is quick
        assert check.error == pytest.approx(check.simulated_ns.mean / check.timing.elapsed_ns - 1)


def test_fitted_are_the_times_of_the_unmodified_kernel_alone():
    plan = plan_times(PUBLISHED, replications=1)
    for check in plan.checks(map(linear, plan.scenarios)):
        assert check.fitted is (check.timing.release == "next-20230824")


def test_another_time_of_a_fitted_cell_is_no_prediction(tmp_path):
    row = "epyc-7j13-vm252,next-20230824,on,alloc,524288,2048,{}"
    rows = (row.format(seconds) for seconds in ("147.609", "147.6090", "147.61", "140"))
    plan = plan_times(timings(tmp_path, *rows), replications=1)
    checks = plan.checks(map(linear, plan.scenarios))
    assert [check.fitted for check in checks] == [True, True, False, False]
    assert [check.predicted for check in checks] == [False] * 4
    assert {check.fitted_to_ns for check in checks} == {(147_609_000_000,)}
    assert len(plan.scenarios) == 1
    text = times_text(checks, source="mine", seed=1, provenance={})
    assert [line.split("%")[1].strip() for line in text.splitlines() if "  alloc" in line] == [
        "fitted", "fitted", "cell fitted", "cell fitted",
    ]  # fmt: skip
    assert "another time of the same cell, 147.609 s" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 72


@pytest.mark.parametrize(
    "row",
    [
        "xeon-e7-8895-8s,next-20230824,on,alloc,524288,2048,147.609",
        "epyc-7j13-vm252,v5.14,on,alloc,524288,2048,147.609",
        "epyc-7j13-vm252,next-20230824+batching,on,alloc,524288,2048,147.609",
        "epyc-7j13-vm252,v6.6,off,alloc,524288,2048,147.609",
        "epyc-7j13-vm252,v6.6,on,free,524288,2048,147.609",
        "epyc-7j13-vm252,v6.6,on,alloc2,524288,2048,147.609",
        "epyc-7j13-vm252,v6.6,on,alloc,64,2048,147.609",
        "epyc-7j13-vm252,v6.6,on,alloc,64,1048576,147.609",
    ],
)
def test_the_seconds_of_a_fitted_cell_are_in_no_other_cell_a_fit(tmp_path, row):
    plan = plan_times(timings(tmp_path, row), replications=1)
    (check,) = plan.checks(map(linear, plan.scenarios))
    assert not check.fitted
    # The free was fitted too, to its own time.
    assert check.predicted is (",on,free," not in row and ",off," not in row)


def test_the_simulated_time_is_that_of_the_scenario(tmp_path):
    rows = ("laptop-8,6.1,on,free2,64,2048,1", "laptop-8,v6.7,off,alloc,64,2048,1")
    plan = plan_times(timings(tmp_path, *rows), replications=3, seed=5)
    checks = plan.checks(simulate_totals(plan.scenarios))
    same = {"machine": "laptop-8", "pages": 64, "seed": 5, "replication": 1}
    twice = sim.simulate(
        sim.Scenario(kernel="v6.1", phases=("alloc", "free") * 2, **same)
    ).summary.set_index("phase")
    once = sim.simulate(sim.Scenario(kernel="v6.7", hvo=False, **same)).summary.set_index("phase")
    for check, elapsed_ns in zip(
        checks, (twice.loc["free2", "elapsed_ns"], once.loc["alloc", "elapsed_ns"]), strict=True
    ):
        assert check.simulated_ns.low < elapsed_ns < check.simulated_ns.high
        assert not check.fitted


def test_what_was_finished_before_an_interrupt_is_compared():
    plan = plan_times(PUBLISHED, replications=3, quick=True)
    for number, whole in ((1, 0), (2, 2), (16, 16), (17, 16)):
        checks = plan.checks(map(linear, plan.scenarios[:number]))
        assert len(checks) == whole
    assert {c.simulated_ns.n for c in plan.checks(map(linear, plan.scenarios[:18]))} == {1, 2}


def test_another_machine_takes_the_place_of_the_named_one(tmp_path):
    machine = load_machine("laptop-8")
    plan = plan_times(timings(tmp_path, "mine,6.6,on,alloc,64,2048,1"), machine, replications=1)
    assert [s.machine for s in plan.scenarios] == [machine]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("laptop8,6.6,on,alloc,64,2048,1", "line 2: unknown machine 'laptop8' (did you"),
        ("laptop-8,6.8,on,alloc,64,2048,1", "line 2: kernel: there is no 'v6.8' (did you mean"),
        ("laptop-8,next-2023082,on,alloc,64,2048,1", "(did you mean 'next-20230824'?)"),
        ("laptop-8,6.6,on,alloc,640000,2048,1", "line 2: pages: 640000 pages of 2M do not fit"),
    ],
)
def test_what_cannot_be_simulated_is_named_with_its_line(tmp_path, row, message):
    rows = timings(tmp_path, row)
    with pytest.raises(InputError) as error:
        plan_times(rows)
    assert str(error.value).startswith(f"times: {tmp_path / 'times.csv'}, line 2: ")
    assert message in str(error.value)


def test_quick_is_near_a_whole_simulation(tmp_path):
    # Of 8000 pages the shorter run has 64 and the longer 4160.
    rows = [f"laptop-8,6.7,{hvo},{phase},8000,2048,1" for hvo in ("on", "off") for phase in PHASES]
    found = []
    for quick in (False, True):
        plan = plan_times(timings(tmp_path, *rows), replications=2, quick=quick)
        found.append([c.simulated_ns.mean for c in plan.checks(simulate_totals(plan.scenarios))])
    assert found[1] == pytest.approx(found[0], rel=0.02)
