# SPDX-License-Identifier: MIT
"""
Measuring the machine that runs the tests
-----------------------------------------

That it ends, and what it says it could not measure; no time is judged.
"""

from __future__ import annotations

import os
import platform

import pytest

from simulator.errors import InputError
from simulator.machine import load_machine
from simulator.measure import here as here_module
from simulator.measure import here_profile, measure_here, measured_costs

pytestmark = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="measures Linux on x86"
)

# An interrupt counter that stands still.
STILL = "         CPU0  CPU1\n TLB:     5     5  TLB shootdowns\n CAL:     5     5  Function call\n"


@pytest.fixture(autouse=True)
def _few_calls(monkeypatch):
    monkeypatch.setattr(here_module, "_CALLS", 8)
    monkeypatch.setattr(here_module, "_COLD_PAGES", 64)
    monkeypatch.setattr(here_module, "_GRACE_PERIODS", 1)


def gaps(here):
    return {gap.what: gap.why for gap in here.gaps}


def test_on_one_cpu_no_shootdown_is_measured(monkeypatch):
    one = min(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {one})
    here = measure_here(rounds=1)
    assert here.peers == ()
    why = gaps(here)["shootdowns, IPIs, what they cost their targets"]
    assert why == f"this process may use only CPU {one}"
    assert here.get("shootdown_1") is None
    assert here.get("mprotect_page") is not None


def two_cpus():
    return len(os.sched_getaffinity(0)) >= 2


@pytest.mark.skipif(not two_cpus(), reason="needs two CPUs")
def test_flushes_that_interrupted_nobody_are_not_counted(tmp_path, monkeypatch):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/interrupts").write_text(STILL)
    here = measure_here(root=tmp_path, rounds=1)
    assert here.get("shootdown_1") is None
    assert all(s.interrupts == s.proven == 0 < s.calls for s in here.shootdowns)
    assert gaps(here)["shootdown of 1 others"] == "no interrupts seen in /proc/interrupts"


@pytest.mark.skipif(not two_cpus(), reason="needs two CPUs")
def test_without_counters_nothing_is_proven(tmp_path):
    here = measure_here(root=tmp_path, rounds=1)
    assert "has no line TLB, so nothing would prove" in gaps(here)["shootdowns"]
    assert here.shootdowns == []


def test_what_was_measured_makes_a_profile_that_reads(tmp_path):
    here = measure_here(rounds=1)
    (tmp_path / "here.toml").write_text(
        here_profile(here, measured_costs(here, "2026-01-02"), "2026-01-02")
    )
    machine = load_machine(tmp_path / "here.toml")
    assert machine.nr_cpus == len(here.host.cpus)
    assert machine.costs.pte_page_fill.kind == "measured"
    assert machine.virtual == here.host.virtual


def test_the_threads_own_priority_and_cpu_are_as_they_were():
    before = (os.sched_getaffinity(0), os.sched_getscheduler(0))
    measure_here(rounds=1)
    assert (os.sched_getaffinity(0), os.sched_getscheduler(0)) == before


def test_another_architecture_is_one_line(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(InputError, match="here: measures Linux on x86_64, not Linux on aarch64"):
        measure_here()


def test_a_machine_that_allows_nothing_is_one_line(monkeypatch):
    def refuse(_cpu):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(here_module, "bound", refuse)
    with pytest.raises(InputError, match=r"here: this machine lets nobody measure: .*permitted"):
        measure_here(rounds=1)
