# SPDX-License-Identifier: MIT
from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.machine import Distance, load_machine, load_noise, lower
from simulator.machine.schema import Costs

QUIET = load_noise("quiet")
VM = load_machine("epyc-7j13-vm252")
XEON = load_machine("xeon-e7-8895-8s")
LAPTOP = load_machine("laptop-8")


def test_every_cost_of_a_profile_is_lowered():
    lowered = lower(VM, 8, QUIET, 1, 0).costs
    for name, cost in VM.costs:
        near = getattr(cost, "core", cost)
        assert lowered[name].name == name
        assert lowered[name].mean_fp[0] == pytest.approx(1024 * near.exact_ns, abs=0.5)
    assert list(Costs.model_fields) == [name for name, _ in lowered]


def test_n_times_a_cost_is_rounded_once():
    laptop = lower(LAPTOP.with_values({"costs.set_pte": 1.74}), 8, QUIET, 1, 0)
    # 512 x 1.74 = 890.88; rounding each would give 1024.
    assert laptop.costs.set_pte.ns(512) == 891
    assert laptop.costs.set_pte.ns() == 2


def test_half_a_nanosecond_rounds_up():
    laptop = lower(LAPTOP.with_values({"costs.set_pte": 2.5}), 8, QUIET, 1, 0)
    assert laptop.costs.set_pte.ns() == 3


def test_cost_by_distance_is_the_one_of_the_profile():
    costs = lower(XEON, 288, QUIET, 1, 0).costs
    assert [costs.cache_line.ns(10, d) for d in Distance] == [76, 440, 1180, 1920]
    assert costs.send.ns(1, Distance.HOP2) == costs.send.ns() == 80


def test_distances_that_a_machine_has_not_repeat_its_farthest():
    line = lower(LAPTOP, 8, QUIET, 1, 0).costs.cache_line
    assert line.ns(1, Distance.HOP2) == line.ns(1, Distance.SOCKET) == 47


def test_draws_without_spread_are_the_plain_row_of_distances():
    p = lower(XEON, 288, QUIET, 1, 0)
    row = p.ipi_draws("cache_line", 7, 3)
    assert row.tolist() == [p.costs.cache_line.ns(1, d) for d in p.distance[7]]
    assert p.work_draws("page_alloc", 0, 4).tolist() == [150] * 4


def test_mean_and_cv_of_ipi_draws_are_those_of_the_profile():
    p = lower(VM, 252, QUIET, 1, 0)
    drawn = np.concatenate([p.ipi_draws("inject", 0, flush) for flush in range(400)])
    mean_ns = VM.costs.inject.value * 1000
    assert drawn.mean() == pytest.approx(mean_ns, abs=5 * 0.3 * mean_ns / np.sqrt(drawn.size))
    assert drawn.std() / drawn.mean() == pytest.approx(0.3, rel=0.02)


def test_mean_of_work_draws_is_that_of_the_profile():
    p = lower(VM, 8, QUIET, 1, 0)
    drawn = p.work_draws("huge_alloc_2m", 0, 50_000)
    assert drawn.mean() == pytest.approx(p.costs.huge_alloc_2m.ns(), rel=0.003)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 64), st.integers(0, 63))
def test_work_draws_belong_to_their_items_however_they_are_asked_for(first, count, skip):
    p = lower(LAPTOP, 8, QUIET, 1, 0)
    block = p.work_draws("huge_alloc_2m", first, count)
    at = skip % count
    assert p.work_draws("huge_alloc_2m", first + at, 1)[0] == block[at]


@settings(max_examples=50, deadline=None)
@given(st.permutations([(i, f) for i in range(3) for f in range(3)]))
def test_ipi_draws_do_not_depend_on_the_order_of_flushes(order):
    p = lower(LAPTOP, 8, QUIET, 1, 0)
    drawn = {key: p.ipi_draws("enqueue", *key).tolist() for key in order}
    assert drawn == {key: p.ipi_draws("enqueue", *key).tolist() for key in sorted(order)}


def test_draws_for_a_cpu_do_not_depend_on_the_number_of_cpus():
    few, many = lower(VM, 16, QUIET, 1, 0), lower(VM, 252, QUIET, 1, 0)
    assert few.ipi_draws("inject", 2, 9).tolist() == many.ipi_draws("inject", 2, 9)[:16].tolist()


def test_draws_differ_by_seed_replication_purpose_initiator_and_flush():
    p = lower(VM, 64, QUIET, 1, 0)
    rows = [
        p.ipi_draws("inject", 0, 0),
        p.ipi_draws("inject", 0, 1),
        p.ipi_draws("inject", 1, 0),
        lower(VM, 64, QUIET, 2, 0).ipi_draws("inject", 0, 0),
        lower(VM, 64, QUIET, 1, 1).ipi_draws("inject", 0, 0),
    ]
    assert len({row.tobytes() for row in rows}) == len(rows)
    purposes = {cost.purpose for _, cost in p.costs}
    assert len(purposes) == len(Costs.model_fields)


def test_noise_does_not_change_the_draws_of_costs():
    quiet, busy = (lower(VM, 8, load_noise(n), 1, 0) for n in ("quiet", "busy"))
    assert quiet.ipi_draws("inject", 0, 0).tolist() == busy.ipi_draws("inject", 0, 0).tolist()


def test_idle_state_is_the_deepest_whose_residency_fits():
    # Haswell: C1 2 us, C1E 20, C3 100, C6 400.
    p = lower(XEON, 8, QUIET, 1, 0)
    chosen = [p.idle_state(us * 1000).name for us in (0, 2, 19, 20, 99, 100, 399, 400, 9000)]
    assert chosen == ["C1", "C1", "C1", "C1E", "C1E", "C3", "C3", "C6", "C6"]
    assert p.idle_state(9_000_000).exit_ns == 133_000


def test_memory_is_in_bytes_per_node():
    assert lower(VM, 8, QUIET, 1, 0).node_memory_bytes == 2**40
    for machine in (VM, XEON):
        assert machine.nr_nodes * machine.memory.node_memory.exact_bytes >= 2**40


def test_a_pickled_platform_draws_the_same():
    p = lower(VM, 32, QUIET, 1, 0)
    copy = pickle.loads(pickle.dumps(p))  # our own object
    assert copy.ipi_draws("inject", 0, 0).tolist() == p.ipi_draws("inject", 0, 0).tolist()


@pytest.mark.parametrize("nr_cpus", [0, -1, 9])
def test_cpus_that_the_machine_has_not_are_refused(nr_cpus):
    with pytest.raises(InputError, match=r"^cpus: -?\d+ is not 1 to 8, the CPUs of laptop-8$"):
        lower(LAPTOP, nr_cpus, QUIET, 1, 0)


def test_negative_seed_is_refused():
    with pytest.raises(InputError, match=r"^seed: -1 is not 0 to"):
        lower(LAPTOP, 8, QUIET, -1, 0)
