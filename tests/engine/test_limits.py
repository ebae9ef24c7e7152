# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
Times that no run can have
--------------------------

Oracle: the kernels below say how long they work, and 6 days are 518,400 seconds.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.errors import InputError
from simulator.kernel import load_kernel
from simulator.run import simulate
from simulator.scenario import Scenario

SIX_DAYS_NS = 518_400 * 10**9
SEVERAL = {"path": "surplus", "allocators": 3}
BOTH = pytest.mark.parametrize("engine", ["events", "compiled"])
TASKS = pytest.mark.parametrize("fields", [{}, SEVERAL], ids=["alone", "together"])


def run(kernel, engine, fields):
    return simulate(
        Scenario(machine="laptop-8", cpus=4, pages=6, kernel=kernel, engine=engine, **fields)
    )


@BOTH
@TASKS
@pytest.mark.parametrize("ns", [SIX_DAYS_NS, 2**50, 2**63, 10**30])
def test_more_than_six_days_of_work_are_one_line_with_the_category(engine, fields, ns):
    class Long(load_kernel("v6.6")):
        def pmd_populate_kernel(k, pmd, pgtable):
            super().pmd_populate_kernel(pmd, pgtable)
            k.current.work("mine", ns)

    with pytest.raises(InputError, match=r"more than 6 days are simulated.*most of it 'mine'"):
        run(Long, engine, fields)


@BOTH
@TASKS
@pytest.mark.parametrize("what", ["run_ns", "refill_ns"])
def test_calls_that_last_six_days_are_one_line(engine, fields, what):
    class Slow(load_kernel("v6.6")):
        def flush_call(k, reason, nr_pages):
            return replace(super().flush_call(reason, nr_pages), **{what: SIX_DAYS_NS})

    with pytest.raises(InputError, match=r"^time: more than 6 days are simulated"):
        run(Slow, engine, fields)


@BOTH
def test_a_call_above_six_days_is_refused_when_it_is_made(engine):
    class Slower(load_kernel("v6.6")):
        def flush_call(k, reason, nr_pages):
            return replace(super().flush_call(reason, nr_pages), run_ns=SIX_DAYS_NS + 1)

    with pytest.raises(InputError, match=r"run_ns of do_\w+\(\) for '\w+' is above"):
        run(Slower, engine, {})


@BOTH
@TASKS
def test_time_that_goes_backwards_is_one_line(engine, fields):
    class Backwards(load_kernel("v6.6")):
        def pmd_populate_kernel(k, pmd, pgtable):
            super().pmd_populate_kernel(pmd, pgtable)
            k.current.planned_ns -= 10**7
            k.current.time_by["remap"] -= 10**7

    with pytest.raises(InputError, match=r"^kernel: "):
        run(Backwards, engine, fields)
