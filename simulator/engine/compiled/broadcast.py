# SPDX-License-Identifier: MIT
"""
Broadcasts, compiled
--------------------

``smp_call_function_many_cond()`` for lazy targets.  A broadcast whose initiator
is the only task is one call (:func:`broadcast_alone`).  With several tasks it is
cut where their interrupts, real events, can come in between:

:func:`walk`
    computes and registers the times at which csds are enqueued; a handler on the
    initiator's CPU moves the later ones (:func:`shift`);
:func:`commit`
    at the end of the walk: brings every target's queue up to its enqueue time, in
    the order of all registered times, and learns which queues were empty;
:func:`send`
    sends the IPIs, and with them knows when lazy targets take their lists and
    release each csd, those that other initiators have queued behind included;
:func:`drain`
    gives an eager target, whose handler is a real event, its list;
:func:`acks`
    follows the initiator through its waits, up to a handler on its CPU.

Why that is exact: at the end of a walk every time registered before it is final,
and what is enqueued later goes behind in a list, so it cannot change when an
earlier csd is released.

``m`` is the machine, ``s`` the state (see
:mod:`simulator.engine.compiled.layout`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled import layout as at
from simulator.engine.compiled.answers import (
    answer,
    close_handler,
    count,
    open_handler,
    polls,
    settle,
)
from simulator.engine.compiled.draws import cost_ns, mix64
from simulator.engine.compiled.jit import compiled, inlined
from simulator.engine.compiled.layout import Int8s, Int64s

__all__ = (
    "BLOCKED", "DONE", "IN_SPIN", "IN_WORK", "acks", "broadcast_alone", "close_all", "commit",
    "drain", "polling", "send", "shift", "walk",
)  # fmt: skip

# What acks() returns first.
DONE, BLOCKED, IN_WORK, IN_SPIN = 0, 1, 2, 3


@inlined
def _flush_key(m: Int64s, row: int, initiator: int, nth: int) -> np.uint64:
    key = np.uint64(m[at.COST_KEYS + row])
    return mix64(mix64(key + np.uint64(initiator)) + np.uint64(nth))


@inlined
def _drawn(m: Int64s, distance: Int8s, row: int, near: int, key: np.uint64, cpu: int) -> int:
    # A drawn cost between the CPU whose distances begin at `near` and another one.
    base = at.COSTS + row * at.COST_WORDS
    return cost_ns(m, m[base], m[base + 1 + distance[near + cpu]], key, cpu)


@inlined
def _put(s: Int64s, nr: int, cpu: int, begins: bool) -> None:
    # The next destination, and whether a write begins with it.
    s[s[at.ORDER] + nr] = cpu
    s[s[at.BEGINS] + nr] = begins


@compiled
def _order_all(m: Int64s, s: Int64s, me: int) -> None:
    # The shorthand: one write to all others.
    nr = 0
    for cpu in range(m[at.NR_CPUS]):
        if cpu != me:
            _put(s, nr, cpu, nr == 0)
            nr += 1


@compiled
def _order_by_cluster(m: Int64s, s: Int64s, sent: int) -> None:
    # A cluster is written when the walk meets its first CPU.
    nr = 0
    for cpu in range(m[at.NR_CPUS]):
        if s[sent + cpu] == 1:
            begins = True
            other = cpu
            while other >= 0:
                if s[sent + other] == 1:
                    _put(s, nr, other, begins)
                    begins = False
                    nr += 1
                    s[sent + other] = 2  # written
                other = m[m[at.NEXT_IN_CLUSTER] + other]
    for cpu in range(m[at.NR_CPUS]):
        if s[sent + cpu] == 2:
            s[sent + cpu] = 1


@compiled
def _order_by_span(m: Int64s, s: Int64s, sent: int) -> None:
    # Hypercalls: APIC ids that fit a bitmap of 128, as the walk meets them.
    nr = 0
    low = -1
    high = -1
    for cpu in range(m[at.NR_CPUS]):
        if s[sent + cpu]:
            this = m[m[at.APIC] + cpu]
            begins = False
            if nr > 0 and this < low and high - this < 128:
                low = this
            elif nr > 0 and low < this < low + 128:
                high = max(high, this)
            else:
                low = this
                high = this
                begins = True
            _put(s, nr, cpu, begins)
            nr += 1


@compiled
def _write_order(m: Int64s, s: Int64s, row: int, me: int) -> int:
    # Order the destinations that a row of SENT names; return how many there are.
    n, sent = m[at.NR_CPUS], s[at.SENT] + row
    nr = 0
    for cpu in range(n):
        nr += s[sent + cpu]
    if m[at.SHORTHAND] and nr == n - 1:
        _order_all(m, s, me)
    elif m[at.MODE] == at.CLUSTER:
        _order_by_cluster(m, s, sent)
    elif m[at.MODE] == at.HYPERCALL:
        _order_by_span(m, s, sent)
    else:
        at_cpu = 0
        for cpu in range(n):
            if s[sent + cpu]:
                _put(s, at_cpu, cpu, True)
                at_cpu += 1
    return nr


@compiled
def _order_others(m: Int64s, s: Int64s, me: int) -> None:
    # The order of an only task's broadcasts is always the same.
    if s[at.ORDER_FOR] != me + 1:
        for cpu in range(m[at.NR_CPUS]):
            s[s[at.SENT] + cpu] = cpu != me
        _write_order(m, s, 0, me)
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
    key = _flush_key(m, at.ENQUEUE, me, nth)
    for cpu in range(n):
        if cpu != me:
            t_ns += _drawn(m, distance, at.ENQUEUE, near, key, cpu)
            s[enqueued + cpu] = t_ns
    walk_end_ns = t_ns
    # 2. Send.
    polled = n == 2 and polls(m, s, 1 - me, t_ns)
    writes = 0
    inject_key = _flush_key(m, at.INJECT, me, nth)
    deliver_key = _flush_key(m, at.DELIVER, me, nth)
    entry_key = _flush_key(m, at.ENTRY, me, nth)
    exit_key = _flush_key(m, at.EXIT_COST, me, nth)
    for i in range(n - 1):
        cpu = s[order + i]
        if polled:
            arrive_ns = t_ns + max(1, line_ns)
            entry_ns = m[at.POLL_WAKE_NS]
        else:
            if s[begins + i]:
                t_ns += m[at.SEND_NS]
                writes += 1
            t_ns += _drawn(m, distance, at.INJECT, near, inject_key, cpu)
            arrive_ns = t_ns + max(1, _drawn(m, distance, at.DELIVER, near, deliver_key, cpu))
            entry_ns = max(1, _drawn(m, distance, at.ENTRY, near, entry_key, cpu))
        state, begin_ns = answer(m, s, cpu, arrive_ns, polled)
        released_ns = begin_ns + entry_ns + run_ns
        end_ns = released_ns + _drawn(m, distance, at.EXIT_COST, near, exit_key, cpu)
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
    key = _flush_key(m, at.ACK, me, nth)
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
        t_ns += _drawn(m, distance, at.ACK, near, key, cpu)
        if detail:
            s[acked + cpu] = t_ns
    ipis = 0 if polled else int(n - 1)
    # Interpreted, what came from an array is no int yet.
    walk_end_ns, send_end_ns, local_end_ns = int(walk_end_ns), int(send_end_ns), int(local_end_ns)
    return walk_end_ns, send_end_ns, local_end_ns, int(t_ns), int(last_ns), ipis, writes, slowest


@compiled
def walk(m: Int64s, s: Int64s, distance: Int8s, slot: int, me: int, nth: int, start_ns: int) -> int:
    """Register when the initiator in a slot enqueues on every other CPU; return the end."""
    n = m[at.NR_CPUS]
    row = slot * n
    t_ns = start_ns + m[at.BASE_NS]
    key = _flush_key(m, at.ENQUEUE, me, nth)
    s[s[at.UNRELEASED] + slot] = n - 1
    place = s[at.WALKING] + s[at.NR_WALKING]
    s[at.NR_WALKING] += 1
    while place > s[at.WALKING] and s[place - 1] > slot:
        s[place] = s[place - 1]
        place -= 1
    s[place] = slot
    for cpu in range(n):
        if cpu != me:
            t_ns += _drawn(m, distance, at.ENQUEUE, me * n, key, cpu)
            s[s[at.REG] + row + cpu] = t_ns
            s[s[at.RELEASE] + row + cpu] = -1
    return t_ns


@compiled
def shift(m: Int64s, s: Int64s, slot: int, from_ns: int, by_ns: int) -> None:
    """Move what an initiator has not enqueued yet at a time: a handler runs on its CPU."""
    first = s[at.REG] + slot * m[at.NR_CPUS]
    for i in range(first, first + m[at.NR_CPUS]):
        if s[i] >= from_ns:
            s[i] += by_ns


@inlined
def _released(s: Int64s, line: int, cell: int, slot: int) -> None:
    # The next csd of the list of a lazy CPU's handler runs.
    call = s[at.CALLS] + at.CALL_WORDS * slot
    s[line + at.TAIL] += s[call + at.RUN_NS]
    s[line + at.REFILL] = max(s[line + at.REFILL], s[call + at.REFILL_OF_CALL])
    s[s[at.RELEASE] + cell] = s[line + at.TAIL]
    s[s[at.UNRELEASED] + slot] -= 1
    detail = s[at.SEEN] + at.SEEN_WORDS * cell
    s[detail + at.SEEN_ARRIVE] = s[line + at.ARRIVE]
    s[detail + at.SEEN_START] = s[line + at.START]
    s[detail + at.SEEN_STATE] = s[line + at.STATE]
    count(s, s[at.ACK_HIST], s[line + at.TAIL] - s[s[at.ENQUEUED] + cell])
    s[s[at.EXECUTED] + s[call + at.FUNCTION]] += 1
    s[s[at.EXECUTED] + at.PAGES] += s[call + at.PAGES]


@inlined
def _enqueue(m: Int64s, s: Int64s, cpu: int, slot: int) -> None:
    # Commit one registered csd; all that comes before it on this CPU is committed.
    line = s[at.CPUS] + cpu * at.CPU_WORDS
    cell = slot * m[at.NR_CPUS] + cpu
    t_ns = s[s[at.REG] + cell]
    s[s[at.REG] + cell] = -1
    s[s[at.ENQUEUED] + cell] = t_ns
    drain_ns = s[line + at.DRAIN]
    if 0 <= drain_ns <= t_ns:
        close_handler(s, cpu)
    s[s[at.SENT] + cell] = s[line + at.QUEUED] == 0
    s[s[at.SEEN] + at.SEEN_WORDS * cell + at.SEEN_SEND] = -1
    s[s[at.QUEUE] + cpu * s[at.NR_SLOTS] + s[line + at.QUEUED]] = slot
    s[line + at.QUEUED] += 1
    if s[line + at.DRAIN] >= 0:
        _released(s, line, cell, slot)


@compiled
def _enqueue_before(m: Int64s, s: Int64s, cpu: int, until_ns: int, until_slot: int) -> None:
    # Commit what is registered on a CPU before a time, or at it by a slot up to the given one.
    n = m[at.NR_CPUS]
    reg = s[at.REG] + cpu
    while True:
        first = -1
        first_ns = until_ns
        for k in range(s[at.NR_WALKING]):
            slot = s[s[at.WALKING] + k]
            t_ns = s[reg + slot * n]
            if t_ns < 0:
                continue
            if t_ns < first_ns or (t_ns == first_ns and first < 0 and slot <= until_slot):
                first = slot
                first_ns = t_ns
        if first < 0:
            return
        _enqueue(m, s, cpu, first)


@compiled
def commit(m: Int64s, s: Int64s, slot: int, me: int) -> int:
    """Commit a whole walk, and what other walks did before it; return the IPIs needed."""
    n = m[at.NR_CPUS]
    row = slot * n
    nr = 0
    s[s[at.SENT] + row + me] = 0
    for cpu in range(n):
        if cpu == me:
            continue
        t_ns = s[s[at.REG] + row + cpu]
        if t_ns >= 0:
            _enqueue_before(m, s, cpu, t_ns, slot)
        nr += s[s[at.SENT] + row + cpu]
    # This one does not walk any more.
    s[at.NR_WALKING] -= 1
    for i in range(s[at.WALKING], s[at.WALKING] + s[at.NR_WALKING]):
        if s[i] >= slot:
            s[i] = s[i + 1]
    return nr


@compiled
def send(
    m: Int64s, s: Int64s, distance: Int8s, slot: int, me: int, nth: int, now_ns: int, line_ns: int
) -> tuple[int, int, int]:
    """
    Send the IPIs of a broadcast, or, if ``line_ns`` >= 0, wake its only target from polling.

    Returns the time of the last one, how many there are and the number of ICR
    writes.  Those of eager CPUs are left in ``IPIS`` for the caller to deliver.
    """
    n = m[at.NR_CPUS]
    row = slot * n
    near = me * n
    t_ns = now_ns
    writes = 0
    polled = line_ns >= 0
    nr = _write_order(m, s, row, me)
    inject_key = _flush_key(m, at.INJECT, me, nth)
    deliver_key = _flush_key(m, at.DELIVER, me, nth)
    entry_key = _flush_key(m, at.ENTRY, me, nth)
    exit_key = _flush_key(m, at.EXIT_COST, me, nth)
    for i in range(nr):
        cpu = s[s[at.ORDER] + i]
        if polled:
            s[s[at.SENT] + row + cpu] = 0
            arrive_ns = t_ns + max(1, line_ns)
            entry_ns = m[at.POLL_WAKE_NS]
        else:
            if s[s[at.BEGINS] + i]:
                t_ns += m[at.SEND_NS]
                writes += 1
            t_ns += _drawn(m, distance, at.INJECT, near, inject_key, cpu)
            arrive_ns = t_ns + max(1, _drawn(m, distance, at.DELIVER, near, deliver_key, cpu))
            entry_ns = max(1, _drawn(m, distance, at.ENTRY, near, entry_key, cpu))
        exit_ns = _drawn(m, distance, at.EXIT_COST, near, exit_key, cpu)
        line = s[at.CPUS] + cpu * at.CPU_WORDS
        send_ns = -1 if polled else t_ns
        s[s[at.SEEN] + at.SEEN_WORDS * (row + cpu) + at.SEEN_SEND] = send_ns
        if s[line + at.EAGER]:
            ipi = s[at.IPIS] + 4 * i
            s[ipi] = send_ns
            s[ipi + 1] = arrive_ns
            s[ipi + 2] = entry_ns
            s[ipi + 3] = exit_ns
            continue
        state, begin_ns = answer(m, s, cpu, arrive_ns, polled)
        open_handler(s, cpu, state, arrive_ns, begin_ns, entry_ns, exit_ns, polled)
        for k in range(s[line + at.QUEUED]):
            other = s[s[at.QUEUE] + cpu * s[at.NR_SLOTS] + k]
            _released(s, line, other * n + cpu, other)
    return t_ns, nr, writes


@compiled
def polling(m: Int64s, s: Int64s, cpu: int, t_ns: int) -> bool:
    """Return whether a lazy CPU idles polling at a time."""
    return polls(m, s, cpu, t_ns)


@compiled
def drain(
    m: Int64s, s: Int64s, cpu: int, arrive_ns: int, start_ns: int, drain_ns: int, state: int
) -> tuple[int, int]:
    """Let an eager CPU take its list and run the calls; return the end, and the refill."""
    _enqueue_before(m, s, cpu, drain_ns, -1)
    line = s[at.CPUS] + cpu * at.CPU_WORDS
    s[line + at.ARRIVE] = arrive_ns
    s[line + at.START] = start_ns
    s[line + at.TAIL] = drain_ns
    s[line + at.STATE] = state
    s[line + at.REFILL] = 0
    nr = s[line + at.QUEUED]
    s[line + at.QUEUED] = 0
    for k in range(nr):
        slot = s[s[at.QUEUE] + cpu * s[at.NR_SLOTS] + k]
        _released(s, line, slot * m[at.NR_CPUS] + cpu, slot)
    return s[line + at.TAIL], s[line + at.REFILL]


@compiled
def acks(
    m: Int64s,
    s: Int64s,
    distance: Int8s,
    slot: int,
    me: int,
    nth: int,
    cpu: int,
    t_ns: int,
    spins: bool,
    handler_ns: int,
) -> tuple[int, int, int]:
    """
    Follow an initiator that waits for its csds.

    At ``t_ns`` it is done with all CPUs before ``cpu``, and spins on that one
    already if ``spins``.  Returns what stops it, the CPU and the time: DONE,
    BLOCKED (not released yet), or, for a handler that starts at ``handler_ns``,
    IN_WORK (the time is then what remains of reading a csd) or IN_SPIN.
    """
    n = m[at.NR_CPUS]
    row = slot * n
    key = _flush_key(m, at.ACK, me, nth)
    while True:
        # An interrupt at the very end of the work before is taken before the spin.
        if handler_ns >= 0 and not spins and handler_ns <= t_ns:
            return IN_WORK, cpu, t_ns - handler_ns
        if cpu == me:
            cpu += 1
        if cpu >= n:
            return DONE, cpu, t_ns
        released_ns = s[s[at.RELEASE] + row + cpu]
        if released_ns < 0:
            if handler_ns >= 0:
                return IN_SPIN, cpu, t_ns
            return BLOCKED, cpu, t_ns
        if released_ns > t_ns or spins:
            t_ns = max(t_ns, released_ns)
            if handler_ns >= 0 and handler_ns <= t_ns:
                return IN_SPIN, cpu, t_ns
        t_ns += _drawn(m, distance, at.ACK, me * n, key, cpu)
        s[s[at.ACKED] + row + cpu] = t_ns
        spins = False
        cpu += 1


@compiled
def close_all(m: Int64s, s: Int64s) -> None:
    """Finish the handlers of all lazy CPUs: a phase has ended."""
    for cpu in range(m[at.NR_CPUS]):
        if s[s[at.CPUS] + cpu * at.CPU_WORDS + at.DRAIN] >= 0:
            close_handler(s, cpu)
