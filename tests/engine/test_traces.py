# SPDX-License-Identifier: MIT
"""
Traces worked by hand to the nanosecond
---------------------------------------

The costs are those of :mod:`tests.engine.hand`.  A row of ``ipis`` is (enqueue,
send, arrive, start, end, ack), of ``flush_row`` (start, end of sending, last
release, end).  From its start a handler takes 40 until it takes the list, then 50
for each full flush, then 30.
"""

from __future__ import annotations

from tests.engine.hand import FULL, RANGE, HandMachine, World, flush_at, flush_row, pick, works

RUNNING, QUEUED = ("running", True), ("running", False)


def test_one_flush_of_two_cpus():
    """
    ==== =====================================================================
    1000 start; + 10 base + 3
    1013 csd on CPU 1; interrupts off; + 20 send + 5 inject
    1038 sent; interrupts on; the local flush until 1088; then it waits
    1138 arrives at CPU 1; + 40
    1178 takes the list; + 50
    1228 released; the handler ends at 1258; the initiator reads: + 2
    1230 end
    ==== =====================================================================
    """
    world = World(HandMachine(2)).run({0: flush_at(1000)})
    assert world.ipis == {(0, 1): (1013, 1038, 1138, 1138, 1228, 1230, *RUNNING)}
    assert flush_row(world) == (1000, 1038, 1228, 1230)
    row = world.flushes[0]
    assert pick(row, "task", "cpu", "targets", "ipis", "ipis_saved", "icr_writes") == (
        0, 0, 1, 1, 0, 1,
    )  # fmt: skip
    assert row["slowest_cpu"] == 1
    assert pick(world.cpus[1], "ipis", "handler_ns", "refill_ns", "lost_ns", "idle_woken") == (
        1, 120, 0, 120, 0,
    )  # fmt: skip
    assert {name: ns for name, ns in world.tasks[0].time_by.items() if ns} == {
        "bookkeeping": 1000,
        "flush_enqueue": 13,
        "flush_send": 25,
        "flush_local": 50,
        "flush_wait": 142,
    }


def test_one_flush_of_three_cpus_with_a_write_for_each():
    """
    ==== =====================================================================
    1000 start; csds at 1013 and 1016
    1041 CPU 1 is sent to; 1066 CPU 2; the local flush until 1116
    1141 arrives at CPU 1, which releases at 1231 and is done at 1261
    1166 arrives at CPU 2, which releases at 1256 and is done at 1286
    1231 + 2: CPU 1's csd is read
    1256 + 2: CPU 2's csd is read
    ==== =====================================================================
    """
    world = World(HandMachine(3)).run({0: flush_at(1000)})
    assert world.ipis == {
        (0, 1): (1013, 1041, 1141, 1141, 1231, 1233, *RUNNING),
        (0, 2): (1016, 1066, 1166, 1166, 1256, 1258, *RUNNING),
    }
    assert flush_row(world) == (1000, 1066, 1256, 1258)
    assert pick(world.flushes[0], "targets", "ipis", "icr_writes") == (2, 2, 2)


def test_a_shorthand_sends_to_all_in_one_write():
    """
    As above, but the second write is saved: 1016 + 20, then CPU 1 at 1041 and CPU 2
    at 1046, released at 1231 and 1236.  CPU 2's csd is free before CPU 1's is read.
    """
    world = World(HandMachine(3, writes="shorthand")).run({0: flush_at(1000)})
    assert world.ipis == {
        (0, 1): (1013, 1041, 1141, 1141, 1231, 1233, *RUNNING),
        (0, 2): (1016, 1046, 1146, 1146, 1236, 1238, *RUNNING),
    }
    assert flush_row(world) == (1000, 1046, 1236, 1238)
    assert pick(world.flushes[0], "ipis", "icr_writes") == (2, 1)


def test_cpus_that_share_a_write_are_injected_one_after_another():
    """
    CPU 0 to CPUs 1 to 4, writes to {1}, {2, 3}, {4}: csds at 1013, 1016, 1019, 1022;
    1042 + 5 = 1047 CPU 1; 1067 + 5 = 1072 CPU 2, 1077 CPU 3; 1097 + 5 = 1102 CPU 4.
    """
    world = World(HandMachine(5, writes="pairs")).run({0: flush_at(1000)})
    assert [world.ipis[0, cpu][1] for cpu in (1, 2, 3, 4)] == [1047, 1072, 1077, 1102]
    assert pick(world.flushes[0], "ipis", "icr_writes", "send_end_ns") == (4, 3, 1102)


def test_reading_early_csds_comes_before_late_ones():
    """
    The csds of CPUs 1 and 2 are released at 1231 and 1256.  With a slow CPU 1
    (delivery 300: arrives at 1341, releases at 1431) both are read after it.
    """
    world = World(HandMachine(3, to_cpu={"deliver": {1: 300}})).run({0: flush_at(1000)})
    assert [world.ipis[0, cpu][4:6] for cpu in (1, 2)] == [(1431, 1433), (1256, 1435)]
    assert pick(world.flushes[0], "last_ack_ns", "end_ns", "slowest_cpu") == (1431, 1435, 1)


def test_a_range_flush_costs_its_pages_and_a_full_one_its_refill():
    """
    The range flush runs 14 on each CPU: local until 1052, CPU 1 releases at
    1178 + 14 = 1192 and is done at 1222; end 1194.

    The full flush follows: start 1194, csd 1207, sent 1232, local until 1282, arrives
    1332, takes the list 1372, released 1422, CPU 1 done 1452; end 1424.  Its refill of
    500 costs CPU 0 time after the flush, until 1924, and CPU 1 as much.
    """
    full = type(FULL)("batch_remap", "all", "do_flush_tlb_all", 0, 50, 500)

    def body(world, task):
        flush_at(1000, RANGE)(world, task)
        world.flush(task, full)

    world = World(HandMachine(2)).run({0: body})
    assert [flush_row(world, nth) for nth in (0, 1)] == [
        (1000, 1038, 1192, 1194),
        (1194, 1232, 1422, 1424),
    ]
    assert [pick(row, "kind", "pages") for row in world.flushes] == [(0, 7), (1, 0)]
    assert world.tasks[0].now_ns == 1924
    assert pick(world.cpus[1], "handler_ns", "refill_ns", "lost_ns") == (84 + 120, 500, 704)
    counts = world.recorder.counts
    assert counts["do_kernel_range_flush_exec_total"] == 2
    assert counts["flush_tlb_one_kernel_exec_total"] == 2 * 7
    assert counts["do_flush_tlb_all_exec_total"] == 2


def test_two_flushes_that_cross_between_two_cpus():
    """
    ==== ============================== ==== =================================
    CPU 0                               CPU 1
    ----------------------------------- --------------------------------------
    1000 start; csd on CPU 1 at 1013    1005 start; csd on CPU 0 at 1018
    1038 sent; local until 1088         1043 sent; local until 1093
    1143 handler: 1183 list, 1233 free, 1138 handler: 1178 list, 1228 free,
    1263 done                           1258 done
    1263 CPU 1's csd was free at 1228   1258 CPU 0's csd was free at 1233
    1265 end                            1260 end
    ==== ============================== ==== =================================

    Both waited anyway: nobody's work was interrupted.
    """
    world = World(HandMachine(2)).run({0: flush_at(1000), 1: flush_at(1005)})
    assert world.ipis == {
        (0, 1): (1013, 1038, 1138, 1138, 1228, 1265, *RUNNING),
        (1, 0): (1018, 1043, 1143, 1143, 1233, 1260, *RUNNING),
    }
    assert flush_row(world, 0) == (1000, 1038, 1228, 1265)
    assert flush_row(world, 1) == (1005, 1043, 1233, 1260)
    assert [task.time_by["interrupted"] for task in world.tasks] == [0, 0]
    assert [task.time_by["flush_wait"] for task in world.tasks] == [1265 - 1088, 1260 - 1093]


def test_a_handler_during_csd_lock_wait_delays_it_to_its_end_and_no_further():
    """
    As above, with a refill of 500.  The refill is no reason to see a released csd
    later: both flushes end as before, and only then does each pay for its own.
    """
    call = type(FULL)("batch_remap", "all", "do_flush_tlb_all", 0, 50, 500)
    world = World(HandMachine(2)).run({0: flush_at(1000, call), 1: flush_at(1005, call)})
    assert flush_row(world, 0) == (1000, 1038, 1228, 1265)
    assert flush_row(world, 1) == (1005, 1043, 1233, 1260)
    assert [task.now_ns for task in world.tasks] == [1765, 1760]


def test_an_ipi_during_the_walk_over_the_targets_shifts_the_rest_of_it():
    """
    CPU 2 flushes at 1000: csds on CPU 0 at 1013 and CPU 1 at 1016, sent at 1041 and
    1066.  CPU 0 starts at 1130: base until 1140, csd on CPU 1 due at 1143, but

    ==== =====================================================================
    1141 the IPI arrives at CPU 0: handler until 1181 + 50 + 30 = 1261
    1263 2 of 3 ns were left: csd on CPU 1, whose handler (arrived 1166, list 1206,
         done 1286) took its list long ago: a new IPI
    1266 csd on CPU 2; interrupts off
    1291 sent to CPU 1; 1316 to CPU 2; the local flush until 1366
    1391 CPU 1: list 1431, free 1481; 1416 CPU 2: list 1456, free 1506
    ==== =====================================================================

    CPU 2 read CPU 0's csd (free at 1231) at 1233 and CPU 1's (1256) at 1258.
    """
    world = World(HandMachine(3)).run({0: flush_at(1130), 2: flush_at(1000)})
    assert world.ipis == {
        (0, 0): (1013, 1041, 1141, 1141, 1231, 1233, *RUNNING),
        (0, 1): (1016, 1066, 1166, 1166, 1256, 1258, *RUNNING),
        (1, 1): (1263, 1291, 1391, 1391, 1481, 1483, *RUNNING),
        (1, 2): (1266, 1316, 1416, 1416, 1506, 1508, *RUNNING),
    }
    assert flush_row(world, 0) == (1000, 1066, 1256, 1258)
    assert flush_row(world, 1) == (1130, 1316, 1506, 1508)
    assert world.tasks[0].time_by["interrupted"] == 120
    assert world.tasks[0].time_by["flush_enqueue"] == 16


def test_three_cpus_two_crossing_flushes_share_one_ipi():
    """
    CPU 0 flushes at 1000, CPU 1 at 1005.

    ==== =====================================================================
    1013 CPU 0: csd on CPU 1; 1016 csd on CPU 2 (the first: to be sent)
    1018 CPU 1: csd on CPU 0; 1021 csd on CPU 2 (finds the other: no IPI)
    1041 CPU 0 sends to CPU 1; 1046 CPU 1 sends to CPU 0; 1066 CPU 0 sends to CPU 2
    1141 CPU 1's handler: 1181 list, 1231 free, 1261 done (CPU 1 waits since 1096)
    1146 CPU 0's handler: 1186 list, 1236 free, 1266 done (CPU 0 waits since 1116)
    1166 CPU 2's handler: 1206 list, CPU 0's csd free at 1256, CPU 1's at 1306,
         1336 done
    1261 CPU 1: CPU 0's csd was free at 1236: read at 1263; then waits for CPU 2: 1306
    1266 CPU 0: CPU 1's csd read at 1268, CPU 2's at 1270
    ==== =====================================================================
    """
    world = World(HandMachine(3)).run({0: flush_at(1000), 1: flush_at(1005)})
    assert world.ipis == {
        (0, 1): (1013, 1041, 1141, 1141, 1231, 1268, *RUNNING),
        (0, 2): (1016, 1066, 1166, 1166, 1256, 1270, *RUNNING),
        (1, 0): (1018, 1046, 1146, 1146, 1236, 1263, *RUNNING),
        (1, 2): (1021, -1, 1166, 1166, 1306, 1308, *QUEUED),
    }
    assert flush_row(world, 0) == (1000, 1066, 1256, 1270)
    assert flush_row(world, 1) == (1005, 1046, 1306, 1308)
    assert [pick(row, "ipis", "ipis_saved") for row in world.flushes] == [(2, 0), (1, 1)]
    assert pick(world.cpus[2], "ipis", "handler_ns") == (1, 40 + 50 + 50 + 30)


def test_handlers_back_to_back():
    """
    CPU 2 leaves a handler slowly (300 instead of 30).  CPU 0 flushes at 1000, CPU 1
    at 1200 of its own time.

    ==== =====================================================================
    1016 CPU 0: csd on CPU 2, sent at 1066; arrives 1166; list 1206, free 1256,
         done 1556
    1141 CPU 1: handler for CPU 0's flush until 1261: its own flush starts at 1320
    1333 CPU 1: csd on CPU 0; 1336 csd on CPU 2, which took its list at 1206: both empty
    1361 sent to CPU 0: arrives 1461, free 1551
    1386 sent to CPU 2: arrives 1486, in the middle of its handler
    1556 CPU 2's second handler: list 1596, free 1646, done 1946
    ==== =====================================================================
    """
    machine = HandMachine(3, to_cpu={"handler_exit": {2: 300}})
    world = World(machine).run({0: flush_at(1000), 1: flush_at(1200)})
    assert world.ipis == {
        (0, 1): (1013, 1041, 1141, 1141, 1231, 1233, *RUNNING),
        (0, 2): (1016, 1066, 1166, 1166, 1256, 1258, *RUNNING),
        (1, 0): (1333, 1361, 1461, 1461, 1551, 1553, *RUNNING),
        (1, 2): (1336, 1386, 1486, 1556, 1646, 1648, *RUNNING),
    }
    assert flush_row(world, 1) == (1320, 1386, 1646, 1648)
    assert pick(world.cpus[2], "ipis", "handler_ns") == (2, 390 + 390)


def test_a_list_of_csds_is_run_in_order_and_each_released_after_its_own_function():
    """
    As in the crossing flushes of three CPUs, but CPU 1 flushes a range (14).

    ==== =====================================================================
    1046 CPU 1 sends to CPU 0; its local flush is done at 1060
    1141 CPU 1's handler: 1181 list, 1231 free, 1261 done
    1146 CPU 0's handler: 1186 list, 1200 free, 1230 done
    1206 CPU 2 takes both: CPU 0's is free at 1206 + 50, CPU 1's 14 later, done 1300
    1231 CPU 0: CPU 1's csd, read at 1233; CPU 2's at 1256, read at 1258
    1261 CPU 1: CPU 0's csd, read at 1263; CPU 2's at 1270, read at 1272
    ==== =====================================================================
    """
    world = World(HandMachine(3)).run({0: flush_at(1000), 1: flush_at(1005, RANGE)})
    assert world.ipis == {
        (0, 1): (1013, 1041, 1141, 1141, 1231, 1233, *RUNNING),
        (0, 2): (1016, 1066, 1166, 1166, 1256, 1258, *RUNNING),
        (1, 0): (1018, 1046, 1146, 1146, 1200, 1263, *RUNNING),
        (1, 2): (1021, -1, 1166, 1166, 1270, 1272, *QUEUED),
    }
    assert pick(world.cpus[2], "ipis", "handler_ns") == (1, 40 + 50 + 14 + 30)


def test_three_flushes_cross_between_three_cpus():
    """
    CPUs 0, 1, 2 flush at 1000, 1000 and 1000: a tie at every step, lower CPU first.

    ==== =====================================================================
    1013 CPU 0: csd on CPU 1; CPU 1: csd on CPU 0; CPU 2: csd on CPU 0, after CPU 1's:
         no IPI
    1016 CPU 0: csd on CPU 2; CPU 1: csd on CPU 2, second: no IPI; CPU 2: csd on CPU 1,
         second: no IPI
    1016 CPU 2 has nobody to send to: local until 1066, then it waits
    1041 CPU 0 sends to CPU 1, CPU 1 sends to CPU 0; 1066 CPU 0 sends to CPU 2
    1141 CPUs 0 and 1 start: list 1181, free 1231 (each other's) and 1281 (CPU 2's),
         done 1311
    1166 CPU 2 starts: list 1206, free 1256 (CPU 0's) and 1306 (CPU 1's), done 1336
    1311 CPU 0 reads CPU 1's (1313), CPU 2's (1315); CPU 1 CPU 0's (1313), CPU 2's (1315)
    1336 CPU 2 reads CPU 0's (1338), CPU 1's (1340)
    ==== =====================================================================
    """
    world = World(HandMachine(3)).run({cpu: flush_at(1000) for cpu in (2, 0, 1)})
    assert world.ipis == {
        (0, 1): (1013, 1041, 1141, 1141, 1231, 1313, *RUNNING),
        (0, 2): (1016, 1066, 1166, 1166, 1256, 1315, *RUNNING),
        (1, 0): (1013, 1041, 1141, 1141, 1231, 1313, *RUNNING),
        (1, 2): (1016, -1, 1166, 1166, 1306, 1315, *QUEUED),
        (2, 0): (1013, -1, 1141, 1141, 1281, 1338, *QUEUED),
        (2, 1): (1016, -1, 1141, 1141, 1281, 1340, *QUEUED),
    }
    assert [flush_row(world, nth) for nth in (0, 1, 2)] == [
        (1000, 1066, 1256, 1315),
        (1000, 1041, 1306, 1315),
        (1000, 1016, 1281, 1340),
    ]
    assert [pick(row, "cpu", "ipis", "ipis_saved", "icr_writes") for row in world.flushes] == [
        (0, 2, 0, 2),
        (1, 1, 1, 1),
        (2, 0, 2, 0),
    ]


def test_one_cpu_alone_flushes_itself():
    """1000 start; base until 1010; nobody to send to; local until 1060."""
    world = World(HandMachine(1)).run({0: flush_at(1000)})
    assert flush_row(world) == (1000, 1010, 1010, 1060)
    row = pick(world.flushes[0], "targets", "ipis", "icr_writes", "slowest_cpu")
    assert row == (0, 0, 0, -1)


def test_a_phase_begins_while_a_handler_of_the_one_before_still_runs():
    """
    The flush of the first phase ends at 1230, CPU 1's handler at 1258.  A task that
    starts on CPU 1 at 1230 gets the CPU at 1258.
    """
    world = World(HandMachine(2)).run({0: flush_at(1000)})
    world.run({1: works(100)}, start_ns=1230)
    assert world.notes == [("done", 1, 1358)]
    assert world.recorder.phase.time_by == [{"sleep": 28, "bookkeeping": 100}]
