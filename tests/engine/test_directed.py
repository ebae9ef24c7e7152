# SPDX-License-Identifier: MIT
"""
One situation each, to the nanosecond
-------------------------------------

Costs and rows as in test_traces.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.engine.calls import Call
from tests.engine.hand import (
    FULL,
    HandIdle,
    HandMachine,
    HandSpells,
    World,
    flush_at,
    flush_row,
    pick,
    works,
)

ALWAYS = [(0, 10**6)]
POLLING = (HandIdle(exit_ns=7, polling=True),)
SHALLOW_AND_DEEP = (HandIdle(exit_ns=10), HandIdle(exit_ns=300, residency_ns=1000))


def holds(lock, request_ns, hold_ns, inside=None):
    """Return a body that takes a lock at a time and holds it for so long."""

    def body(world, task):
        taken = getattr(world, lock)
        task.work("bookkeeping", request_ns)
        taken.lock()
        world.note("got", task)
        task.work("bookkeeping", hold_ns)
        taken.unlock()
        world.note("released", task)

    return body


# --- the call queue -------------------------------------------------------------------


def test_a_shorthand_is_broken_by_one_ipi_saved():
    """
    CPU 2 has interrupts off until 5000.  CPU 0's flush at 1000 reaches everybody by
    one write: sent at 1044, 1049 and 1054.  CPU 1 is in its handler from 1144 to
    1264, and flushes at 1880 + 120 = 2000:

    ==== =====================================================================
    2013 csd on CPU 0; 2016 on CPU 2, whose queue still holds CPU 0's: no IPI;
         2019 on CPU 3
    2044 all but self is not all the others: a write for CPU 0, 2069 one for CPU 3
    2144 CPU 0: list 2184, free 2234; 2169 CPU 3: list 2209, free 2259
    5000 CPU 2: list 5040, free 5090 (CPU 0's) and 5140 (CPU 1's)
    5092 CPU 0 has read CPU 2's csd, and CPU 3's at 5094
    5142 CPU 1 has read CPU 2's csd, and CPU 3's at 5144
    ==== =====================================================================
    """
    machine = HandMachine(4, writes="shorthand", spells=HandSpells(irqs_off={2: [(900, 5000)]}))
    world = World(machine).run({0: flush_at(1000), 1: flush_at(1880)})
    assert [pick(row, "ipis", "ipis_saved", "icr_writes") for row in world.flushes] == [
        (3, 0, 1),
        (2, 1, 2),
    ]
    assert world.ipis == {
        (0, 1): (1013, 1044, 1144, 1144, 1234, 1236, "running", True),
        (0, 2): (1016, 1049, 1149, 5000, 5090, 5092, "irqs_off", True),
        (0, 3): (1019, 1054, 1154, 1154, 1244, 5094, "running", True),
        (1, 0): (2013, 2044, 2144, 2144, 2234, 2236, "running", True),
        (1, 2): (2016, -1, 1149, 5000, 5140, 5142, "irqs_off", False),
        (1, 3): (2019, 2069, 2169, 2169, 2259, 5144, "running", True),
    }
    assert world.cpus[2]["irqs_off_delay_ns"] == 5000 - 1149


def test_a_csd_that_comes_before_the_list_is_taken_needs_no_ipi():
    """
    CPU 2's handler for CPU 0's flush starts at 1166 and takes the list at 1206.
    CPU 1 (whom CPU 0's IPI reaches much later) starts at 1189 and puts its csd there
    at 1205: it is run by the handler under way, free at 1206 + 50 + 50.
    """
    machine = HandMachine(3, to_cpu={"deliver": {1: 5000}})
    world = World(machine).run({0: flush_at(1000), 1: flush_at(1189)})
    assert world.ipis[1, 2] == (1205, -1, 1166, 1166, 1306, 1424, "running", False)


def test_a_csd_that_comes_when_the_list_is_taken_needs_a_new_ipi():
    """
    One nanosecond later than above, csd at 1206: within a nanosecond the handler takes
    its list first.  Sent to CPU 0 at 1231 and to CPU 2 at 1256; arrives at 1356, after
    the end of the first handler at 1286; list 1396, free 1446.
    """
    machine = HandMachine(3, to_cpu={"deliver": {1: 5000}})
    world = World(machine).run({0: flush_at(1000), 1: flush_at(1190)})
    assert world.ipis[1, 2] == (1206, 1256, 1356, 1356, 1446, 1448, "running", True)
    assert world.cpus[2]["ipis"] == 2


def test_two_csds_for_one_cpu_in_one_nanosecond_lower_initiator_first():
    """Both at 1016: CPU 0 finds CPU 2's queue empty, CPU 1 does not; run in that order."""
    world = World(HandMachine(3)).run({1: flush_at(1000), 0: flush_at(1000)})
    by_initiator = {row["cpu"]: row["flush"] for row in world.flushes}
    first, second = (world.ipis[by_initiator[cpu], 2] for cpu in (0, 1))
    assert (first[0], first[-1], first[4]) == (1016, True, 1256)
    assert (second[0], second[-1], second[4]) == (1016, False, 1306)


def test_a_handler_entry_takes_a_nanosecond_at_least():
    """Arrives at 1138, takes the list at 1139, free at 1189, read at 1191."""
    world = World(HandMachine(2, ns={"handler_entry": 0})).run({0: flush_at(1000)})
    assert flush_row(world) == (1000, 1038, 1189, 1191)


def test_an_ipi_takes_a_nanosecond_at_least():
    """All of send, inject and deliver 0: sent at 1013, taken at 1014, free at 1104."""
    machine = HandMachine(2, ns={"send": 0, "inject": 0, "deliver": 0})
    world = World(machine).run({0: flush_at(1000)})
    assert world.ipis[0, 1] == (1013, 1013, 1014, 1014, 1104, 1106, "running", True)


# --- interrupts off on the way ----------------------------------------------------------


def test_an_ipi_that_comes_during_the_send_segment_waits_for_its_end():
    """
    ==== =====================================================================
     882 CPU 1: start; csd on CPU 0 at 895, sent at 920, local until 970
    1000 CPU 0: start; csd on CPU 1 at 1013; interrupts off until it is sent at 1038
    1020 CPU 1's IPI arrives at CPU 0 and waits
    1038 CPU 0 has sent; its handler: list 1078, free 1128, done 1158
    1130 CPU 1's flush has ended
    1138 CPU 1's handler: list 1178, free 1228
    1158 CPU 0's local flush until 1208; then it waits for 1228 and reads
    ==== =====================================================================
    """
    world = World(HandMachine(2)).run({0: flush_at(1000), 1: flush_at(882)})
    assert world.ipis == {
        (0, 0): (895, 920, 1020, 1038, 1128, 1130, "irqs_off", True),
        (1, 1): (1013, 1038, 1138, 1138, 1228, 1230, "running", True),
    }
    assert flush_row(world, 1) == (1000, 1038, 1228, 1230)
    assert world.tasks[0].time_by["interrupted"] == 120
    assert world.cpus[0]["irqs_off_delay_ns"] == 18


def test_an_ipi_that_comes_during_the_local_flush_waits_for_its_end():
    """
    ==== =====================================================================
     912 CPU 1: start; csd on CPU 0 at 925, sent at 950, local until 1000
    1038 CPU 0, which started at 1000, has sent; local until 1088, interrupts off
    1050 CPU 1's IPI arrives at CPU 0 and waits
    1088 CPU 0's handler: list 1128, free 1178, done 1208
    1138 CPU 1's handler: list 1178, free 1228, done 1258: it reads then, until 1260
    1208 CPU 0 waits for 1228 and reads
    ==== =====================================================================
    """
    world = World(HandMachine(2)).run({0: flush_at(1000), 1: flush_at(912)})
    assert world.ipis == {
        (0, 0): (925, 950, 1050, 1088, 1178, 1260, "irqs_off", True),
        (1, 1): (1013, 1038, 1138, 1138, 1228, 1230, "running", True),
    }
    assert world.tasks[0].time_by["interrupted"] == 120
    assert world.tasks[0].time_by["flush_wait"] == 22


def test_an_acknowledgement_is_held_up_by_hugetlb_lock_of_another_task():
    """
    CPU 1 takes hugetlb_lock at 1000 (1 + 4) and holds it for 595: interrupts are on
    again at 1600.  CPU 0's IPI, there since 1138, starts then: free at 1690.
    """
    world = World(HandMachine(2)).run({0: flush_at(1000), 1: holds("hugetlb_lock", 1000, 595)})
    assert world.ipis[0, 1] == (1013, 1038, 1138, 1600, 1690, 1692, "irqs_off", True)
    assert world.notes == [("got", 1, 1005), ("released", 1, 1720)]
    assert world.tasks[1].irqs_off_max_ns == 600
    assert world.cpus[1]["irqs_off_delay_ns"] == 1600 - 1138


def test_an_acknowledgement_is_held_up_by_a_task_that_waits_for_hugetlb_lock():
    """
    CPU 1 as above, and CPU 2 asks for the lock at 1100.  It spins with interrupts off:
    the lock is handed over at 1608, + 4, held for 88: interrupts are on at 1700.
    CPU 0's IPIs arrive at 1141 and 1166 and start at 1600 and 1700.
    """
    world = World(HandMachine(3)).run(
        {
            0: flush_at(1000),
            1: holds("hugetlb_lock", 1000, 595),
            2: holds("hugetlb_lock", 1100, 88),
        }
    )
    assert world.ipis == {
        (0, 1): (1013, 1041, 1141, 1600, 1690, 1692, "irqs_off", True),
        (0, 2): (1016, 1066, 1166, 1700, 1790, 1792, "irqs_off", True),
    }
    assert world.notes == [
        ("got", 1, 1005), ("got", 2, 1612), ("released", 1, 1720), ("released", 2, 1820),
    ]  # fmt: skip
    assert world.tasks[2].time_by["hugetlb_lock"] == 512
    assert world.tasks[2].irqs_off_max_ns == 600


def test_a_flush_with_interrupts_off_is_an_error():
    def body(world, task):
        task.local_irq_disable()
        world.flush(task)

    with pytest.raises(RuntimeError, match="interrupts off"):
        World(HandMachine(2)).run({0: body})


def test_a_flush_under_hugetlb_lock_is_an_error():
    def body(world, task):
        world.hugetlb_lock.lock()
        world.flush(task)

    with pytest.raises(RuntimeError, match="interrupts off"):
        World(HandMachine(2)).run({0: body})


# --- locks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release_ns", "got_ns"),
    [
        (1100, 1108),  # 8 for the hand-off
        (1157, 1165),
        (1158, 1286),  # due at 1166, and the IPI arrives first
        (1200, 1286),
        (1278, 1286),
        (1279, 1287),
    ],
)
def test_a_lock_waiter_gets_the_lock_at_the_hand_off_or_at_the_end_of_its_handler(
    release_ns, got_ns
):
    """
    CPU 0 holds the lock until ``release_ns``, CPU 1 asks for it at 100.  CPU 2's flush
    at 1000 has CPU 1 in a handler from 1166 to 1286, and reaches CPU 0 only later.
    A waiter that is in no handler when it gets the lock holds it for 10 and is then
    interrupted, or is not.
    """
    machine = HandMachine(3, to_cpu={"deliver": {0: 50_000}})
    world = World(machine).run(
        {
            0: holds("page_table_lock", 0, release_ns - 1),
            1: holds("page_table_lock", 100, 1000),
            2: flush_at(1000),
        }
    )
    assert world.ipis[0, 1][3:5] == (1166, 1256)
    assert ("got", 1, got_ns) in world.notes
    assert world.tasks[1].time_by["page_table_lock"] == got_ns - 100
    interrupted_ns = 120 if got_ns < 1166 else 0
    assert world.tasks[1].time_by["interrupted"] == interrupted_ns
    assert ("released", 1, got_ns + 1000 + interrupted_ns) in world.notes
    assert world.page_table_lock.held_max_ns == max(release_ns, 1000 + interrupted_ns)


def test_spinlock_waiters_are_served_in_the_order_in_which_they_asked():
    """
    CPU 2 asks first, CPUs 1 and 3 in the same nanosecond (1 before 3), CPU 4 last.
    CPU 0 releases at 1000; each hand-off is 8, each holds for 50.
    """
    asked_ns = {0: 0, 4: 400, 3: 300, 2: 200, 1: 300}
    world = World(HandMachine(5)).run(
        {cpu: holds("page_table_lock", ns, 50 if cpu else 999) for cpu, ns in asked_ns.items()}
    )
    got = [(cpu, ns) for what, cpu, ns in world.notes if what == "got"]
    assert got == [(0, 1), (2, 1008), (1, 1066), (3, 1124), (4, 1182)]


@pytest.mark.parametrize(
    ("owner", "other", "got_ns"),
    [
        (0, 1, 1008),  # the release comes first: a free lock, whose line is moved
        (1, 0, 1500),  # the request comes first: it sleeps, and costs a wake-up
    ],
)
def test_a_release_and_a_request_in_one_nanosecond_lower_cpu_first(owner, other, got_ns):
    world = World(HandMachine(2)).run(
        {owner: holds("resize_lock", 0, 999), other: holds("resize_lock", 1000, 10)}
    )
    assert ("got", other, got_ns) in world.notes


def test_a_lock_costs_an_atomic_operation_here_and_a_transfer_elsewhere():
    """CPU 0 takes the lock twice (1 each), then CPU 1 (8), then CPU 0 again (8)."""

    def first(world, task):
        for at_ns in (100, 200, 400):
            task.sleep_until(at_ns, "sleep")
            world.page_table_lock.lock()
            world.note("got", task)
            world.page_table_lock.unlock()

    world = World(HandMachine(2)).run({0: first, 1: holds("page_table_lock", 300, 0)})
    assert [ns for what, _, ns in world.notes if what == "got"] == [101, 201, 308, 408]


def test_the_line_of_a_mutex_is_with_whom_it_was_handed_to():
    """
    CPU 0 takes the mutex at 0 (1) and releases it at 1001; CPU 1, asleep since 100, has
    it at 1501, and again at 1511 (1 more: its line is here).  CPU 0 takes it at 3001,
    and the line comes from CPU 1 (8).
    """

    def first(world, task):
        holds("resize_lock", 0, 1000)(world, task)
        holds("resize_lock", 2000, 0)(world, task)

    def second(world, task):
        holds("resize_lock", 100, 10)(world, task)
        holds("resize_lock", 0, 10)(world, task)

    world = World(HandMachine(2)).run({0: first, 1: second})
    assert [(cpu, ns) for what, cpu, ns in world.notes if what == "got"] == [
        (0, 1), (1, 1501), (1, 1512), (0, 3009),
    ]  # fmt: skip


def test_readers_of_an_rwsem_pay_for_its_line_and_wait_for_nobody():
    """CPU 0 enters at 100 (1) and stays; CPU 1 enters at 200 (8)."""
    machine = HandMachine(2)

    def reader(at_ns):
        def body(world, task):
            task.work("bookkeeping", at_ns)
            world.mmap_lock.down_read()
            world.note("in", task)
            task.work("bookkeeping", 10_000)
            world.mmap_lock.up_read()

        return body

    world = World(machine).run({0: reader(100), 1: reader(200)})
    assert world.notes == [("in", 0, 101), ("in", 1, 208)]


def test_a_lock_that_is_never_released_is_an_error():
    def keeps(world, task):
        world.page_table_lock.lock()

    with pytest.raises(RuntimeError, match="deadlock"):
        World(HandMachine(2)).run({0: keeps, 1: holds("page_table_lock", 10, 0)})


# --- ties of interrupts -------------------------------------------------------------------


@pytest.mark.parametrize(("work_ns", "done_ns"), [(1137, 1137), (1138, 1258), (1139, 1259)])
def test_an_ipi_that_arrives_when_a_task_meets_comes_first(work_ns, done_ns):
    """CPU 0's IPI arrives at CPU 1 at 1138; its handler takes 120."""
    world = World(HandMachine(2)).run({0: flush_at(1000), 1: works(work_ns)})
    assert ("done", 1, done_ns) in world.notes
    assert world.tasks[1].time_by["interrupted"] == done_ns - work_ns


# CPU 2 leaves its handler slowly; CPU 0's flush at 1000 arrives there at 1166, and CPU 1's
# flush 166 after its start. CPU 0's IPI reaches CPU 1 only later.
SLOW_EXIT = {"handler_exit": {2: 300}, "deliver": {1: 50_000}}


@pytest.mark.parametrize(("arrive_ns", "start_ns"), [(1555, 1556), (1556, 1556), (1557, 1557)])
def test_an_ipi_that_arrives_when_a_handler_ends_starts_the_next(arrive_ns, start_ns):
    """The first handler: 1166, list 1206, free 1256, done 1556."""
    world = World(HandMachine(3, to_cpu=SLOW_EXIT)).run(
        {0: flush_at(1000), 1: flush_at(arrive_ns - 166)}
    )
    assert world.ipis[1, 2][2:5] == (arrive_ns, start_ns, start_ns + 90)


@pytest.mark.parametrize(("arrive_ns", "start_ns"), [(1565, 1566), (1566, 1576), (1570, 1580)])
def test_an_idle_cpu_that_has_ended_its_handler_is_idle_again(arrive_ns, start_ns):
    """
    CPU 2 is idle and leaves that in 10: 1166, start 1176, list 1216, free 1266, done 1566.
    An IPI that comes before the end is taken at the end, without an exit from idle.
    """
    machine = HandMachine(
        3, to_cpu=SLOW_EXIT, spells=HandSpells(idle={2: ALWAYS}), idle_states=(HandIdle(10),)
    )
    world = World(machine).run({0: flush_at(1000), 1: flush_at(arrive_ns - 166)})
    assert world.ipis[0, 2][2:5] == (1166, 1176, 1266)
    assert world.ipis[1, 2][2:5] == (arrive_ns, start_ns, start_ns + 90)
    assert world.ipis[1, 2][6] == "idle"
    assert pick(world.cpus[2], "idle_woken", "lost_ns") == (2, 0)


# --- idle CPUs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("idle_from_ns", "start_ns"),
    [
        (0, 1438),  # deep
        (138, 1438),  # 1000 ns: just deep enough
        (139, 1148),
        (1138, 1148),  # idle this very moment
        (1139, 1138),  # not yet
    ],
)
def test_an_idle_cpu_answers_after_the_exit_from_the_state_it_has_reached(idle_from_ns, start_ns):
    """The IPI arrives at 1138; 10 to leave idle, or 300 from 1000 ns of it on."""
    machine = HandMachine(
        2, spells=HandSpells(idle={1: [(idle_from_ns, 10**6)]}), idle_states=SHALLOW_AND_DEEP
    )
    world = World(machine).run({0: flush_at(1000)})
    idle = start_ns > 1138
    state = "idle" if idle else "running"
    free_ns = start_ns + 90
    assert world.ipis[0, 1] == (1013, 1038, 1138, start_ns, free_ns, free_ns + 2, state, True)
    lost_ns = 0 if idle else 120
    assert pick(world.cpus[1], "idle_woken", "lost_ns", "handler_ns") == (int(idle), lost_ns, 120)


def test_a_handler_ends_deep_idle():
    """
    The first flush finds CPU 1 in deep idle: 1438, done at 1558, read at 1530 = the end.
    The second flush starts at 1530 + 100 = 1630 and arrives at 1768, 210 after that
    handler: shallow.  A third one, 2000 later, finds it deep again.
    """

    def body(world, task):
        flush_at(1000)(world, task)
        flush_at(100)(world, task)
        flush_at(2000)(world, task)

    machine = HandMachine(2, spells=HandSpells(idle={1: ALWAYS}), idle_states=SHALLOW_AND_DEEP)
    world = World(machine).run({0: body})
    assert [row["start_ns"] for row in world.flushes] == [1000, 1630, 1870 + 2000]
    waited = [world.ipis[nth, 1][3] - world.ipis[nth, 1][2] for nth in range(3)]
    assert waited == [300, 10, 300]


def test_a_cpu_is_idle_from_the_end_of_its_task_on():
    """
    By its spells CPU 1 would be idle all the time, but its task ends at 5000 only; the
    IPI of a flush at 5000 arrives at 5138, 138 after that: shallow.
    """
    machine = HandMachine(2, spells=HandSpells(idle={1: ALWAYS}), idle_states=SHALLOW_AND_DEEP)
    world = World(machine).run({0: flush_at(5000), 1: works(5000)})
    assert world.ipis[0, 1][2:4] == (5138, 5148)


def test_a_single_cpu_that_polls_gets_no_ipi():
    """
    1013 csd on CPU 1, which polls: it sees the flag at 1021, runs its queue from 1046
    on, free at 1096, done at 1126.  CPU 0's local flush is done at 1063; 1098 end.
    """
    machine = HandMachine(2, spells=HandSpells(idle={1: ALWAYS}), idle_states=POLLING)
    world = World(machine).run({0: flush_at(1000)})
    assert world.ipis == {(0, 1): (1013, -1, 1021, 1021, 1096, 1098, "idle", False)}
    assert flush_row(world) == (1000, 1013, 1096, 1098)
    assert pick(world.flushes[0], "targets", "ipis", "ipis_saved", "icr_writes") == (1, 0, 0, 0)
    assert pick(world.cpus[1], "ipis", "handler_ns", "idle_woken", "lost_ns") == (0, 105, 1, 0)


def test_two_cpus_that_poll_get_an_ipi_each():
    """Arrive at 1141 and 1166; 7 to leave the polling state."""
    machine = HandMachine(3, spells=HandSpells(idle={1: ALWAYS, 2: ALWAYS}), idle_states=POLLING)
    world = World(machine).run({0: flush_at(1000)})
    assert [world.ipis[0, cpu][1:4] for cpu in (1, 2)] == [(1041, 1141, 1148), (1066, 1166, 1173)]
    assert pick(world.flushes[0], "ipis", "icr_writes") == (2, 2)


def test_a_polling_cpu_in_a_handler_gets_an_ipi():
    """
    The first flush, of CPU 0, has CPU 1 run its queue from 1021 until 1126.  It ends at
    1098; the next csd comes at 1111, within that handler: sent at 1136.
    """

    def body(world, task):
        flush_at(1000)(world, task)
        world.flush(task)

    machine = HandMachine(2, spells=HandSpells(idle={1: ALWAYS}), idle_states=POLLING)
    world = World(machine).run({0: body})
    assert world.ipis[1, 1] == (1111, 1136, 1236, 1243, 1333, 1335, "idle", True)


def test_the_last_cpu_of_the_mask_polls_while_another_initiator_queues_there_too():
    """
    CPUs 1 and 3 flush at 0, and CPUs 1, 3 and 4 are hard to reach (10000): from 317 on
    nothing but their queues holds csds.  CPU 0's work of 830 was interrupted for 170
    (two csds): it starts at 1000, like CPU 4.

    ==== =====================================================================
    1016 CPU 0: csd on CPU 2, the only queue that is empty: its mask is {2}
    1019 CPU 4: csd on CPU 2, which has one already: saved
    1022 CPU 0 has queued everywhere; CPU 2 polls: no IPI, the flag is seen at 1030
    1055 CPU 2 runs CPU 0's csd, free at 1105, and CPU 4's, free at 1155
    ==== =====================================================================
    """
    machine = HandMachine(
        5,
        to_cpu={"deliver": {1: 10_000, 3: 10_000, 4: 10_000}},
        spells=HandSpells(idle={2: ALWAYS}),
        idle_states=POLLING,
    )
    bodies = {0: flush_at(830), 1: flush_at(0), 3: flush_at(0), 4: flush_at(1000)}
    world = World(machine).run(bodies)
    by_initiator = {row["cpu"]: row["flush"] for row in world.flushes}
    of_0, of_4 = (world.ipis[by_initiator[cpu], 2] for cpu in (0, 4))
    assert (*of_0[:5], *of_0[6:]) == (1016, -1, 1030, 1030, 1105, "idle", False)
    assert (*of_4[:5], *of_4[6:]) == (1019, -1, 1030, 1030, 1155, "idle", False)
    assert pick(world.flushes[by_initiator[0]], "ipis", "ipis_saved", "targets") == (0, 3, 4)


@pytest.mark.parametrize(
    ("release_ns", "got_ns"),
    [
        (2000, 2500),
        (1000, 1586),  # woken at 1500, between the interrupt and the end of its handler
        (600, 1100),  # awake when the IPI arrives: a handler from 1166 on
    ],
)
def test_the_cpu_of_a_sleeping_task_is_woken_by_an_ipi(release_ns, got_ns):
    """
    CPU 1 sleeps for the mutex from 100 on; CPU 0 releases it at ``release_ns`` and the
    wake-up takes 500.  CPU 2's flush arrives at CPU 1 at 1166: deep idle (1066 ns) is
    left at 1466, list 1506, free 1556, done 1586.
    """
    machine = HandMachine(3, to_cpu={"deliver": {0: 50_000}}, idle_states=SHALLOW_AND_DEEP)
    world = World(machine).run(
        {
            0: holds("resize_lock", 0, release_ns - 1),
            1: holds("resize_lock", 100, 5000),
            2: flush_at(1000),
        }
    )
    assert ("got", 1, got_ns) in world.notes
    assert world.tasks[1].time_by["sleep"] == got_ns - 100
    if got_ns > 1166:
        assert world.ipis[0, 1][2:5] == (1166, 1466, 1556)
        assert pick(world.cpus[1], "idle_woken", "lost_ns") == (1, 0)
        assert world.tasks[1].time_by["interrupted"] == 0
    else:
        assert world.ipis[0, 1][2:5] == (1166, 1166, 1256)
        assert pick(world.cpus[1], "idle_woken", "lost_ns") == (0, 120)
        assert world.tasks[1].time_by["interrupted"] == 120


# --- spells of CPUs without a task ------------------------------------------------------------


@pytest.mark.parametrize(
    ("preempted", "irqs_off", "start_ns", "state"),
    [
        ([], [], 1138, "running"),
        ([(1000, 3000)], [], 3000, "preempted"),
        ([(1000, 1138)], [], 1138, "running"),  # over at that very moment
        ([(1138, 1200)], [], 1200, "preempted"),
        ([(1139, 1200)], [], 1138, "running"),  # the handler was there first
        ([], [(1100, 1300)], 1300, "irqs_off"),
        ([], [(1100, 1138)], 1138, "running"),
        ([(1000, 3000)], [(2900, 3100)], 3100, "preempted"),
        ([(1000, 3000)], [(1100, 1300)], 3000, "preempted"),
    ],
)
def test_a_cpu_without_a_task_answers_by_its_spells(preempted, irqs_off, start_ns, state):
    """The IPI arrives at 1138."""
    spells = HandSpells(preempted={1: preempted}, irqs_off={1: irqs_off})
    world = World(HandMachine(2, spells=spells)).run({0: flush_at(1000)})
    free_ns = start_ns + 90
    assert world.ipis[0, 1] == (1013, 1038, 1138, start_ns, free_ns, free_ns + 2, state, True)
    delay_ns = start_ns - 1138 if state == "irqs_off" else 0
    assert pick(world.cpus[1], "lost_ns", "irqs_off_delay_ns") == (120, delay_ns)


def test_spells_are_not_for_a_cpu_with_a_task():
    spells = HandSpells(preempted={1: ALWAYS}, irqs_off={1: ALWAYS}, idle={1: ALWAYS})
    world = World(HandMachine(2, spells=spells)).run({0: flush_at(1000, FULL), 1: works(3000)})
    assert world.ipis[0, 1][3] == 1138
    assert ("done", 1, 3120) in world.notes


# --- the refill after a flush -------------------------------------------------------------------


def test_a_working_task_pays_for_the_handler_and_for_the_refill_after_it():
    """CPU 1 works for 5000; CPU 0's flush costs it 120 and a refill of 500."""
    call = Call("batch_remap", "all", "do_flush_tlb_all", 0, 50, 500)
    world = World(HandMachine(2)).run({0: flush_at(1000, call), 1: works(5000)})
    assert ("done", 1, 5620) in world.notes
    assert world.tasks[1].time_by["interrupted"] == 620


def test_two_flushes_in_one_handler_are_refilled_once():
    """CPU 2 takes both lists at 1206 (see test_traces.py): 170, and the larger refill, 500."""
    first = Call("batch_remap", "all", "do_flush_tlb_all", 0, 50, 300)
    second = Call("batch_remap", "all", "do_flush_tlb_all", 0, 50, 500)
    world = World(HandMachine(3)).run(
        {0: flush_at(1000, first), 1: flush_at(1005, second), 2: works(5000)}
    )
    assert ("done", 2, 5670) in world.notes
    assert pick(world.cpus[2], "ipis", "handler_ns", "refill_ns") == (1, 170, 500)


def test_of_two_slowest_cpus_the_lower_one_is_named():
    """Both arrive at 1136, and are released at 1226."""
    world = World(HandMachine(3, ns={"inject": 0}, writes="shorthand")).run({0: flush_at(1000)})
    assert [row[2:5] for row in world.ipis.values()] == [(1136, 1136, 1226)] * 2
    assert world.flushes[0]["slowest_cpu"] == 1


def test_a_sleeping_task_leaves_its_cpu_idle_from_then_on():
    """CPU 1 falls asleep at 500; the IPI arrives at 1138, 638 later: shallow, 10 to leave."""

    def body(world, task):
        task.work("bookkeeping", 500)
        task.meet()
        task.sleep_until(5000, "sleep")

    world = World(HandMachine(2, idle_states=SHALLOW_AND_DEEP)).run({0: flush_at(1000), 1: body})
    assert world.ipis[0, 1][2:4] == (1138, 1148)
    assert world.tasks[1].now_ns == 5000


def test_a_call_behind_another_ones_takes_the_contention_longer():
    """
    Both enqueue on CPU 2, at 1016 and 1017: one interrupt, sent at 1066, list at 1206.
    The first csd is free at 1256, the second 50 + 11 later.
    """
    machine = HandMachine(3, ns={"contention": 11})
    world = World(machine).run({0: flush_at(1000), 1: flush_at(1001)})
    assert world.ipis[0, 2][:5] == (1016, 1066, 1166, 1166, 1256)
    assert world.ipis[1, 2][:5] == (1017, -1, 1166, 1166, 1317)


def test_the_sender_comes_back_while_its_interrupt_is_on_its_way():
    """Sent at 1041; back at 1048; the second one 25 later, back at 1080: local until 1130."""
    world = World(HandMachine(3, ns={"send_return": 7})).run({0: flush_at(1000)})
    assert [world.ipis[0, cpu][1:3] for cpu in (1, 2)] == [(1041, 1141), (1073, 1173)]
    assert flush_row(world)[:2] == (1000, 1080)


@pytest.mark.parametrize(("preemptible", "until"), [(False, 1258), (True, 1116)])
def test_preemption_is_off_to_the_end_or_until_the_wait(preemptible, until):
    """Sent at 1041 and 1066, local until 1116; CPU 2 is free at 1256, 2 to read."""
    call = replace(FULL, preemptible_wait=preemptible)
    world = World(HandMachine(3)).run({0: flush_at(1000, call)})
    assert flush_row(world) == (1000, 1066, 1256, 1258)
    assert world.tasks[0].preempt_off_max_ns == until - 1000


def test_a_lock_that_was_spun_for_has_preemption_off_since_then():
    """CPU 1 holds it from 1000 to 1600; CPU 2 asks at 1100 and holds it until 1700."""
    world = World(HandMachine(3)).run(
        {1: holds("hugetlb_lock", 1000, 595), 2: holds("hugetlb_lock", 1100, 88)}
    )
    assert world.hugetlb_lock.held_max_ns == 600
    assert world.hugetlb_lock.preempt_off_max_ns == 600
    assert world.hugetlb_lock.waited_and_held_max_ns == 1700 - 1100


def test_a_mask_leaves_the_other_cpus_alone():
    def body(world, task):
        task.work("bookkeeping", 1000)
        world.engine.on_each_cpu(FULL, [0, 2])

    world = World(HandMachine(4)).run({0: body})
    # As if there were but two CPUs.
    alone = World(HandMachine(2)).run({0: flush_at(1000)})
    assert flush_row(world) == flush_row(alone)
    assert list(world.ipis) == [(0, 2)]
    assert pick(world.flushes[0], "targets", "ipis", "icr_writes", "slowest_cpu") == (1, 1, 1, 2)
