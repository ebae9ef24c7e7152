# SPDX-License-Identifier: MIT
"""
The broadcast of an only task, compiled
---------------------------------------

``smp_call_function_many_cond()`` where no other task runs: all targets are lazy,
every queue is empty, and one call computes it from its start to its end.

``m`` is the machine, ``s`` the state (see
:mod:`simulator.engine.compiled.flat.layout`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled.flat import layout as at
from simulator.engine.compiled.flat import task_words as of
from simulator.engine.compiled.flat.layout import Int8s, Int64s
from simulator.engine.compiled.flat.places import index, line_of, part, words_of
from simulator.engine.compiled.jit import compiled
from simulator.engine.compiled.rules.answers import answer, count, off_draws, polls, settle
from simulator.engine.compiled.rules.sending import draw_all, write_order

__all__ = ("begin_record", "broadcast_alone")


@compiled
def _order_others(m: Int64s, s: Int64s, me: int) -> None:
    # The order of an only task's broadcasts is always the same.
    if s[at.ORDER_FOR] != me + 1:
        for cpu in range(m[at.NR_CPUS]):
            s[part(s, at.SENT) + cpu] = cpu != me
        write_order(m, s, 0, me)
        s[at.ORDER_FOR] = me + 1


@compiled
def begin_record(s: Int64s, slot: int, flush: int, start_ns: int) -> None:
    """Begin the record of a task's next broadcast, with what is known at its start."""
    words = words_of(s, slot)
    call = part(s, at.CALLS) + at.CALL_WORDS * slot
    s[words + of.NTH] += 1
    s[words + of.FLUSH] = flush
    s[words + of.REASON] = s[call + at.REASON]
    s[words + of.KIND] = s[call + at.FUNCTION]
    s[words + of.PAGES] = s[call + at.PAGES_ASKED]
    s[words + of.START] = start_ns


@compiled
def _enqueue(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, start_ns: int) -> int:
    # Every queue is empty.
    enqueued = part(s, at.ENQUEUED)
    draw_all(m, s, distance, at.ENQUEUE, me, nth, enqueued)
    t_ns = start_ns + m[at.BASE_NS]
    for cpu in range(m[at.NR_CPUS]):
        if cpu != me:
            t_ns += s[enqueued + cpu]
            s[enqueued + cpu] = t_ns
    return t_ns


@compiled
def _send(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> int:
    # What is the handler's part comes to lie where its times will.
    sent, arrived = part(s, at.SENT_NS), part(s, at.ARRIVED)
    order, begins = part(s, at.ORDER), part(s, at.BEGINS)
    draw_all(m, s, distance, at.INJECT, me, nth, sent)
    draw_all(m, s, distance, at.DELIVER, me, nth, arrived)
    draw_all(m, s, distance, at.ENTRY, me, nth, part(s, at.RELEASE))
    draw_all(m, s, distance, at.EXIT_COST, me, nth, part(s, at.STARTED))
    t_ns = now_ns
    writes = 0
    for i in range(m[at.NR_CPUS] - 1):
        cpu = index(s[order + i])
        if s[begins + i]:
            t_ns += m[at.SEND_NS]
            writes += 1
        t_ns += s[sent + cpu]
        s[sent + cpu] = t_ns
        s[arrived + cpu] = t_ns + max(1, s[arrived + cpu])
    words = words_of(s, 0)
    s[words + of.NR_IPIS] = m[at.NR_CPUS] - 1
    s[words + of.WRITES] = writes
    return t_ns


@compiled
def _wake(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> None:
    # The only other CPU polls, and needs no interrupt.
    other = 1 - me
    s[part(s, at.SENT_NS) + other] = -1
    line_ns = m[at.LINE_NS + distance[2 * me + other]]
    s[part(s, at.ARRIVED) + other] = now_ns + max(1, line_ns)
    s[part(s, at.RELEASE) + other] = m[at.POLL_WAKE_NS]
    draw_all(m, s, distance, at.EXIT_COST, me, nth, part(s, at.STARTED))
    words = words_of(s, 0)
    s[words + of.NR_IPIS] = 0
    s[words + of.WRITES] = 0


@compiled
def _answer(m: Int64s, s: Int64s, me: int, run_ns: int, refill_ns: int, polled: bool) -> None:
    # The others answer, each by itself.
    enqueued, release, off = part(s, at.ENQUEUED), part(s, at.RELEASE), part(s, at.ACKED)
    arrived, started, found = part(s, at.ARRIVED), part(s, at.STARTED), part(s, at.FOUND)
    ack_hist = part(s, at.ACK_HIST)
    off_draws(m, s, arrived, off)
    for cpu in range(m[at.NR_CPUS]):
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
        if state == at.IRQS_OFF:
            s[line + at.IRQS_OFF_DELAY_NS] += start_ns - arrive_ns


@compiled
def _wait(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> int:
    release, acked = part(s, at.RELEASE), part(s, at.ACKED)
    draw_all(m, s, distance, at.ACK, me, nth, acked)
    t_ns = now_ns
    last_ns = 0
    slowest = -1
    for cpu in range(m[at.NR_CPUS]):
        if cpu == me:
            continue
        release_ns = s[release + cpu]
        if release_ns > last_ns:
            last_ns = release_ns
            slowest = cpu
        t_ns = max(t_ns, release_ns) + s[acked + cpu]
        s[acked + cpu] = t_ns
    words = words_of(s, 0)
    s[words + of.LAST_ACK] = last_ns
    s[words + of.SLOWEST] = slowest
    return t_ns


@compiled
def broadcast_alone(m: Int64s, s: Int64s, distance: Int8s, flush: int, start_ns: int) -> int:
    """
    Carry out a broadcast of the only task, whose slot is 0; returns its end.

    Its call lies in ``CALLS``.  The rows of the state hold what is drawn for all
    CPUs first, and then the times that follow from it.  What is the same for all
    targets (one interrupt, one refill) is counted once (``ALIKE_IPIS``).
    """
    n = m[at.NR_CPUS]
    words, call = words_of(s, 0), part(s, at.CALLS)
    run_ns, refill_ns = s[call + at.RUN_NS], s[call + at.REFILL_OF_CALL]
    begin_record(s, 0, flush, start_ns)
    me, nth = s[words + of.CPU], s[words + of.NTH]
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
        s[at.ALIKE_IPIS] += not polled
        s[at.ALIKE_REFILL_NS] += refill_ns
    executed = part(s, at.EXECUTED)
    s[executed + s[call + at.FUNCTION]] += n
    s[executed + at.PAGES] += n * s[call + at.PAGES]
    s[words + of.ENQUEUE_TOOK] += walk_end_ns - start_ns
    s[words + of.SEND_TOOK] += send_end_ns - walk_end_ns
    s[words + of.LOCAL_TOOK] += run_ns + refill_ns
    s[words + of.WAIT_TOOK] += end_ns - send_end_ns - run_ns
    s[words + of.OFF_MAX] = max(s[words + of.OFF_MAX], send_end_ns - walk_end_ns, run_ns)
    s[words + of.SEND_END] = send_end_ns
    s[words + of.LAST_ACK] = max(s[words + of.LAST_ACK], send_end_ns)
    s[words + of.END] = end_ns
    s[words + of.TARGETS] = n - 1
    return int(end_ns)  # interpreted, what came from an array is no int yet
