# SPDX-License-Identifier: MIT
"""The server of flushes that no interrupt carries, by hand and by queueing theory."""

from __future__ import annotations

import random

import pytest

from simulator.engine.hardware import Fabric


def test_three_requests_at_once_are_served_one_after_another_as_by_hand():
    fabric = Fabric()
    assert fabric.serve(100, 10) == (0, 100, 110)
    assert fabric.serve(100, 10) == (1, 110, 120)
    assert fabric.serve(105, 5) == (2, 120, 125)
    # What ends in the moment of a request is not before it.
    assert fabric.serve(125, 1) == (0, 125, 126)


def test_waits_follow_lindleys_recursion():
    rng = random.Random(1)  # noqa: S311 - no secret
    fabric, now_ns, wait_ns, service_ns = Fabric(), 0, 0, 0
    for _ in range(2000):
        gap_ns = rng.randint(0, 30)
        wait_ns = max(0, wait_ns + service_ns - gap_ns)
        now_ns += gap_ns
        service_ns = rng.randint(1, 25)
        _, begin_ns, end_ns = fabric.serve(now_ns, service_ns)
        assert (begin_ns, end_ns) == (now_ns + wait_ns, now_ns + wait_ns + service_ns)


@pytest.mark.parametrize("customers", [1, 2, 5, 40])
def test_a_closed_network_reaches_its_asymptotic_bound(customers):
    # Deterministic: after a while the cycle is max(think + service, customers * service).
    think_ns, service_ns, rounds = 3200, 731, 200
    fabric = Fabric()
    ready = [0] * customers
    done = []
    for _ in range(rounds * customers):
        first = min(range(customers), key=lambda i: (ready[i], i))
        end_ns = fabric.serve(ready[first], service_ns)[2]
        ready[first] = end_ns + think_ns
        done.append(end_ns)
    cycle_ns = (done[-1] - done[-1 - customers]) if customers > 1 else done[-1] - done[-2]
    assert cycle_ns == max(think_ns + service_ns, customers * service_ns)
