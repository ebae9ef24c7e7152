# SPDX-License-Identifier: MIT
"""``tlbsim calibrate --from-ftrace``: what it prints and writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import simulator as sim

DATA = Path(__file__).parents[1] / "data" / "ftrace"


def test_command_writes_a_profile_and_prints_both_latencies(tlbsim, tmp_path, monkeypatch):
    trace = DATA / "trace-7.3-4cpu-alloc16-default.txt.gz"
    out = tmp_path / "fitted.toml"
    monkeypatch.setattr("simulator.calibration.from_trace._FLUSHES", 20)
    done = tlbsim("calibrate", "--from-ftrace", trace, "--out", out)
    assert done.status == 0
    assert sim.load_machine(out).nr_cpus == 4
    for text in ("held out", "simulated", "Kolmogorov-Smirnov distance", "flushes are few"):
        assert text in done.out
    assert max(map(len, done.out.splitlines())) <= max(72, 11 + len(str(out)))
    assert done.out.isascii()
    found = tlbsim("calibrate", "--from-ftrace", trace, "--json").json
    assert found["flushes_fitted"] == found["flushes_held_out"] == 1
    assert found["steps"]["enqueue"]["count"] == 2


def test_other_ways_to_calibrate_do_not_mix_with_a_trace(tlbsim):
    for option in (("--here",), ("--fit", "inject"), ("--full",), ("--times", "x.csv")):
        done = tlbsim("calibrate", "--from-ftrace", "x", *option)
        assert (done.status, done.out) == (2, "")
        assert f"leave out {option[0]}" in done.err
