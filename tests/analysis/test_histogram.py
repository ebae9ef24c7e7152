# SPDX-License-Identifier: MIT
"""Histograms against the values that they were made of."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.analysis import Histogram


# 16 buckets to the octave: wider than the simulator's, to show the error bound.
def bucket_of(value: int) -> tuple[int, int]:
    shift = max(0, value.bit_length() - 5)
    low = value >> shift << shift
    return low, low + (1 << shift)


def histogram_of(sample) -> Histogram:
    buckets = [bucket_of(value) for value in sample]
    return Histogram.of_buckets(
        [low for low, _ in buckets], [high for _, high in buckets], [1] * len(buckets)
    )


samples = st.lists(st.integers(0, 10**9), min_size=1, max_size=200)


@given(samples, st.floats(0.0, 1.0))
def test_quantile_lies_in_the_bucket_of_the_order_statistic(sample, q):
    q = round(q, 3)
    true = int(np.quantile(sample, q, method="inverted_cdf"))
    low, high = bucket_of(true)
    assert low <= histogram_of(sample).quantile(q) < high


@given(st.lists(st.integers(0, 31), min_size=1, max_size=100))
def test_quantiles_of_buckets_of_width_one_are_exact(sample):
    h = histogram_of(sample)
    for percent in range(1, 101):
        # Exact in integers: the smallest rank with rank / n >= percent / 100.
        rank = -(-percent * len(sample) // 100)
        assert h.quantile(percent / 100) == sorted(sample)[rank - 1]


@given(samples, samples)
def test_merge_equals_the_histogram_of_both_samples(a, b):
    merged, both = histogram_of(a).merge(histogram_of(b)), histogram_of(a + b)
    assert merged.low.tolist() == both.low.tolist()
    assert merged.high.tolist() == both.high.tolist()
    assert merged.count.tolist() == both.count.tolist()
    assert merged.total == len(a) + len(b)


@given(st.lists(samples, max_size=3))
def test_histogram_of_runs_is_that_of_all_their_values(of_runs):
    def latency(sample):
        h = histogram_of(sample)
        columns = {"low_ns": h.low, "high_ns": h.high, "count": h.count}
        return pd.DataFrame(columns).assign(phase="alloc", what="flush")

    runs = [SimpleNamespace(latency=latency(sample)) for sample in of_runs]
    whole = Histogram.of_runs(runs, "alloc", "flush")
    assert whole.count.tolist() == histogram_of(itertools.chain(*of_runs)).count.tolist()
    assert Histogram.of_runs(runs, "free", "flush").total == 0


@given(samples)
def test_largest_bounds_the_maximum_within_its_bucket(sample):
    largest = histogram_of(sample).largest()
    assert max(sample) <= largest < bucket_of(max(sample))[1]


def test_cumulative_is_a_fraction_that_ends_at_one():
    edges, fraction = histogram_of([1, 1, 2, 9]).cumulative()
    assert edges.tolist() == [2, 3, 10]
    assert fraction.tolist() == [0.5, 0.75, 1.0]


def test_empty_histogram_has_no_quantile():
    empty = Histogram.of_buckets([], [], [])
    assert empty.total == 0
    assert empty.quantile(0.5) is None
    assert empty.largest() is None


def test_frame_rows_of_other_phases_and_kinds_do_not_count():
    frame = pd.DataFrame(
        {
            "phase": pd.Categorical(["alloc", "alloc", "free"]),
            "what": ["folio", "ack", "folio"],
            "low_ns": [100, 200, 300],
            "high_ns": [101, 202, 304],
            "count": [5, 6, 7],
        }
    )
    h = Histogram.of_frame(frame, "alloc", "folio")
    assert (h.total, h.quantile(0.5)) == (5, 100)


@pytest.mark.parametrize(
    ("low", "high", "count"),
    [([1], [1], [1]), ([1], [2], [-1]), ([0, 5], [10, 20], [1, 1])],
)
def test_impossible_buckets_are_refused(low, high, count):
    with pytest.raises(ValueError, match="bucket"):
        Histogram.of_buckets(low, high, count)


def test_quantile_takes_a_fraction_and_not_a_percentage():
    with pytest.raises(ValueError, match="between 0 and 1"):
        histogram_of([1, 2, 3]).quantile(99)
