# SPDX-License-Identifier: MIT
"""How results show themselves: short, escaped, and with our names before pydantic's."""

from __future__ import annotations

import pytest

import simulator as sim
from simulator.analysis import compare_results
from simulator.experiment.notebook import html_of
from tests.made import LAPTOP, make


@pytest.fixture(scope="module")
def result():
    return sim.simulate(sim.Scenario(machine="laptop-8", pages=2, cpus=2))


def test_a_result_is_one_line_and_a_table(result):
    assert repr(result).startswith("<Result v6.6 on laptop-8, 2 x 2M: alloc ")
    assert "simulated" in repr(result)
    assert "<table>" in result._repr_html_()


def test_names_are_escaped():
    name = "<script>"
    shown = html_of(compare_results([[make(kernel=k, machine=LAPTOP)] for k in ("v6.6", name)]))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_a_phase_has_the_rows_of_that_phase(result):
    for name in ("summary", "flushes", "folios"):
        found = getattr(result.phase("free"), name)
        whole = getattr(result, name)
        assert len(found) == (whole["phase"] == "free").sum() > 0
    with pytest.raises(sim.InputError, match=r"phase: unknown 'aloc'.*'alloc'"):
        result.phase("aloc")


def test_completion_shows_our_names_and_not_those_of_pydantic(result):
    names = dir(result.scenario)
    assert {"machine", "kernel", "replace", "key"} <= set(names)
    assert not [name for name in names if name.startswith("model_")]
    assert repr(result.scenario) == "Scenario(machine='laptop-8', kernel='v6.6', pages=2, cpus=2)"


def test_plots_are_named_as_their_kinds(result):
    from simulator.report.plots.kinds import KINDS

    assert [name for name in dir(result.plot) if not name.startswith("_")] == sorted(KINDS)
    with pytest.raises(ValueError, match="nothing for a plot of change"):
        result.plot.change()


def test_a_report_reads_as_it_is(result):
    text = result.report()
    assert repr(text) == text
    assert "tlbsim run --machine laptop-8 --pages 2 --cpus 2" in text
