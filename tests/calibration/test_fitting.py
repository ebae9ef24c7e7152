# SPDX-License-Identifier: MIT
"""
Fitting a simulated machine to its own times
--------------------------------------------

The oracle is a machine with known costs: full simulations of it are the
timings, and a fit that starts from other costs has to find them again.
"""

from __future__ import annotations

import csv
import dataclasses

import pytest

from simulator.calibration import (
    Cells,
    calibrate,
    default_steps,
    extrapolation,
    inherits_from,
    parse_steps,
    profile_text,
)
from simulator.calibration import cells as cells_module
from simulator.calibration.fitting import fitted_timings, is_unmodified
from simulator.errors import InputError
from simulator.kernel import kernels
from simulator.machine import load_machine
from simulator.published.times import COLUMNS, of_machine, read_timings
from simulator.report.machine_text import describe
from simulator.run import simulate
from simulator.scenario import Scenario

START = load_machine("epyc-7j13-vm252")
TRUTH = {"costs.huge_alloc_2m": 900.0, "costs.huge_free_2m": 1500.0, "costs.inject": 780.0}
PAGES = 6144  # their heads are fewer than the cache holds, by far
REPEATS = 3


def rows(machine, kernel, hvo):
    # Each repetition meets other draws than the fit, as on a real machine.
    for nth in range(REPEATS):
        result = simulate(
            Scenario(machine=machine, kernel=kernel, hvo=hvo, pages=PAGES, seed=7, replication=nth)
        )
        for phase, ns in zip(result.summary["phase"], result.summary["elapsed_ns"], strict=True):
            yield ("box", kernel, "on" if hvo else "off", phase, PAGES, 2048, f"{ns / 1e9:.9f}", "")


@pytest.fixture(scope="module", autouse=True)
def _short_runs():
    patch = pytest.MonkeyPatch()
    patch.setattr(extrapolation, "_FOLIOS", {"2M": 1024, "1G": 64})
    patch.setattr(cells_module, "_MOST_REPLICATIONS", 2)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def timings(tmp_path_factory):
    truth = START.with_values(TRUTH)
    file = tmp_path_factory.mktemp("times") / "box.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for kernel, hvo in (("v6.6", False), ("v6.6", True), ("v6.7", True)):
            writer.writerows(rows(truth, kernel, hvo))
    return read_timings(file)


@pytest.fixture(scope="module")
def found(timings):
    return calibrate(START, timings, default_steps(START, timings))


def test_known_costs_are_found_within_their_intervals(found):
    base, target = (step.fit.estimated for step in found.steps)
    for e, truth in zip((*base, *target), TRUTH.values(), strict=True):
        assert e.identified
        assert e.low <= truth <= e.high
        assert e.low < e.value < e.high
        # Intervals of timings that repeat within a few per mille, not just anything.
        assert e.high - e.low < 0.1 * truth


def test_only_the_unmodified_kernel_is_fitted_and_the_patched_one_predicted(found):
    assert {cell.timing.kernel for cell in found.cells if cell.fitted} == {"v6.6"}
    predicted = [cell for cell in found.cells if not cell.fitted]
    assert {cell.timing.kernel for cell in predicted} == {"v6.7"}
    # The truth is in the model, so what was never fitted is met too.
    assert max(abs(cell.error) for cell in predicted) < 0.02


def test_degrees_of_freedom_are_timings_less_parameters(found):
    assert [step.fit.degrees_of_freedom for step in found.steps] == [
        2 * REPEATS - 2,
        2 * REPEATS - 1,
    ]
    for step in found.steps:
        assert step.fit.rank == len(step.fit.estimated)


@pytest.mark.slow
def test_costs_that_only_add_up_cannot_be_told_apart(timings):
    steps = parse_steps(["huge_alloc_2m,pool_add,synchronize_rcu@off+alloc"], START)
    ((step),) = calibrate(START, timings, steps).steps
    alloc, add, rcu = step.fit.estimated
    assert rcu.invisible
    assert rcu.value == rcu.parameter.start
    # The range of pool_add moves a time by a few percent, huge_alloc_2m by much more.
    assert step.fit.rank == 1
    assert (alloc.confounded, add.confounded) == (("pool_add",), ("huge_alloc_2m",))
    assert alloc.standard_error is None


def test_what_the_range_does_not_allow_ends_at_its_bound(timings):
    slow = [dataclasses.replace(t, elapsed_ns=3 * t.elapsed_ns) for t in timings if not t.hvo]
    (step,) = calibrate(START, slow, default_steps(START, slow)).steps
    for e in step.fit.estimated:
        assert (e.value, e.bound) == (e.parameter.high, "high")
        assert e.note(step.fit.degrees_of_freedom).startswith("at the high end of its range")


def test_the_profile_reads_as_the_machine_that_was_fitted(found, timings, tmp_path):
    text = profile_text(found, inherits_from(START.name, tmp_path / "mine.toml"), "2026-01-02")
    (tmp_path / "mine.toml").write_text(text)
    machine = load_machine(tmp_path / "mine.toml")
    names = machine.keys()
    for name in names:
        part, fitted, start = machine, found.machine, START
        for key in name.split("."):
            part, fitted, start = (
                node[[s.name for s in node].index(key)]
                if isinstance(node, tuple)
                else getattr(node, key)
                for node in (part, fitted, start)
            )
        if name in TRUTH:
            assert part.exact_ns == fitted.exact_ns
            assert (part.kind, part.range) == ("derived", start.range)
            assert "box.csv" in part.source
        else:
            assert part == start
    base, target = machine.calibration
    assert base.parameters == ("costs.huge_alloc_2m", "costs.huge_free_2m")
    assert target.parameters == ("costs.inject",)
    assert len(base.times) == len(base.residuals) == 2 * REPEATS
    off = [t for t in timings if t.kernel == "v6.6" and not t.hvo]
    assert [(t.cell, t.elapsed_ns) for t in base.times] == [(t.cell, t.elapsed_ns) for t in off]
    assert not base.patched
    variances = [base.covariance[i][i] for i in range(2)]
    assert [v.standard_error**2 for v in base.fitted] == pytest.approx(variances, rel=1e-4)
    assert "95 % interval" in describe(machine)
    # Another one that inherits from it says what still holds.
    again = calibrate(machine, read_again(found), parse_steps(["huge_alloc_2m@off+alloc"], machine))
    (tmp_path / "again.toml").write_text(profile_text(again, "mine.toml", "2026-01-03"))
    # huge_free_2m is kept, and with it what it was fitted to.
    assert {(c.timing.phase, c.fitted, c.fitted_before) for c in again.cells} == {
        ("alloc", True, False),
        ("free", False, True),
    }
    parameters = [fit.parameters for fit in load_machine(tmp_path / "again.toml").calibration]
    assert parameters == [
        ("costs.huge_free_2m",),
        ("costs.inject",),
        ("costs.huge_alloc_2m",),
    ]


def read_again(found):
    return [cell.timing for cell in found.cells if not cell.timing.hvo]


@pytest.mark.slow
def test_a_fit_to_a_patched_kernel_is_marked_as_such(timings, tmp_path):
    steps = parse_steps(["huge_alloc_2m@alloc"], START)
    found = calibrate(START, timings, steps, fit_on=["v6.7"])
    (tmp_path / "mine.toml").write_text(profile_text(found, START.name, "2026-01-02"))
    machine = load_machine(tmp_path / "mine.toml")
    # What the start knew about costs that are as they were still holds.
    fit = machine.calibration[-1]
    assert fit.patched
    assert {time.kernel for time in fit.times} == {"v6.7"}
    assert "fitted to a patched kernel, which is no longer predicted" in describe(machine)
    result = simulate(Scenario(machine=machine, pages=2))
    assert result.provenance["fitted"] == ["costs.inject", "costs.huge_free_2m"]
    assert result.provenance["fitted_to_patched"] == ["costs.huge_alloc_2m"]


def test_unmodified_are_the_releases_before_the_series():
    assert [kernel for kernel in kernels() if is_unmodified(kernel)][-2:] == ["v6.1", "v6.6"]


def test_timings_of_patched_kernels_alone_are_not_fitted_unasked(timings):
    patched = [t for t in timings if t.kernel == "v6.7"]
    with pytest.raises(
        InputError, match=r"times: no row is of an unmodified kernel, only of v6\.7"
    ):
        fitted_timings(patched, ())
    with pytest.raises(InputError, match=r"fit-on: no timing is of 'v6\.8', only of v6\.7"):
        fitted_timings(patched, ["v6.8"])


def test_an_extrapolated_time_is_that_of_a_full_run_where_nothing_is_drawn():
    # Without flushes, with costs at their means and nothing cached, time is a sum of constants.
    t = next(t for t in of_machine(read_timings(), "epyc-7j13-vm252"))
    cells = [dataclasses.replace(t, pages=20_001, phase=phase) for phase in ("alloc", "free")]
    machine = START.with_values({"memory.last_level_cache": "64bytes"})
    constant = machine.model_copy(
        update={
            "costs": machine.costs.model_copy(
                update={
                    name: getattr(machine.costs, name).model_copy(update={"spread": None})
                    for name in ("huge_alloc_2m", "huge_free_2m")
                }
            )
        }
    )
    model = Cells(cells, "quiet", 1)
    assert model.times_ns(machine, cells) == model.full_times_ns(constant, cells)
    for check in model.checks(machine):
        assert check.extrapolated_ns == check.simulated_ns


def test_an_extrapolated_time_knows_what_the_full_run_finds_cached():
    # 20,001 heads are more than the cache holds, 1,152 are not.
    published = of_machine(read_timings(), "epyc-7j13-vm252")
    cells = [
        dataclasses.replace(t, pages=20_001) for t in published if t.kernel == "v6.6+8" or not t.hvo
    ]
    model = Cells(cells, "quiet", 1)
    full = model.full_times_ns(START, cells)
    assert model.times_ns(START, cells) == pytest.approx(full, rel=0.005)


def test_a_cell_that_the_machine_cannot_hold_is_one_line():
    t = read_timings()[0]
    with pytest.raises(InputError, match="do not fit the memory of laptop-8; 16384 fit"):
        Cells([t], "quiet", 1).check_possible(load_machine("laptop-8"))
