# SPDX-License-Identifier: MIT
"""
The broadcast of an only task, compiled
---------------------------------------

``smp_call_function_many_cond()`` where no other task runs: all targets are lazy,
every queue is empty, and one call computes it from its start to its end.

``m`` is the machine, ``s`` the state (see
:mod:`simulator.engine.compiled.layout`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

from simulator.engine.compiled import layout as at
from simulator.engine.compiled.answers import answer, count, polls, settle
from simulator.engine.compiled.jit import compiled
from simulator.engine.compiled.layout import Int8s, Int64s
from simulator.engine.compiled.sending import drawn, flush_key, write_order

__all__ = ("broadcast_alone",)


@compiled
def _order_others(m: Int64s, s: Int64s, me: int) -> None:
    # The order of an only task's broadcasts is always the same.
    if s[at.ORDER_FOR] != me + 1:
        for cpu in range(m[at.NR_CPUS]):
            s[s[at.SENT] + cpu] = cpu != me
        write_order(m, s, 0, me)
        s[at.ORDER_FOR] = me + 1


@compiled
def broadcast_alone(
    m: Int64s,
    s: Int64s,
    distance: Int8s,
    me: int,
    nth: int,
    start_ns: int,
    run_ns: int,
    refill_ns: int,
    line_ns: int,
    detail: bool,
) -> tuple[int, int, int, int, int, int, int, int]:
    """
    Carry out a broadcast whose initiator is the only task.

    Returns the end of the walk, of sending, of the local call and of all; the
    last release; IPIs; ICR writes; the slowest CPU.  What is the same for all
    targets (one interrupt, one refill) the caller accounts for.  ``detail``: keep
    what was seen of each IPI.
    """
    n = m[at.NR_CPUS]
    near = me * n
    enqueued, release, acked, order = s[at.ENQUEUED], s[at.RELEASE], s[at.ACKED], s[at.ORDER]
    _order_others(m, s, me)
    cpus, begins = s[at.CPUS], s[at.BEGINS]
    # 1. Enqueue: every queue is empty.
    t_ns = start_ns + m[at.BASE_NS]
    key = flush_key(m, at.ENQUEUE, me, nth)
    for cpu in range(n):
        if cpu != me:
            t_ns += drawn(m, distance, at.ENQUEUE, near, key, cpu)
            s[enqueued + cpu] = t_ns
    walk_end_ns = t_ns
    # 2. Send.
    polled = n == 2 and polls(m, s, 1 - me, t_ns)
    writes = 0
    inject_key = flush_key(m, at.INJECT, me, nth)
    deliver_key = flush_key(m, at.DELIVER, me, nth)
    entry_key = flush_key(m, at.ENTRY, me, nth)
    exit_key = flush_key(m, at.EXIT_COST, me, nth)
    for i in range(n - 1):
        cpu = s[order + i]
        if polled:
            arrive_ns = t_ns + max(1, line_ns)
            entry_ns = m[at.POLL_WAKE_NS]
        else:
            if s[begins + i]:
                t_ns += m[at.SEND_NS]
                writes += 1
            t_ns += drawn(m, distance, at.INJECT, near, inject_key, cpu)
            arrive_ns = t_ns + max(1, drawn(m, distance, at.DELIVER, near, deliver_key, cpu))
            entry_ns = max(1, drawn(m, distance, at.ENTRY, near, entry_key, cpu))
        state, begin_ns = answer(m, s, cpu, arrive_ns, polled)
        released_ns = begin_ns + entry_ns + run_ns
        end_ns = released_ns + drawn(m, distance, at.EXIT_COST, near, exit_key, cpu)
        line = cpus + cpu * at.CPU_WORDS
        s[release + cpu] = released_ns
        count(s, s[at.ACK_HIST], released_ns - s[enqueued + cpu])
        settle(s, line, state, end_ns - begin_ns, refill_ns, end_ns)
        if state == at.IRQS_OFF:
            s[line + at.IRQS_OFF_DELAY_NS] += begin_ns - arrive_ns
        if detail:
            seen = s[at.SEEN] + at.SEEN_WORDS * cpu
            s[seen + at.SEEN_SEND] = -1 if polled else t_ns
            s[seen + at.SEEN_ARRIVE] = arrive_ns
            s[seen + at.SEEN_START] = begin_ns
            s[seen + at.SEEN_STATE] = state
    send_end_ns = t_ns
    # 3. Run locally. 4. Wait.
    t_ns += run_ns
    local_end_ns = t_ns
    key = flush_key(m, at.ACK, me, nth)
    last_ns = 0
    slowest = -1
    for cpu in range(n):
        if cpu == me:
            continue
        released_ns = s[release + cpu]
        if released_ns > last_ns:
            last_ns = released_ns
            slowest = cpu
        t_ns = max(t_ns, released_ns)
        t_ns += drawn(m, distance, at.ACK, near, key, cpu)
        if detail:
            s[acked + cpu] = t_ns
    ipis = 0 if polled else int(n - 1)
    # Interpreted, what came from an array is no int yet.
    walk_end_ns, send_end_ns, local_end_ns = int(walk_end_ns), int(send_end_ns), int(local_end_ns)
    return walk_end_ns, send_end_ns, local_end_ns, int(t_ns), int(last_ns), ipis, writes, slowest
