# SPDX-License-Identifier: MIT
"""
The first published figures of HVO, as data
-------------------------------------------

Oracle: the cover letter of February 2021, and powers of two.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.analysis.hvo_2021 import log2_histogram, published_hvo_2021
from simulator.machine import load_machine


def test_every_page_is_in_a_bucket_of_its_histogram():
    for p in published_hvo_2021():
        assert p.histogram.total == p.pages == 10240


def test_the_histograms_bound_the_times_of_a_page():
    # A page takes as long on average as its bucket allows, give or take half a millisecond
    # of rounding over all of them; the rest of the loop is in the time alone.
    for p in published_hvo_2021():
        low = int((p.histogram.low * p.histogram.count).sum())
        high = int((p.histogram.high * p.histogram.count).sum())
        assert low < p.elapsed_ns + 500_000
        assert p.elapsed_ns - 500_000 < high


def test_only_the_free_with_hvo_on_is_a_prediction():
    assert [(p.phase, p.hvo) for p in published_hvo_2021() if not p.fitted] == [("free", True)]


def test_fitted_are_exactly_the_times_that_the_calibration_names():
    named = {
        (t.kernel, t.hvo, t.phase, t.pages, t.page_size, t.elapsed_ns)
        for fit in load_machine("server-2021").calibration
        for t in fit.times
    }
    assert named == {
        ("v5.14", p.hvo, p.phase, p.pages, "2M", p.elapsed_ns)
        for p in published_hvo_2021()
        if p.fitted
    }


@given(st.lists(st.integers(1, 2**40), min_size=1))
def test_a_bucket_holds_the_times_from_a_power_of_two_to_the_next(times_ns):
    h = log2_histogram(times_ns)
    assert h.total == len(times_ns)
    for low, high, count in zip(h.low, h.high, h.count, strict=True):
        assert high == 2 * low
        assert int(low).bit_count() == 1
        assert count == sum(low <= ns < high for ns in times_ns)
