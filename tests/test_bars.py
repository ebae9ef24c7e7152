# SPDX-License-Identifier: MIT
"""Bars: in a notebook as many steps as simulations and folios, and none elsewhere."""

from __future__ import annotations

import pytest

import simulator as sim
from simulator import bars
from simulator.experiment import sweep


class Bar:
    """What a bar of tqdm is to us."""

    made = None

    def __init__(self, total, desc, **_):
        self.total, self.desc, self.n = total, desc, 0
        self.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, n=1):
        self.n += n


@pytest.fixture
def notebook(monkeypatch):
    """Return the bars that a notebook would show."""
    monkeypatch.setattr(Bar, "made", [])
    monkeypatch.setattr(bars, "_in_notebook", lambda: True)
    monkeypatch.setattr("tqdm.notebook.tqdm", Bar)
    monkeypatch.setattr("tqdm.tqdm", Bar)
    return Bar.made


def test_a_sweep_and_each_run_have_a_bar_in_a_notebook(notebook):
    axes = {"kernel": ["v6.6", "v6.7"]}
    sweep({"machine": "laptop-8", "pages": 2, "cpus": 2}, axes, replications=3)
    of_sweep, *of_runs = notebook
    assert (of_sweep.desc, of_sweep.total, of_sweep.n) == ("simulations", 6, 6)
    # Two pages are taken and given back.
    assert [(bar.desc, bar.total) for bar in of_runs] == [("folios", 4)] * 6


def test_whoever_watches_a_run_gets_no_bar_besides(notebook):
    scenario = sim.Scenario(machine="laptop-8", pages=2, cpus=2)
    seen = []
    sim.simulate(scenario, seen.append)
    assert seen[0]() == 4
    assert not notebook


def test_there_is_no_bar_outside_a_notebook():
    with bars.notebook_bar(3, "runs") as bar, bars.watching(bar, 3) as watch:
        assert (bar, watch) == (None, None)
