# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from simulator.draws import stream
from simulator.machine.lowered import quantiles

SHAPES = [
    pytest.param(
        quantiles.lognormal(sigma),
        stats.lognorm(sigma, scale=np.exp(-(sigma**2) / 2)),
        id=f"ln{sigma}",
    )
    for sigma in (0.1, 0.3, 1.0)
] + [
    pytest.param(quantiles.gamma(cv), stats.gamma(1 / cv**2, scale=cv**2), id=f"gamma{cv}")
    for cv in (0.3, 1.0)
]


@pytest.mark.parametrize(("table", "closed_form"), SHAPES)
def test_table_is_within_one_bin_of_the_closed_form_in_kolmogorov_distance(table, closed_form):
    cdf = closed_form.cdf(table / quantiles.ONE)
    assert np.max(np.abs(cdf - quantiles.probabilities())) < 1 / 2048
    # Between knots as well.
    low, high = table[:-1], table[1:]
    middle = closed_form.cdf((low + high) / 2 / quantiles.ONE)
    at = (quantiles.probabilities()[:-1] + quantiles.probabilities()[1:]) / 2
    assert np.max(np.abs(middle - at)) < 1 / 1024


@pytest.mark.parametrize(("table", "closed_form"), SHAPES)
def test_table_has_unit_mean_and_the_variance_of_the_closed_form(table, closed_form):
    first, second = quantiles.moments(table)
    assert first / quantiles.ONE == pytest.approx(1, abs=1e-5)
    variance = second / quantiles.ONE**2 - (first / quantiles.ONE) ** 2
    assert variance == pytest.approx(closed_form.var(), rel=0.01)


@pytest.mark.parametrize(("table", "closed_form"), SHAPES)
def test_tail_quantiles_match_the_closed_form(table, closed_form):
    for p in (0.999, 0.9999, 0.99999):
        ours = np.interp(p, quantiles.probabilities(), table) / quantiles.ONE
        assert ours == pytest.approx(closed_form.ppf(p), rel=0.01)


def test_draws_follow_their_table_by_kolmogorov_and_moments():
    table = quantiles.lognormal(0.3)
    n = 200_000
    drawn = np.sort(quantiles.draw(table, stream(12345, 0, n)))
    expected = np.interp(drawn, table, quantiles.probabilities())
    distance = np.max(np.abs(expected - (np.arange(n) + 0.5) / n))
    assert distance < 1.63 / np.sqrt(n)  # 1 % point of Kolmogorov's distribution
    assert drawn.mean() / quantiles.ONE == pytest.approx(1, abs=4 * 0.307 / np.sqrt(n))


def test_draw_of_extreme_bits_is_first_and_just_below_last_knot():
    table = quantiles.from_quantiles([(0, 0.0), (1, 2.0)])
    low, high = quantiles.draw(table, np.array([0, 2**64 - 1], dtype=np.uint64))
    assert low == 0
    assert high == pytest.approx(2 * quantiles.ONE, abs=1)


def test_draw_interpolates_in_body_and_split_bin_as_by_hand():
    table = quantiles.from_quantiles([(0, 0.0), (1, 2.0)])  # uniform: the value is 2 x probability
    for probability in (0.25, 0.25 + 0.5 / 1024, 1 - 2**-12, 1 - 2**-15):
        x = np.array([int(probability * 2**64)], dtype=np.uint64)
        assert quantiles.draw(table, x)[0] == pytest.approx(2 * probability * quantiles.ONE, abs=1)


def test_explicit_quantiles_are_kept_up_to_the_scale_of_the_mean():
    points = [(0.0, 1.0), (0.5, 2.0), (1.0, 5.0)]
    mean = 0.5 * 1.5 + 0.5 * 3.5
    table = quantiles.from_quantiles(points)
    assert table[0] == round(1.0 / mean * quantiles.ONE)
    assert table[512] == round(2.0 / mean * quantiles.ONE)
    assert table[-1] == round(5.0 / mean * quantiles.ONE)


def test_tables_never_decrease():
    for table in (quantiles.lognormal(2.0), quantiles.gamma(2.0)):
        assert np.all(np.diff(table) >= 0)


def test_tables_that_are_kept_are_the_inverse_of_scipys_incomplete_gamma_function():
    p = quantiles.probabilities()
    p[0], p[-1] = 2.0**-12, 1 - 2.0**-22
    kept = list(Path(quantiles.__file__).parent.glob("gamma-*.npy"))
    assert kept
    for file in kept:
        cv = float(file.stem.removeprefix("gamma-"))
        knots = special.gammaincinv(1 / cv**2, p)
        mean, _ = quantiles.moments(knots)
        assert np.array_equal(quantiles.gamma(cv), np.floor(knots / mean * quantiles.ONE + 0.5))
