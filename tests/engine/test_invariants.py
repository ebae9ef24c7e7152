# SPDX-License-Identifier: MIT
"""What holds in every run: conservation, causality, exclusion, and that the host's way of
getting there leaves no trace."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings

from simulator.engine.task import Task
from tests.engine.hand import World
from tests.engine.strategies import cases
from tests.engine.tick_model import EngineSide, as_body, program

many = settings(max_examples=80, deadline=None)


def run(machine, programs, *, noted=True, ipis_of=range(10_000)):
    bodies = {cpu: as_body(ops, noted) for cpu, ops in programs.items()}
    return World(machine, ipis_of).run(bodies)


def total(histogram):
    return sum(count for _, _, count in histogram.rows())


def everything(world, *, detail=True):
    """Return all that a run has left behind."""
    phase = world.recorder.phase
    found = [
        world.flushes,
        world.cpus,
        [(task.now_ns, task.broadcast_ns, task.irqs_off_max_ns) for task in world.tasks],
        phase.time_by,
        phase.counts,
        phase.ack.rows(),
        phase.handler.rows(),
        world.page_table_lock.held_max_ns,
        world.hugetlb_lock.held_max_ns,
    ]
    return [*found, world.ipis, world.notes] if detail else found


# --- conservation and causality -----------------------------------------------------------------


@many
@given(cases())
def test_every_csd_is_executed_once_and_waited_for_once(case):
    world = run(*case)
    targets = sum(row["targets"] for row in world.flushes)
    assert targets == len(world.flushes) * (len(world.cpus) - 1)
    executed = world.recorder.counts["do_flush_tlb_all_exec_total"]
    assert executed == targets + len(world.flushes)  # the initiator's own
    assert total(world.recorder.phase.ack) == targets
    assert len(world.ipis) == targets
    assert all(not cpu.queue for cpu in world.engine.cpus)


@many
@given(cases())
def test_every_ipi_sent_is_taken_and_every_csd_was_sent_saved_or_polled(case):
    world = run(*case)
    sent = sum(row["ipis"] for row in world.flushes)
    saved = sum(row["ipis_saved"] for row in world.flushes)
    assert sent == sum(cpu["ipis"] for cpu in world.cpus.values())
    assert sent == sum(row[-1] for row in world.ipis.values())
    polled = total(world.recorder.phase.handler) - sent
    assert sent + saved + polled == len(world.ipis)


@many
@given(cases())
def test_a_csd_is_queued_then_sent_then_arrives_then_runs_then_is_read(case):
    world = run(*case)
    for (flush, _), row in world.ipis.items():
        enqueue, send, arrive, start, end, ack, _, sent = row
        broadcast = world.flushes[flush]
        assert broadcast["start_ns"] <= enqueue <= broadcast["send_end_ns"]
        if sent:
            assert enqueue <= send < arrive
            assert send <= broadcast["send_end_ns"]
        assert arrive <= start < end
        assert enqueue <= end <= ack <= broadcast["end_ns"]
    for flush, broadcast in enumerate(world.flushes):
        ends = {cpu: row[4] for (nth, cpu), row in world.ipis.items() if nth == flush}
        assert broadcast["last_ack_ns"] == max(*ends.values(), broadcast["send_end_ns"])
        slowest = broadcast["slowest_cpu"]
        assert slowest == min(cpu for cpu, end in ends.items() if end == max(ends.values()))


@many
@given(cases())
def test_time_by_category_sums_to_the_elapsed_time_of_each_task(case):
    world = run(*case)
    for task in world.tasks:
        assert sum(task.time_by.values()) == task.now_ns
        assert min(task.time_by.values()) >= 0
    phase = world.recorder.phase
    assert {sum(by.values()) for by in phase.time_by} == {phase.end_ns}


@many
@given(cases())
def test_handlers_of_a_cpu_do_not_overlap(case):
    world = run(*case)
    for cpu in world.cpus:
        rows = [row for (_, target), row in world.ipis.items() if target == cpu]
        # Within a handler the csds of its list end one after another.
        ends_by_start = {}
        for row in rows:
            ends_by_start.setdefault(row[3], []).append(row[4])
        handlers = sorted((start, max(ends)) for start, ends in ends_by_start.items())
        assert all(end <= start for (_, end), (start, _) in pairwise(handlers))


# --- interrupts off, locks -----------------------------------------------------------------------


@many
@given(cases())
def test_no_handler_runs_on_a_cpu_whose_task_has_interrupts_off(case):
    sections = []

    class Watched(Task):
        __slots__ = ()

        def irqs_off(self):
            sections.append([self.cpu.number, self.met_ns, None])
            super().irqs_off()

        def irqs_on(self):
            next(s for s in reversed(sections) if s[0] == self.cpu.number)[2] = self.met_ns
            super().irqs_on()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.engine.events.Task", Watched)
        world = run(*case)
    assert len(sections) >= len(world.flushes)
    for (_, target), row in world.ipis.items():
        start, end = row[3:5]
        for cpu, off, on in sections:
            assert cpu != target or end <= off or on <= start or on == off


class Asking(EngineSide):
    """Notes when a lock is asked for, had, and given back."""

    def lock(self, name):
        yield from self.note(f"asks {name}")
        self.locks[name].lock()
        yield from self.note(f"has {name}")

    def unlock(self, name):
        yield from self.note(f"gives {name}")
        self.locks[name].unlock()


@many
@given(cases())
def test_locks_are_held_by_one_task_at_a_time_in_the_order_of_the_requests(case):
    machine, programs = case

    def body_of(ops):
        def body(world, task):
            deque(program(Asking(world, task, noted=True), ops), maxlen=0)

        return body

    world = World(machine).run({cpu: body_of(ops) for cpu, ops in programs.items()})
    assert [note[2] for note in world.notes] == sorted(note[2] for note in world.notes)
    for name in ("ptl", "hugetlb", "resize"):
        asked = [cpu for what, cpu, _ in world.notes if what == f"asks {name}"]
        held = [note[:2] for note in world.notes if note[0] in (f"has {name}", f"gives {name}")]
        # One has it, gives it back, and only then the next one has it.
        assert held == [
            step for cpu in asked for step in ((f"has {name}", cpu), (f"gives {name}", cpu))
        ]


# --- the meeting rule ----------------------------------------------------------------------------


@many
@given(cases())
def test_the_same_case_twice_is_the_same_run(case):
    assert everything(run(*case)) == everything(run(*case))


@settings(max_examples=200, deadline=None)
@given(cases())
def test_an_event_at_every_meeting_changes_nothing(case):
    """Temporal decoupling: that a task runs ahead is seen by nobody."""
    ready = Task.ready
    forced = []

    def reluctant(task):
        stolen_ns = task.cpu.stolen_ns - task._stolen_ns
        at_key = (task.planned_ns + stolen_ns) << 14 | task._meeting
        # An event in the past is impossible, and one at this very moment has just happened.
        if at_key <= task._timeline.now:
            return ready(task)
        forced.append(at_key)
        return False

    ahead = everything(run(*case))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "ready", reluctant)
        assert everything(run(*case)) == ahead
    assume(forced)  # a case in which no time passes shows nothing


@many
@given(cases())
def test_what_is_observed_changes_nothing(case):
    """More meetings (a note after every step, every IPI recorded) and none but the necessary."""
    watched = run(*case)
    alone = run(*case, noted=False, ipis_of=())
    assert everything(alone, detail=False) == everything(watched, detail=False)
