# SPDX-License-Identifier: MIT
"""
Which vector a broadcast uses
-----------------------------

Oracle: smp_call_function_many_cond(), and /proc/interrupts of Linux 6.12.107.  A
machine with two CPUs is interrupted by CALL_FUNCTION_SINGLE, one with three or more
by CALL_FUNCTION.  If exactly one CPU is to be interrupted and it idles polling, no
IPI is sent: it runs its queue from the idle loop.
"""

from __future__ import annotations

import json

import pytest

from simulator.machine import Machine
from tests.kernel.helpers import constant, run

IDLE = {"idle_share": 1.0, "irqs_off_share": 0.0, "preempted_share": 0.0}


def laptop(*, polling):
    """
    Return a laptop-8 with its polling idle state alone, or without it.

    A handler ends with the call that it runs: a CPU still in it would not be idle.
    """
    data = json.loads(constant(invlpg=100, flush_full=500, huge_alloc_2m=2000).model_dump_json())
    data["idle_states"] = [s for s in data["idle_states"] if s["polling"] is polling]
    return Machine.model_validate_json(json.dumps(data))


def vectors(**fields):
    result = run(phases=("alloc", "free"), pages=3, **fields)
    return set(result.flushes["vector"]), result


@pytest.mark.parametrize("kernel", ["v6.1", "v6.12"])
@pytest.mark.parametrize("engine", ["auto", "events"])
@pytest.mark.parametrize(
    ("cpus", "vector"),
    [(1, "none"), (2, "CALL_FUNCTION_SINGLE"), (3, "CALL_FUNCTION"), (8, "CALL_FUNCTION")],
)
def test_two_cpus_use_call_function_single_and_three_call_function(kernel, engine, cpus, vector):
    found, result = vectors(kernel=kernel, engine=engine, cpus=cpus)
    assert found == {vector}
    # Static-key patching broadcasts too.
    assert (result.flushes["reason"] == "sync_core").any()


@pytest.mark.parametrize("engine", ["auto", "events"])
def test_the_only_other_cpu_gets_no_ipi_while_it_idles_polling(engine):
    found, result = vectors(machine=laptop(polling=True), noise=IDLE, cpus=2, engine=engine)
    assert found == {"none"}
    assert (result.flushes["targets"] == 1).all()
    assert (result.flushes["ipis"] == 0).all()
    assert (result.flushes["icr_writes"] == 0).all()
    # It runs the queue all the same: every flush is executed on both CPUs.
    awake = run(phases=("alloc", "free"), pages=3, cpus=2).counts
    assert result.counts.equals(awake)
    assert (result.cpus["idle_woken"].groupby(result.cpus["role"], observed=True).sum() > 0).any()


def test_the_only_other_cpu_gets_an_ipi_in_any_other_idle_state():
    found, result = vectors(machine=laptop(polling=False), noise=IDLE, cpus=2)
    assert found == {"CALL_FUNCTION_SINGLE"}
    assert (result.flushes["ipis"] == 1).all()


def test_two_cpus_that_idle_polling_get_an_ipi_each():
    found, result = vectors(machine=laptop(polling=True), noise=IDLE, cpus=3)
    assert found == {"CALL_FUNCTION"}
    assert (result.flushes["ipis"] == 2).all()


def test_a_saved_csd_that_leaves_one_cpu_makes_it_the_single_vector():
    # Several initiators: queues that are not empty need no IPI, and one CPU may be left.
    flushes = run(pages=24, path="surplus", allocators=4, cpus=4).flushes
    assert {0, 1, 3} <= set(flushes["ipis"])
    single = flushes["vector"] == "CALL_FUNCTION_SINGLE"
    assert (single == (flushes["ipis"] == 1)).all()
    assert ((flushes["vector"] == "CALL_FUNCTION") == (flushes["ipis"] > 1)).all()
