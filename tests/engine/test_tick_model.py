# SPDX-License-Identifier: MIT
"""The events engine against a model that looks at every nanosecond."""

from __future__ import annotations

from hypothesis import given, settings

from tests.engine.hand import HandMachine, World
from tests.engine.strategies import cases
from tests.engine.tick_model import TickModel, as_body

FLUSH_COLUMNS = (
    "cpu", "start_ns", "send_end_ns", "last_ack_ns", "end_ns", "targets", "ipis", "ipis_saved",
    "icr_writes", "slowest_cpu",
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(cases())
def test_every_time_is_that_of_the_tick_model(case):
    machine, programs = case
    ticks = TickModel(machine, programs)
    world = World(machine).run({cpu: as_body(ops) for cpu, ops in programs.items()})
    assert [{name: row[name] for name in FLUSH_COLUMNS} for row in world.flushes] == ticks.flushes
    assert world.ipis == ticks.ipis
    assert world.notes == ticks.notes
    for task in world.tasks:
        cpu = ticks.cpus[task.cpu.number]
        assert (task.now_ns, task.time_by["interrupted"]) == (cpu.ended, cpu.interrupted)
    for number, cpu in world.cpus.items():
        ticked = ticks.cpus[number]
        assert (cpu["ipis"], cpu["handler_ns"]) == (ticked.ipis, ticked.handler_ns)


def test_the_tick_model_itself_agrees_with_a_trace_worked_by_hand():
    """The first trace of test_traces.py."""
    ticks = TickModel(HandMachine(2), {0: [("work", 1000), ("flush", 50, 0)]})
    assert ticks.ipis == {(0, 1): (1013, 1038, 1138, 1138, 1228, 1230, "running", True)}
    row = ticks.flushes[0]
    assert [row[f"{name}_ns"] for name in ("start", "send_end", "last_ack", "end")] == [
        1000, 1038, 1228, 1230,
    ]  # fmt: skip
    assert ticks.cpus[1].handler_ns == 40 + 50 + 30
