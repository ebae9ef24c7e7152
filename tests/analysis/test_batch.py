# SPDX-License-Identifier: MIT
"""
The price of a batch
--------------------
"""

from __future__ import annotations

import pytest

from simulator.analysis.batch import BatchPrice, batch_price
from tests.made import LAPTOP, make


@pytest.fixture
def runs():
    """Two replications: 64 pages in 4 and in 12 flushes, and what the worse one of each took."""
    numbers = {"flushes": (4, 12), "ptl_held_max_ns": (900, 70), "irqs_off_max_ns": (5, 60),
               "peak_held_pages": (512, 8), "pages": (64, 64)}  # fmt: skip
    made = [make(kernel="v6.7", machine=LAPTOP, pages=64, replication=i) for i in range(2)]
    for i, run in enumerate(made):
        for name, values in numbers.items():
            run.summary[name] = values[i]
    return made


def test_the_price_is_the_worst_of_each_and_the_mean_of_all_flushes(runs):
    assert batch_price(runs, "alloc") == BatchPrice(128 / 16, 900, 60, 512)


def test_without_a_flush_nothing_is_shared_and_without_a_phase_nothing_is_paid(runs):
    for run in runs:
        run.summary["flushes"] = 0
    assert batch_price(runs, "alloc").folios_per_flush is None
    assert batch_price(runs, "demote") is None
