# SPDX-License-Identifier: MIT
"""
Whether it is safe, in what commands print
------------------------------------------

Oracle: a kernel without its final flush makes one flush less than v6.7, looks like a win,
and gives back the vmemmap pages of every folio while a CPU may hold them.
"""

from __future__ import annotations

import pytest

import simulator as sim
from simulator.report.plots import plot_elapsed
from simulator.run import simulate
from simulator.scenario import Scenario

SMALL = ("--machine", "laptop-8", "--pages", "4", "--cpus", "2")
UNSAFE = "freed-while-held 4 times"


def squeezed(text):
    return " ".join(text.split())


@pytest.mark.parametrize(("strict", "status"), [((), 0), (("--strict",), 1)])
def test_run_says_what_a_kernel_broke_and_strict_makes_it_a_failure(tlbsim, strict, status):
    done = tlbsim("run", *SMALL, "--kernel", "v6.7-no-final-flush", *strict)
    assert done.status == status
    (line,) = (line for line in done.out.splitlines() if line.startswith("UNSAFE"))
    assert UNSAFE in line
    assert "a flush since its PTEs were remapped" in squeezed(done.out)
    assert "\nsafety " not in done.out


def test_run_says_how_much_a_kernel_was_held_against(tlbsim):
    done = tlbsim("run", *SMALL, "--kernel", "v6.7", "--strict")
    n = len(simulate(Scenario(machine="laptop-8", pages=1, cpus=2)).provenance["checked"])
    assert done.status == 0
    assert f"\nsafety     {n} invariants hold\n" in done.out
    assert "UNSAFE" not in done.out


def test_what_was_not_checked_is_not_called_safe(tlbsim):
    unchecked = (*SMALL, "--kernel", "v6.7-no-final-flush", "--no-check")
    done = tlbsim("run", *unchecked)
    assert done.status == 0
    assert "\nsafety     not checked\n" in done.out
    refused = tlbsim("run", *unchecked, "--strict")
    assert (refused.status, refused.out) == (2, "")
    assert "--strict needs what must hold to be checked" in refused.err


def test_json_has_the_safety_of_a_run_and_of_a_comparison(tlbsim):
    wrong = ("--kernel", "v6.7-no-final-flush", "--json")
    for phase in tlbsim("run", *SMALL, *wrong).json:
        assert phase["safety"].startswith(f"UNSAFE {UNSAFE}, first: folio of pfn ")
    rows = tlbsim("compare", *SMALL, "--kernel", "v6.7", *wrong, "--replications", "1").json
    told = {row["scenario"]: row["safety"].split(", ")[0] for row in rows}
    assert told["v6.7-no-final-flush"] == f"UNSAFE {UNSAFE}"
    assert told["v6.7"].startswith("safety: ")


def test_an_unsafe_win_has_the_word_beside_every_number(tlbsim):
    kernels = ("--kernel", "v6.7", "--kernel", "v6.7-no-final-flush")
    done = tlbsim("compare", *SMALL, *kernels, "--replications", "2", "--strict")
    assert done.status == 1
    rows = [line for line in done.out.splitlines() if line.startswith(("  v6.7-no", "  [2]"))]
    assert len(rows) > 5
    assert all("UNSAFE" in row for row in rows)
    assert max(map(len, done.out.splitlines())) <= 72
    stock = ("--kernel", "v6.6", "--kernel", "v6.7")
    assert tlbsim("compare", *SMALL, *stock, "--replications", "1", "--strict").status == 0


def test_a_sweep_is_strict_too(tlbsim):
    axes = (*SMALL, "--kernel", "v6.7,v6.7-no-final-flush", "--replications", "1")
    assert tlbsim("sweep", *axes, "--strict").status == 1
    assert tlbsim("sweep", *axes).status == 0


def test_a_saved_result_is_as_unsafe_as_it_was(tmp_path, tlbsim):
    wrong = ("--kernel", "v6.7-no-final-flush")
    tlbsim("run", *SMALL, *wrong, "--out", str(tmp_path / "a"))
    tlbsim("run", *SMALL, "--kernel", "v6.7", "--out", str(tmp_path / "b"))
    loaded = sim.load_result(tmp_path / "a")
    scenario = Scenario(machine="laptop-8", pages=4, cpus=2, kernel=wrong[1])
    assert loaded.violations.equals(simulate(scenario).violations)
    done = tlbsim("compare", str(tmp_path / "b"), str(tmp_path / "a"), "--strict")
    assert done.status == 1
    assert UNSAFE in squeezed(done.out)


def test_the_caption_of_a_plot_says_it():
    results = [
        simulate(Scenario(machine="laptop-8", pages=4, cpus=2, kernel=kernel))
        for kernel in ("v6.7", "v6.7-no-final-flush")
    ]
    caption = squeezed(plot_elapsed(results).get_supxlabel())
    assert f"UNSAFE v6.7-no-final-flush: {UNSAFE}" in caption
    n = len(results[0].provenance["checked"])
    assert f"safety: {n} invariants hold" in squeezed(plot_elapsed(results[:1]).get_supxlabel())
