# SPDX-License-Identifier: MIT
"""
The broadcast of an only task, compiled
---------------------------------------

``smp_call_function_many_cond()`` where no other task runs: all targets are lazy,
every queue is empty, and one call computes it from its start to its end.

``m`` is the machine, ``s`` the state (see
:mod:`simulator.engine.compiled.flat`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled.flat.machine import COSTS, M
from simulator.engine.compiled.flat.places import index, line_of, part, words_of
from simulator.engine.compiled.flat.state import CALL, CPU, EXECUTED, FOUND, TASK, S
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import compiled, entry
from simulator.engine.compiled.rules.answers import answer, count, off_draws, polls, settle
from simulator.engine.compiled.rules.records import begin_record
from simulator.engine.compiled.rules.sending import draw_all, write_order

__all__ = ("broadcast_alone",)


@compiled
def _order_others(m: Int64s, s: Int64s, me: int) -> None:
    # The order of an only task's broadcasts is always the same.
    if s[S.order_for] != me + 1:
        for cpu in range(m[M.nr_cpus]):
            s[part(s, S.sent) + cpu] = cpu != me
        write_order(m, s, 0, me)
        s[S.order_for] = me + 1


@compiled
def _enqueue(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, start_ns: int) -> int:
    # Every queue is empty.
    enqueued = part(s, S.enqueued)
    draw_all(m, s, distance, COSTS.enqueue, me, nth, enqueued)
    t_ns = start_ns + m[M.base_ns]
    for cpu in range(m[M.nr_cpus]):
        if cpu != me:
            t_ns += s[enqueued + cpu]
            s[enqueued + cpu] = t_ns
    return t_ns


@compiled
def _send(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> int:
    # What is the handler's part comes to lie where its times will.
    sent, arrived = part(s, S.sent_ns), part(s, S.arrived)
    order, begins = part(s, S.order), part(s, S.begins)
    draw_all(m, s, distance, COSTS.inject, me, nth, sent)
    draw_all(m, s, distance, COSTS.deliver, me, nth, arrived)
    draw_all(m, s, distance, COSTS.handler_entry, me, nth, part(s, S.released))
    draw_all(m, s, distance, COSTS.handler_exit, me, nth, part(s, S.started))
    t_ns = now_ns
    writes = 0
    for i in range(m[M.nr_cpus] - 1):
        cpu = index(s[order + i])
        if s[begins + i]:
            # Back from the write before, whose interrupts are on their way.
            t_ns += m[M.send_ns] + m[M.send_return_ns] * (writes > 0)
            writes += 1
        t_ns += s[sent + cpu]
        s[sent + cpu] = t_ns
        s[arrived + cpu] = t_ns + max(1, s[arrived + cpu])
    words = words_of(s, 0)
    s[words + TASK.ipis] = m[M.nr_cpus] - 1
    s[words + TASK.icr_writes] = writes
    return t_ns + m[M.send_return_ns] * (writes > 0)


@compiled
def _wake(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> None:
    # The only other CPU polls, and needs no interrupt.
    other = 1 - me
    s[part(s, S.sent_ns) + other] = -1
    line_ns = m[M.line_ns + distance[2 * me + other]]
    s[part(s, S.arrived) + other] = now_ns + max(1, line_ns)
    s[part(s, S.released) + other] = m[M.poll_wake_ns]
    draw_all(m, s, distance, COSTS.handler_exit, me, nth, part(s, S.started))
    words = words_of(s, 0)
    s[words + TASK.ipis] = 0
    s[words + TASK.icr_writes] = 0


@compiled
def _answer(m: Int64s, s: Int64s, me: int, run_ns: int, refill_ns: int, polled: bool) -> None:
    # The others answer, each by itself.
    enqueued, release, off = part(s, S.enqueued), part(s, S.released), part(s, S.acked)
    arrived, started, found = part(s, S.arrived), part(s, S.started), part(s, S.found)
    ack_hist = part(s, S.ack_hist)
    off_draws(m, s, arrived, off)
    for cpu in range(m[M.nr_cpus]):
        if cpu == me:
            continue
        line = line_of(s, cpu)
        arrive_ns = s[arrived + cpu]
        state, start_ns = answer(m, s, cpu, arrive_ns, np.uint64(s[off + cpu]), polled)
        release_ns = start_ns + max(1, s[release + cpu]) + run_ns
        end_ns = release_ns + s[started + cpu]
        s[started + cpu] = start_ns
        s[release + cpu] = release_ns
        s[found + cpu] = state
        count(s, ack_hist, release_ns - s[enqueued + cpu])
        settle(s, line, state, end_ns - start_ns, refill_ns, end_ns)
        if state == FOUND.irqs_off:
            s[line + CPU.irqs_off_delay_ns] += start_ns - arrive_ns


@compiled
def _wait(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> int:
    release, acked = part(s, S.released), part(s, S.acked)
    draw_all(m, s, distance, COSTS.ack, me, nth, acked)
    t_ns = now_ns
    last_ns = 0
    slowest = -1
    for cpu in range(m[M.nr_cpus]):
        if cpu == me:
            continue
        release_ns = s[release + cpu]
        if release_ns > last_ns:
            last_ns = release_ns
            slowest = cpu
        t_ns = max(t_ns, release_ns) + s[acked + cpu]
        s[acked + cpu] = t_ns
    words = words_of(s, 0)
    s[words + TASK.last_ack_ns] = last_ns
    s[words + TASK.slowest_cpu] = slowest
    return t_ns


@entry
def broadcast_alone(m: Int64s, s: Int64s, distance: Int8s, flush: int, start_ns: int) -> int:
    """
    Carry out a broadcast of the only task, whose slot is 0; returns its end.

    Its call lies in ``CALLS``.  The rows of the state hold what is drawn for all
    CPUs first, and then the times that follow from it.  What is the same for all
    targets (one interrupt, one refill) is counted once (``ALIKE_IPIS``).
    """
    n = m[M.nr_cpus]
    words, call = words_of(s, 0), part(s, S.calls)
    run_ns, refill_ns = s[call + CALL.run_ns], s[call + CALL.refill_ns]
    begin_record(s, 0, flush, start_ns)
    me, nth = s[words + TASK.cpu], s[words + TASK.nth]
    _order_others(m, s, me)
    walk_end_ns = _enqueue(m, s, distance, me, nth, start_ns)
    polled = n == 2 and polls(m, s, 1 - me, walk_end_ns)
    if polled:
        send_end_ns = walk_end_ns
        _wake(m, s, distance, me, nth, walk_end_ns)
    else:
        send_end_ns = _send(m, s, distance, me, nth, walk_end_ns)
    _answer(m, s, me, run_ns, refill_ns, polled)
    end_ns = _wait(m, s, distance, me, nth, send_end_ns + run_ns)
    if n > 1:
        s[S.alike_ipis] += not polled
        s[S.alike_refill_ns] += refill_ns
    executed = part(s, S.executed)
    s[executed + s[call + CALL.kind]] += n
    s[executed + EXECUTED.pages] += n * s[call + CALL.pages]
    s[words + TASK.took_enqueue] += walk_end_ns - start_ns
    s[words + TASK.took_send] += send_end_ns - walk_end_ns
    s[words + TASK.took_local] += run_ns + refill_ns
    s[words + TASK.took_wait] += end_ns - send_end_ns - run_ns
    off_ns = max(send_end_ns - walk_end_ns, run_ns)
    s[words + TASK.irqs_off_max_ns] = max(s[words + TASK.irqs_off_max_ns], off_ns)
    s[words + TASK.send_end_ns] = send_end_ns
    s[words + TASK.waits_from_ns] = send_end_ns + run_ns
    s[words + TASK.last_ack_ns] = max(s[words + TASK.last_ack_ns], send_end_ns)
    s[words + TASK.end_ns] = end_ns
    s[words + TASK.targets] = n - 1
    return int(end_ns)  # interpreted, what came from an array is no int yet
