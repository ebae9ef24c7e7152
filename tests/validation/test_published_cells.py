# SPDX-License-Identifier: MIT
"""
The published times, cell by cell
---------------------------------

Oracles: the times published with the batching series, and the errors that the
project allows itself; what the profiles and docs/trust.rst say of them.  Simulated
once, by the quick path, which full runs differ from by 0.4 % at most.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.experiment import simulate_totals
from simulator.published.times import read_timings
from simulator.validation import plan_times

PAGE = Path(__file__).parents[2] / "docs" / "trust.rst"
# Between one replication, extrapolated, and the mean of some full ones.
NEAR = 0.015


@pytest.fixture(scope="module")
def checks():
    plan = plan_times(read_timings(), replications=1, quick=True)
    return plan.checks(simulate_totals(plan.scenarios))


def test_patched_cells_are_predicted_within_10_percent_on_alloc_and_20_on_free(checks):
    predicted = [check for check in checks if check.predicted]
    assert {c.timing.release for c in predicted} == {"next-20230824+batching"}
    assert len(predicted) == 8
    for check in predicted:
        allowed = {"alloc": 0.10, "free": 0.20}[check.timing.phase]
        assert abs(check.error) < allowed, check.timing.cell


def test_fitted_cells_are_met_as_well_as_their_profiles_say(checks):
    fitted = [check for check in checks if check.fitted]
    assert len(fitted) == 8
    for check in fitted:
        # With HVO off a cost for each cell; with HVO on one for both, "missed by +2 % and -2 %".
        allowed = 0.03 if check.timing.hvo else 0.005
        assert abs(check.error) < allowed, check.timing.cell


def rows_of_the_page():
    """Return {(pages, kernel, hvo, phase): (published_s, simulated_s, error, role)}."""
    found, pages = {}, 0
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := re.search(r", ([0-9,]+) pages of 2 MB$", line):
            pages = int(heading[1].replace(",", ""))
        row = re.fullmatch(
            r" +(v6\S+) \(\w+\), HVO (on|off), +(alloc|free) +([\d.]+) s +([\d.]+) s"
            r" +\(?([-+][\d.]+)%\)? +(\w+)",
            line,
        )
        if row:
            kernel, hvo, phase, published, simulated, error, role = row.groups()
            found[pages, kernel, hvo == "on", phase] = (published, simulated, error, role)
    return found


def test_the_table_of_the_documentation_is_what_is_simulated(checks):
    table = rows_of_the_page()
    assert len(table) == len(checks) == 16
    for check in checks:
        t = check.timing
        published, simulated, error, role = table[t.pages, t.kernel, t.hvo, t.phase]
        published_s = t.elapsed_ns / 1e9
        digits = len(published.partition(".")[2])
        assert f"{published_s:.{digits}f}" == published
        assert float(simulated) == pytest.approx(check.simulated_ns.mean / 1e9, rel=NEAR), t.cell
        # Of figures that were rounded to four digits.
        assert float(error) == pytest.approx(100 * (float(simulated) / published_s - 1), abs=0.1)
        assert role == ("fitted" if check.fitted else "predicted")
