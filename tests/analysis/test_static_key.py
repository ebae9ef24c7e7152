# SPDX-License-Identifier: MIT
"""
What patching a static key takes
"""

from __future__ import annotations

import pytest

from simulator import Scenario, simulate
from simulator.analysis import compare_results
from simulator.analysis.static_key import static_key_shares
from simulator.report.compare_text import comparison_text
from simulator.report.formats import Material, render
from simulator.report.run_text import run_report


@pytest.fixture(scope="module")
def runs():
    few = Scenario(pages=64, kernel="v6.12", seed=1)
    return [simulate(few.replace(tunables={"static_key_modules": n})) for n in (0, 72)]


def test_the_share_is_that_of_the_tasks_time_and_broadcasts_are_3_a_batch(runs):
    none, many = runs
    (share, *_) = static_key_shares([many])
    rows = many.time_by[many.time_by["phase"] == "alloc"]
    patching = rows.loc[rows["category"] == "static_key", "ns"].sum()
    assert share.share == pytest.approx(patching / rows["ns"].sum())
    # 687 sites are 3 batches; each module is one.
    assert (share.phase, share.broadcasts, share.modules) == ("alloc", 3 * (3 + 72), 72)
    assert share.kernel == "v6.12"
    # The larger one of two runs.
    assert static_key_shares([none, many])[0] == share


def test_every_report_names_it_and_none_where_it_does_not_weigh(runs):
    _, many = runs
    named = "static_key_modules=72"
    assert named in run_report(many).replace("\n", " ")
    assert named in comparison_text(compare_results([[many]])).replace("\n", " ")
    material = Material(compare_results([[many]]), "tlbsim run")
    for name in ("table", "lkp", "mmtests", "cover-letter", "markdown", "html"):
        text = render(name, material).replace("\\", "")
        assert named in " ".join(text.split()), name
    without = simulate(Scenario(pages=64, kernel="v7.1", seed=1))
    assert static_key_shares([without]) == []
    assert "static key " not in run_report(without)
