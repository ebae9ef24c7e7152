# SPDX-License-Identifier: MIT
"""
The HVO figures of 2021, published and simulated
------------------------------------------------

Oracle: the cover letter of "Free some vmemmap pages of HugeTLB page", v15.

How near is near enough: the times are rounded to a millisecond, 0.6 to 1.5 % of them.
The shares were taken in other runs than the times, with two probes a page whose cost is
in them.  Where a share hangs on the middle of the distribution, moving every page by
0.3 us (less than 2 % of its time) moves it by more than 10 points; the author's own
histograms of the same total time, three months apart, differ by 28.  The simulated pages
come in two groups, those of the near node and those of the far one.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from simulator import Scenario, simulate
from simulator.errors import InputError
from simulator.machine import load_machine
from simulator.published import published_hvo_2021
from simulator.studies.hvo_2021 import NR_PAGES_QUICK, Hvo2021
from simulator.studies.hvo_2021.numbers import (
    folio_times,
    log2_histogram,
    published_histogram,
    was_fitted,
)
from tests.studies.scripts import run_script

PUBLISHED = {(p.phase, p.hvo): p for p in published_hvo_2021()}
SHIFT_NS = 300


@pytest.fixture(scope="module")
def runs():
    on = Scenario(machine="server-2021", kernel="v5.14", pages=10240, seed=1)
    return {True: simulate(on), False: simulate(on.replace(hvo=False))}


@pytest.fixture(scope="module")
def late():
    """HVO on, idle CPUs in C1E after 30 us, within the range of that value."""
    machine = load_machine("server-2021")
    machine = machine.with_values({"idle_states.C1E.residency": "30us"})
    low, high = next(s for s in machine.idle_states if s.name == "C1E").residency.range
    assert low <= 30 <= high
    return simulate(Scenario(machine=machine, kernel="v5.14", pages=10240, seed=1))


def elapsed(result, phase):
    return result.summary.set_index("phase").loc[phase, "elapsed_ns"]


def share(histogram, low_ns):
    return histogram.count[histogram.low == low_ns].sum() / histogram.total


@pytest.mark.parametrize("key", [("alloc", False), ("free", False), ("alloc", True)])
def test_the_times_that_the_profile_was_fitted_to_come_out(runs, key):
    assert elapsed(runs[key[1]], key[0]) == pytest.approx(PUBLISHED[key].elapsed_ns, rel=0.02)


def test_the_free_with_hvo_on_is_predicted_within_20_percent(runs, late):
    published = PUBLISHED["free", True].elapsed_ns
    assert elapsed(runs[True], "free") == pytest.approx(published, rel=0.2)
    # How many flushes wait for CPUs in C1E decides the rest, and which way.
    assert elapsed(late, "free") < published < elapsed(runs[True], "free")
    assert elapsed(late, "alloc") == pytest.approx(PUBLISHED["alloc", True].elapsed_ns, rel=0.02)


@pytest.mark.parametrize("key", list(PUBLISHED), ids=str)
def test_the_shares_of_the_published_buckets_come_out(runs, key):
    phase, hvo = key
    times_ns = np.array(folio_times(runs[hvo], phase))
    wanted = published_histogram(PUBLISHED[key])
    fast, slow = (log2_histogram((times_ns + shift).tolist()) for shift in (-SHIFT_NS, SHIFT_NS))
    for low_ns in wanted.low.tolist():
        bounds = sorted((share(fast, low_ns), share(slow, low_ns)))
        # A bucket between two tails may not move at all; near pages are in another tail.
        assert bounds[0] - 0.05 <= share(wanted, low_ns) <= bounds[1] + 0.05
    # Nothing to speak of lies elsewhere.
    found = log2_histogram(times_ns.tolist())
    assert sum(share(found, low_ns) for low_ns in wanted.low.tolist()) > 0.999


def test_the_spread_with_hvo_off_is_fitted_and_with_hvo_on_follows_from_it(runs):
    # No spread of the rest brings two thirds of the free below the bound, if half are near.
    for phase, below, points in (("alloc", 10147 / 10240, 0.01), ("free", 6805 / 10240, 0.04)):
        found = log2_histogram(folio_times(runs[False], phase))
        assert share(found, 4096) == pytest.approx(below, abs=points)


def test_twice_as_slow_and_two_to_three_times(runs):
    # "about ~2x slower than before", "about ~2-3x slower than before"
    assert 2 < elapsed(runs[True], "alloc") / elapsed(runs[False], "alloc") < 3
    assert 2 < elapsed(runs[True], "free") / elapsed(runs[False], "free") < 3.5


def test_only_the_free_with_hvo_on_is_a_prediction(runs):
    predicted = [key for key, p in PUBLISHED.items() if not was_fitted(runs[p.hvo], p)]
    assert predicted == [("free", True)]


@given(st.lists(st.integers(1, 2**40), min_size=1))
def test_a_bucket_holds_the_times_from_a_power_of_two_to_the_next(times_ns):
    h = log2_histogram(times_ns)
    assert h.total == len(times_ns)
    for low, high, count in zip(h.low, h.high, h.count, strict=True):
        assert high == 2 * low
        assert int(low).bit_count() == 1
        assert count == sum(low <= ns < high for ns in times_ns)


# --- the script ---------------------------------------------------------------------------


def test_the_script_prints_times_and_histograms_beside_the_published(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, text = run_script(Hvo2021, "--quick", "--out=.")
    assert status == 0
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 72
    assert (tmp_path / "hvo-2021.txt").read_text(encoding="utf-8") == text
    for p in PUBLISHED.values():
        block = text.split(f"{p.function}(), HVO {'on' if p.hvo else 'off'}")[1].split("\n\n\n")[0]
        rows = [line.split("|")[0].split() for line in block.splitlines()]
        counts = {
            name: [int(row[-1].replace(",", "")) for row in rows if name in row]
            for name in ("published", "simulated")
        }
        assert sum(counts["published"]) == 10240
        assert [n for n in counts["published"] if n] == published_histogram(p).count.tolist()
        assert sum(counts["simulated"]) == NR_PAGES_QUICK
    assert text.count("fitted to it") == 3
    assert "last-level cache as much smaller" in text
    assert text.count("not: predicted") == 1
    pixels = imread(tmp_path / "hvo-2021.png")
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels[:, :, 0])) > 10


def test_fewer_pages_take_as_long_each_as_all_of_them(runs):
    # Or --quick would print an error that is of the cache, not of the model.
    off, on, _ = map(simulate, Hvo2021(quick=True).scenarios())
    for hvo, quick in ((False, off), (True, on)):
        assert quick.scenario.pages == NR_PAGES_QUICK
        for phase in ("alloc", "free"):
            whole_ns = elapsed(runs[hvo], phase) / 10240
            assert elapsed(quick, phase) / NR_PAGES_QUICK == pytest.approx(whole_ns, rel=0.02)


def test_the_default_is_the_published_size():
    for scenario in Hvo2021().scenarios():
        assert (scenario.pages, scenario.kernel) == (10240, "v5.14")


def test_a_machine_cannot_be_asked_for_and_no_option_is_near():
    with pytest.raises(InputError, match=r"^unknown option '--machine'; see"):
        run_script(Hvo2021, "--machine=laptop-8")


@pytest.mark.parametrize("argv", [["--seed=-1"], ["--quik"], ["--seed=x"]])
def test_wrong_input_gets_one_line(argv, tmp_path):
    with pytest.raises(InputError) as error:
        run_script(Hvo2021, *argv, f"--out={tmp_path / 'out'}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
