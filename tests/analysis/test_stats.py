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


def test_ratio_interval_is_transformed_end_by_end_as_lisa_does_not():
    # LISA reports the transformed half-width as "+/-": on such a sample about 1.085,
    # a factor, beside a mean of about 19.
    sample = np.random.default_rng(7).lognormal(math.log(19.4), 0.4, 100)
    got = paired_ratio(sample.tolist(), [1.0] * 100)
    logs = np.log(sample)
    low, high = stats.t.interval(0.95, 99, logs.mean(), stats.sem(logs))
    assert got.mean == pytest.approx(stats.gmean(sample))
    assert (got.low, got.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert got.high - got.mean > got.mean - got.low > 1.0
    assert got.mean**2 == pytest.approx(got.low * got.high)


@given(values)
def test_ratio_of_swapped_scenarios_is_the_inverse(sample):
    other = [value * (1 + 0.1 * i) for i, value in enumerate(sample)]
    there, back = paired_ratio(sample, other), paired_ratio(other, sample)
    assert there.mean == pytest.approx(1 / back.mean)
    assert there.low == pytest.approx(1 / back.high)


def test_ratio_of_equal_values_is_exactly_one_and_excludes_nothing():
    got = paired_ratio([3.1, 4.7, 5.3], [3.1, 4.7, 5.3])
    assert (got.mean, got.low, got.high) == (1.0, 1.0, 1.0)
    assert not got.excludes(1.0)


@pytest.mark.parametrize("pair", [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (-1.0, 1.0)])
def test_ratio_with_a_zero_or_negative_value_does_not_exist(pair):
    assert paired_ratio([2.0, pair[0]], [1.0, pair[1]]) is None


def test_ratio_of_very_different_pairs_has_an_infinite_upper_end():
    assert paired_ratio([1e-300, 1e300], [1.0, 1.0]).high == math.inf


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
