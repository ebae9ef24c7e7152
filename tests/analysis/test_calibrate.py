# SPDX-License-Identifier: MIT
"""The fit on toy models: against SciPy's curve_fit, closed forms, and coverage by repetition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from simulator.analysis.calibrate import Parameter, fit

X = np.array([1.0, 2.0, 3.0, 5.0, 8.0])


def line(values):
    return values[0] + values[1] * X


def parameters(high=100.0):
    return [Parameter("a", 20.0, 0.0, high), Parameter("b", 20.0, 0.0, high)]


def measured(seed, share=0.02):
    noise = np.random.default_rng(seed).standard_normal(len(X))
    return (line((30.0, 7.0)) * (1 + share * noise)).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_values_and_covariance_are_those_of_curve_fit(seed):
    times = measured(seed)
    found = fit(line, parameters(), times)
    values, covariance = curve_fit(
        lambda x, a, b: a + b * x, X, times, p0=(20.0, 20.0), sigma=times, absolute_sigma=False
    )
    assert found.values == pytest.approx(values, rel=1e-5)
    assert np.array(found.covariance) == pytest.approx(covariance, rel=1e-4)
    assert found.degrees_of_freedom == len(X) - 2
    for e, variance in zip(found.estimated, np.diag(covariance), strict=True):
        assert e.standard_error == pytest.approx(math.sqrt(variance), rel=1e-4)


def test_the_95_percent_interval_holds_the_truth_in_95_percent_of_repetitions():
    runs = 300
    held = sum(
        e.low <= 7.0 <= e.high
        for seed in range(runs)
        for e in fit(line, parameters(), measured(seed)).estimated[1:]
    )
    # Four standard deviations of a binomial count.
    assert abs(held - 0.95 * runs) < 4 * math.sqrt(runs * 0.95 * 0.05)


def test_an_interval_that_the_plausible_range_cuts_says_so():
    times = measured(0)
    free, _ = fit(line, parameters(), times).estimated
    assert free.note(3) == ""
    # The range ends between the value and the end of the interval that the data alone give.
    high = (free.value + free.high) / 2
    cut, _ = fit(line, parameters(high), times).estimated
    assert (cut.value, cut.low) == pytest.approx((free.value, free.low), rel=1e-3)
    assert (cut.high, cut.bound) == (high, None)
    assert cut.note(3) == "the interval goes on beyond the high end of the plausible range"


def test_as_many_parameters_as_timings_are_met_exactly_and_have_no_interval():
    found = fit(lambda v: line(v)[:2], parameters(), [37.0, 44.0])
    assert found.values == pytest.approx((30.0, 7.0), rel=1e-5)
    assert found.residuals == pytest.approx((0, 0), abs=1e-6)
    assert (found.rank, found.degrees_of_freedom, found.covariance) == (2, 0, None)
    for e in found.estimated:
        assert (e.standard_error, e.low, e.high) == (None, None, None)
        assert e.note(found.degrees_of_freedom) == "no interval: as many parameters as timings"


def test_of_a_sum_only_the_sum_is_identified():
    def total(values):
        return [values[0] + values[1], values[0] + values[1], 2 * values[2]]

    third = Parameter("c", 20.0, 0.0, 100.0)
    found = fit(total, [*parameters(), third], [60.0, 61.0, 30.0])
    a, b, c = found.estimated
    assert found.rank == 2
    assert a.value + b.value == pytest.approx(60.5, rel=1e-3)
    # Both started at 20: what the data do not ask for does not move.
    assert a.value == pytest.approx(b.value, rel=1e-6)
    assert (a.confounded, b.confounded, c.confounded) == (("b",), ("a",), ())
    assert not a.identified
    assert c.identified
    assert (a.standard_error, a.low, b.high) == (None, None, None)
    # Two values are decided by three timings.
    assert found.degrees_of_freedom == 1
    assert c.value == pytest.approx(15.0, rel=1e-5)
    assert c.standard_error is not None
    assert a.note(1) == "not identified: cannot be told from b"


def test_a_small_part_of_a_sum_is_not_identified_either():
    # Its whole range is 2 % of that of the large one.
    small = Parameter("small", 60.0, 20.0, 200.0)
    large = Parameter("large", 5000.0, 1000.0, 10000.0)
    found = fit(lambda v: [v[0] + v[1]] * 3, [small, large], [7000.0, 7010.0, 7020.0])
    assert found.rank == 1
    assert [e.confounded for e in found.estimated] == [("large",), ("small",)]
    one, other = found.values
    assert one + other == pytest.approx(7010, rel=1e-3)
    # The shortest way there, in units of the ranges.
    step = (7010 - 5060) / (180**2 + 9000**2)
    assert one == pytest.approx(60 + step * 180**2, abs=0.5)


def test_what_no_timing_depends_on_stays_where_it_was():
    unseen = Parameter("unseen", 42.0, 0.0, 100.0)
    found = fit(line, [*parameters(), unseen], measured(1))
    *seen, e = found.estimated
    assert e.value == 42.0
    assert e.invisible
    assert e.note(3) == "not identified: no timing depends on it; left as it was"
    assert found.degrees_of_freedom == 3
    assert all(e.identified and e.low is not None for e in seen)


def test_a_value_that_cannot_be_reached_stops_at_the_end_of_its_range():
    found = fit(line, [Parameter("a", 20.0, 0.0, 25.0), parameters()[1]], measured(2, share=0.001))
    a, b = found.estimated
    assert (a.value, a.bound, a.standard_error) == (25.0, "high", None)
    assert a.note(4) == "at the high end of its range: the timings ask for more"
    # The other is fitted given that: least squares with one unknown.
    times = np.array(measured(2, share=0.001))
    slope = X / times
    assert b.value == pytest.approx(slope @ (1 - 25.0 / times) / (slope @ slope), rel=1e-4)
    assert b.standard_error is not None
    assert (found.rank, found.decided, found.degrees_of_freedom) == (2, 1, len(X) - 1)


def test_a_timing_out_of_reach_decides_nothing_and_is_left_over():
    found = fit(lambda v: [v[0]], [Parameter("a", 20.0, 0.0, 25.0)], [100.0])
    assert found.estimated[0].bound == "high"
    assert (found.decided, found.degrees_of_freedom) == (0, 1)


def test_a_model_in_steps_is_fitted_across_the_steps():
    # Simulated times are whole nanoseconds per call.
    found = fit(
        lambda v: [round(v[0]) + round(v[1]) * x for x in X.tolist()],
        [Parameter("a", 200.0, 0.0, 1000.0), Parameter("b", 200.0, 0.0, 1000.0)],
        line((300.0, 70.0)).tolist(),
    )
    assert found.values == pytest.approx((300.0, 70.0), abs=1.5)


@pytest.mark.parametrize("times", [[], [1.0, 0.0], [1.0, float("nan")]])
def test_there_is_nothing_to_fit_to_no_times(times):
    with pytest.raises(ValueError, match=r"time|data"):
        fit(line, parameters(), times)
    with pytest.raises(ValueError, match="range"):
        Parameter("a", 1.0, 1.0, 1.0)
