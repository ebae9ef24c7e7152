# SPDX-License-Identifier: MIT
"""Medians with order statistics, against the published table and the binomial distribution."""

from __future__ import annotations

from math import comb

import pytest

from simulator.measure import median_of

# Ranks of the 95 % interval of a median, from the usual table (Conover, table of sign test).
RANKS = {6: (1, 6), 8: (1, 8), 9: (2, 8), 10: (2, 9), 15: (4, 12), 20: (6, 15), 25: (8, 18)}


@pytest.mark.parametrize("n", RANKS)
def test_the_interval_has_the_ranks_of_the_table(n):
    median = median_of([float(value) for value in range(n, 0, -1)])
    assert (median.low_ns, median.high_ns) == RANKS[n]
    assert median.value_ns == (n + 1) / 2


@pytest.mark.parametrize("n", range(6, 60))
def test_the_interval_holds_95_percent_and_the_next_narrower_one_does_not(n):
    median = median_of(range(1, n + 1))

    def held(low):
        return sum(comb(n, k) for k in range(low, n - low + 1)) / 2**n

    low = int(median.low_ns)
    assert median.high_ns == n + 1 - low
    assert held(low) >= 0.95 > held(low + 1)


def test_below_six_rounds_there_is_no_interval():
    assert median_of([3.0, 1.0, 2.0, 5.0, 4.0]).low_ns is None
