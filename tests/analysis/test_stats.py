# SPDX-License-Identifier: MIT
"""Intervals against scipy.stats, and the defects found in other projects' statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulator.analysis import Estimate, mean_interval, paired_difference, paired_ratio
from simulator.analysis.stats import compare_pairs

values = st.lists(st.floats(0.01, 1e6), min_size=2, max_size=30)


@given(values, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_mean_interval_matches_student_t_of_scipy_stats(sample, level):
    got = mean_interval(sample, level)
    sem = stats.sem(sample)
    half = stats.t.ppf(0.5 + level / 2, len(sample) - 1) * sem
    assert got.mean == pytest.approx(np.mean(sample), rel=1e-9)
    assert got.low == pytest.approx(np.mean(sample) - half, rel=1e-6, abs=1e-6)
    assert got.high == pytest.approx(np.mean(sample) + half, rel=1e-6, abs=1e-6)
    assert got.n == len(sample)


def test_two_values_have_the_interval_of_one_degree_of_freedom():
    # sim-tools asked for n > 2. Student's t with one degree of freedom is Cauchy's:
    # its 97.5 % point is tan(pi * 0.475).
    got = mean_interval([10.0, 14.0])
    half = math.tan(math.pi * 0.475) * math.sqrt(8.0 / 2)
    assert (got.low, got.high) == pytest.approx((12.0 - half, 12.0 + half))


def test_one_value_has_no_interval_and_excludes_nothing():
    got = mean_interval([3.0])
    assert got == Estimate(3.0, None, None, 1)
    assert not got.excludes(1000.0)


@given(values)
def test_paired_difference_matches_the_one_sample_test_of_differences(sample):
    rng = np.random.default_rng(len(sample))
    other = rng.uniform(1.0, 100.0, len(sample))
    got = paired_difference(sample, other.tolist())
    low, high = stats.ttest_rel(sample, other).confidence_interval(0.95)
    assert got.low == pytest.approx(low, rel=1e-6, abs=1e-5)
    assert got.high == pytest.approx(high, rel=1e-6, abs=1e-5)


def test_pairing_removes_the_noise_that_both_scenarios_met():
    noise = [0.0, 100.0, 200.0, 300.0]
    got = paired_difference([n + 1.0 for n in noise], noise)
    assert (got.low, got.high) == (1.0, 1.0)


pairs_of_values = st.lists(
    st.tuples(st.floats(0.01, 1e3), st.floats(0.01, 1e3)), min_size=2, max_size=30
)


@given(pairs_of_values)
def test_ends_of_a_ratio_are_where_scipys_test_of_the_remainder_turns(sample):
    # Fieller: a ratio is in the interval if a - ratio * b may have the mean zero.
    a, b = (np.array(side) for side in zip(*sample, strict=True))
    got = paired_ratio(a.tolist(), b.tolist())
    assert got.mean == pytest.approx(a.mean() / b.mean())
    for end in (got.low, got.high):
        # At a low end of zero the interval was cut: these values are not negative.
        if end and np.std(a - end * b) > 1e-6 * a.mean():
            assert stats.ttest_1samp(a - end * b, 0.0).pvalue == pytest.approx(0.05, abs=1e-4)


@given(pairs_of_values)
def test_one_test_is_behind_difference_ratio_and_verdict(sample):
    a, b = ([float(v) for v in side] for side in zip(*sample, strict=True))
    got = compare_pairs(a, b)
    assert got.significant == got.difference.excludes(0.0)
    if np.std(np.subtract(a, b)) > 1e-9:
        p = stats.ttest_rel(a, b).pvalue
        assert got.p_value == pytest.approx(p, rel=1e-6, abs=1e-12)
        if abs(p - 0.05) > 1e-6:
            assert got.significant == (p < 0.05)
            # Without ends the ratio says nothing, and the test still holds.
            if got.ratio.low is not None:
                assert got.ratio.excludes(1.0) == (p < 0.05)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_intervals_cover_the_truth_as_often_as_they_say(n):
    rng = np.random.default_rng(n)
    trials, covered = 2000, np.zeros(2)
    for _ in range(trials):
        noise = rng.normal(0, 5, n)
        base = 100 + noise + rng.normal(0, 1, n)
        other = 80 + noise + rng.normal(0, 1, n)
        got = compare_pairs(other.tolist(), base.tolist())
        for i, (estimate, truth) in enumerate(((got.difference, -20.0), (got.ratio, 0.8))):
            # An interval without ends covers everything.
            covered[i] += estimate.low is None or not estimate.excludes(truth)
    # Three standard errors of a binomial share.
    assert covered / trials == pytest.approx([0.95, 0.95], abs=3 * math.sqrt(0.95 * 0.05 / trials))


def test_ratio_of_equal_values_is_exactly_one_and_excludes_nothing():
    got = paired_ratio([3.1, 4.7, 5.3], [3.1, 4.7, 5.3])
    assert (got.mean, got.low, got.high) == (1.0, 1.0, 1.0)
    assert not got.excludes(1.0)


def test_ratio_to_nothing_does_not_exist():
    assert paired_ratio([1.0, 2.0], [0.0, 0.0]) is None
    assert compare_pairs([1.0, 1.0], [0.0, 0.0]).significant


def test_ratio_to_what_varies_around_nothing_has_no_ends():
    got = paired_ratio([5.0, 6.0, 5.0], [0.1, -0.1, 0.2])
    assert (got.low, got.high) == (None, None)


def test_one_pair_has_numbers_but_no_interval_and_no_verdict():
    got = compare_pairs([1.0], [2.0])
    assert (got.difference.mean, got.ratio.mean) == (-1.0, 0.5)
    assert (got.ratio.low, got.p_value, got.significant) == (None, None, False)


@pytest.mark.parametrize("sample", [[], [1.0, math.nan], [math.inf]])
def test_samples_without_a_mean_are_refused(sample):
    with pytest.raises(ValueError, match="value"):
        mean_interval(sample)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_level_is_a_fraction_and_not_a_percentage(level):
    with pytest.raises(ValueError, match="level"):
        mean_interval([1.0, 2.0], level)


def test_unpaired_samples_are_refused():
    with pytest.raises(ValueError, match="zip"):
        paired_difference([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0, 2.0], [1.0])
