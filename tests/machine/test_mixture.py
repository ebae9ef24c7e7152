# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.machine.lowered.quantiles import from_quantiles, moments
from simulator.machine.mixture import constant, mean, mixture, pareto, scaled

UNIFORM = [(0.0, 0.0), (1.0, 10.0)]


def cdf(points, x):
    """P(L <= x) by the points, an atom counted in."""
    p, v = np.array(points).T
    return np.max(p[v <= x], initial=0.0) if x in v else np.interp(x, v, p, left=0, right=1)


def test_mixture_of_two_atoms_is_two_atoms():
    assert mixture([(1.0, constant(2.0)), (3.0, constant(6.0))]) == [
        (0.0, 2.0), (0.25, 2.0), (0.25, 6.0), (1.0, 6.0),
    ]  # fmt: skip


def test_mixture_of_uniforms_is_piecewise_linear():
    # Half on (0, 10), half on (5, 15): 5 at 1/4, 10 at 3/4.
    shifted = [(0.0, 5.0), (1.0, 15.0)]
    assert mixture([(1.0, UNIFORM), (1.0, shifted)]) == [
        (0.0, 0.0), (0.25, 5.0), (0.75, 10.0), (1.0, 15.0),
    ]  # fmt: skip


def test_weight_zero_is_absent():
    assert mixture([(0.0, constant(99.0)), (2.0, UNIFORM)]) == UNIFORM


distributions = st.lists(st.integers(0, 50), min_size=2, max_size=6).map(
    lambda values: [(i / (len(values) - 1), float(v)) for i, v in enumerate(sorted(values))]
)


@given(st.lists(st.tuples(st.integers(1, 9), distributions), min_size=1, max_size=4))
def test_cdf_and_mean_of_a_mixture_are_the_weighted_ones(parts):
    points = mixture([(float(w), d) for w, d in parts])
    total = sum(w for w, _ in parts)
    assert mean(points) == pytest.approx(sum(w * mean(d) for w, d in parts) / total, abs=1e-9)
    for x in (0.5, 3.5, 10.5, 30.5):
        wanted = sum(w * cdf(d, x) for w, d in parts) / total
        assert cdf(points, x) == pytest.approx(wanted, abs=1e-9)
    p, v = np.array(points).T
    assert (np.diff(p) >= -1e-12).all()
    assert (np.diff(v) >= 0).all()


@pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (97.0, 1000.0), (3.0, 300.0)])
def test_pareto_has_its_closed_forms(low, high):
    points = pareto(low, high)
    for p, v in points:
        above = (v**-2 - high**-2) / (low**-2 - high**-2)
        assert 1 - p == pytest.approx(above, abs=1e-12)
    assert (points[0], points[-1]) == ((0.0, low), (1.0, high))
    # Straight lines lie a little outside the curve.
    closed = 2 * low * high / (low + high)
    assert closed <= mean(points) < 1.05 * closed


def test_table_of_an_atom_beside_a_tail_has_the_moments_of_both():
    points = mixture([(0.95, constant(1.0)), (0.05, [(0.0, 10.0), (1.0, 20.0)])])
    first, second = moments(from_quantiles(points))
    m1, m2 = 0.95 + 0.05 * 15, 0.95 + 0.05 * (100 + 200 + 400) / 3
    assert mean(points) == pytest.approx(m1)
    # A jump of the value is spread over one of the table's 1024 bins.
    assert second / first**2 == pytest.approx(m2 / m1**2, rel=0.02)


def test_scaled_moves_values_alone():
    assert scaled(UNIFORM, 3.0) == [(0.0, 0.0), (1.0, 30.0)]
