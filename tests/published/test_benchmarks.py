# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from simulator.machine import load_machine, machines
from simulator.published import published_figures
from simulator.published.benchmarks import BENCHMARKS


def test_figures_are_those_of_the_commit_message_per_call():
    # Linux commit 4180bf1b655a, "Broadcast IPI" and "Normal IPI", totals of 100000 calls.
    found = {(f.case, f.figure): f for f in published_figures("ipi_benchmark")}
    assert len(found) == 4 * 4
    for mode, vanilla_us, pv_us in (("cluster", 92.8, 75.7), ("physical", 198.5, 78.1)):
        for what, us in (("vanilla", vanilla_us), ("pv-ipi", pv_us)):
            figure = found[f"x2apic {mode} mode, {what}", "Broadcast IPI"]
            assert round(figure.ns / 1000, 1) == us
            # The rule of the project: fitted to the unmodified kernel, the patched one predicted.
            assert figure.role == ("fitted" if what == "vanilla" else "predicted")


def test_the_flush_costs_of_the_ivy_bridge_are_the_least_squares_line_of_its_averages():
    figures = [f for f in published_figures("flush") if f.figure != "all" and f.role == "fitted"]
    pages = np.array([int(f.figure) for f in figures])
    slope, intercept = np.polyfit(pages, [f.ns for f in figures], 1)
    costs = load_machine("core-i5-3320m").costs
    assert pages.tolist() == list(range(1, 34))
    # As exact as the profile writes them down.
    assert costs.invlpg.value == pytest.approx(slope, abs=0.05)
    assert costs.flush_base.value == pytest.approx(intercept, abs=0.7)
    whole = {f.figure: f.ns for f in published_figures("flush")}["all"]
    assert costs.flush_full.value == pytest.approx(whole - intercept, abs=0.7)


def test_every_machine_of_a_figure_has_a_profile():
    for benchmark in BENCHMARKS:
        figures = published_figures(benchmark)
        assert figures
        assert {f.machine for f in figures} <= set(machines())
        assert {f.role for f in figures} <= {"fitted", "given", "predicted"}
        assert figures == tuple(
            f for m in dict.fromkeys(f.machine for f in figures)
            for f in published_figures(benchmark, m)
        )  # fmt: skip
