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
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled import layout as at
from simulator.engine.compiled.answers import answer, close_handler, count, open_handler, polls
from simulator.engine.compiled.draws import cost_ns, mix64
from simulator.engine.compiled.jit import compiled, inlined

__all__ = (
    "BLOCKED", "DONE", "IN_SPIN", "IN_WORK", "acks", "broadcast_alone", "close_all", "commit",
    "drain", "polling", "send", "shift", "walk",
)  # fmt: skip

# What acks() returns first.
DONE, BLOCKED, IN_WORK, IN_SPIN = 0, 1, 2, 3
# What it takes for "no handler".
NEVER = -1


@inlined
def _flush_key(keys, row, initiator, nth):
    return mix64(mix64(keys[row] + np.uint64(initiator)) + np.uint64(nth))


@inlined
def _drawn(costs, tables, distance, row, near, key, cpu):
    # A drawn cost between the CPU whose distances begin at `near` and another one.
    base = row * at.COST_WORDS
    mean_fp = costs[base + 1 + distance[near + cpu]]
    return cost_ns(tables, costs[base], mean_fp, key, cpu)


@compiled
def _write_order(numbers, apic, sent, row, me, order, begins):
    # The destinations in the order of their interrupts; `begins` marks the first of a write.
    n = numbers[at.NR_CPUS]
    nr = 0
    for cpu in range(n):
        if sent[row + cpu]:
            nr += 1
    mode = numbers[at.MODE]
    if numbers[at.SHORTHAND] and nr == n - 1:
        nr = 0
        for cpu in range(n):
            if cpu != me:
                order[nr] = cpu
                begins[nr] = nr == 0
                nr += 1
        return nr
    nr = 0
    if mode == 1:  # x2apic_cluster: a cluster is written when the walk meets its first CPU
        for cpu in range(n):
            if sent[row + cpu] == 1:
                first = True
                other = cpu
                while other >= 0:
                    if sent[row + other] == 1:
                        order[nr] = other
                        begins[nr] = first
                        first = False
                        nr += 1
                        sent[row + other] = 2  # written
                    other = apic[n + other]
        for cpu in range(n):
            if sent[row + cpu] == 2:
                sent[row + cpu] = 1
        return nr
    low = high = -1
    for cpu in range(n):
        if not sent[row + cpu]:
            continue
        begin = True
        if mode == 2:  # kvm_hypercall: ids that fit a bitmap of 128, as the walk meets them
            this = apic[cpu]
            if nr > 0 and this < low and high - this < 128:
                low = this
                begin = False
            elif nr > 0 and low < this < low + 128:
                high = max(high, this)
                begin = False
            else:
                low = high = this
        order[nr] = cpu
        begins[nr] = begin
        nr += 1
    return nr


@compiled
def broadcast_alone(
    numbers, costs, keys, spells, tables, phases, distance, apic, cpus, ack_hist, handler_hist,
    sent, release, enqueued, seen, order, begins, acked, me, nth, start_ns, run_ns, refill_ns, line_ns,
    result,
):  # fmt: skip
    """
    Carry out a broadcast whose initiator is the only task.

    ``result``: end of the walk, of sending, of the local call and of all; last
    release; IPIs; ICR writes; slowest CPU.
    """
    n = numbers[at.NR_CPUS]
    near = me * n
    # 1. Enqueue: every queue is empty.
    t_ns = start_ns + numbers[at.BASE_NS]
    key = _flush_key(keys, at.ENQUEUE, me, nth)
    for cpu in range(n):
        sent[cpu] = cpu != me
        if cpu != me:
            t_ns += _drawn(costs, tables, distance, at.ENQUEUE, near, key, cpu)
            enqueued[cpu] = t_ns
    result[0] = t_ns
    # 2. Send.
    exit_key = _flush_key(keys, at.EXIT_COST, me, nth)
    polled = False
    writes = 0
    if n == 2:
        polled = polls(numbers, keys, spells, tables, phases, cpus, 1 - me, t_ns)
    if polled:
        nr = 1
        order[0] = 1 - me
    else:
        nr = _write_order(numbers, apic, sent, 0, me, order, begins)
    inject_key = _flush_key(keys, at.INJECT, me, nth)
    deliver_key = _flush_key(keys, at.DELIVER, me, nth)
    entry_key = _flush_key(keys, at.ENTRY, me, nth)
    for i in range(nr):
        cpu = order[i]
        if polled:
            arrive_ns = t_ns + line_ns
            entry_ns = numbers[at.POLL_WAKE_NS]
        else:
            if begins[i]:
                t_ns += numbers[at.SEND_NS]
                writes += 1
            t_ns += _drawn(costs, tables, distance, at.INJECT, near, inject_key, cpu)
            arrive_ns = t_ns + _drawn(costs, tables, distance, at.DELIVER, near, deliver_key, cpu)
            entry_ns = _drawn(costs, tables, distance, at.ENTRY, near, entry_key, cpu)
        exit_ns = _drawn(costs, tables, distance, at.EXIT_COST, near, exit_key, cpu)
        state, begin_ns = answer(
            numbers, keys, spells, tables, phases, cpus, cpu, arrive_ns, polled
        )
        open_handler(cpus, cpu, state, arrive_ns, begin_ns, entry_ns, exit_ns, polled)
        line = cpu * at.CPU_WORDS
        seen[at.SEEN_WORDS * cpu + at.SEEN_SEND] = -1 if polled else t_ns
        cpus[line + at.TAIL] += run_ns
        cpus[line + at.REFILL] = refill_ns
        release[cpu] = cpus[line + at.TAIL]
        count(ack_hist, release[cpu] - enqueued[cpu])
        close_handler(cpus, handler_hist, cpu)
    result[1] = t_ns
    # 3. Run locally. 4. Wait.
    t_ns += run_ns
    result[2] = t_ns
    key = _flush_key(keys, at.ACK, me, nth)
    last_ns = 0
    slowest = -1
    for cpu in range(n):
        if cpu == me:
            continue
        released_ns = release[cpu]
        if released_ns > last_ns:
            last_ns = released_ns
            slowest = cpu
        t_ns = max(t_ns, released_ns)
        t_ns += _drawn(costs, tables, distance, at.ACK, near, key, cpu)
        acked[cpu] = t_ns
    result[3] = t_ns
    result[4] = last_ns
    result[5] = 0 if polled else nr
    result[6] = writes
    result[7] = slowest


@compiled
def walk(numbers, costs, keys, tables, distance, reg, release, slot, me, nth, start_ns):
    """Register when the initiator in a slot enqueues on every other CPU; return the end."""
    n = numbers[at.NR_CPUS]
    row = slot * n
    t_ns = start_ns + numbers[at.BASE_NS]
    key = _flush_key(keys, at.ENQUEUE, me, nth)
    for cpu in range(n):
        if cpu != me:
            t_ns += _drawn(costs, tables, distance, at.ENQUEUE, me * n, key, cpu)
            reg[row + cpu] = t_ns
            release[row + cpu] = -1
    return t_ns


@compiled
def shift(reg, row, n, from_ns, by_ns):
    """Move what an initiator has not enqueued yet at a time: a handler runs on its CPU."""
    for i in range(row, row + n):
        if reg[i] >= from_ns:
            reg[i] += by_ns


@inlined
def _released(cpus, release, calls, executed, ack_hist, enqueued, seen, line, row, cpu, slot):
    # The next csd of the list of a lazy CPU's handler runs.
    cpus[line + at.TAIL] += calls[4 * slot]
    cpus[line + at.REFILL] = max(cpus[line + at.REFILL], calls[4 * slot + 1])
    release[row + cpu] = cpus[line + at.TAIL]
    detail = at.SEEN_WORDS * (row + cpu)
    seen[detail + at.SEEN_ARRIVE] = cpus[line + at.ARRIVE]
    seen[detail + at.SEEN_START] = cpus[line + at.START]
    seen[detail + at.SEEN_STATE] = cpus[line + at.STATE]
    count(ack_hist, release[row + cpu] - enqueued[row + cpu])
    executed[calls[4 * slot + 2]] += 1
    executed[3] += calls[4 * slot + 3]


@inlined
def _enqueue(
    n, nr_slots, cpus, reg, enqueued, release, sent, queue, calls, executed, ack_hist,
    handler_hist, seen, cpu, slot,
):  # fmt: skip
    # Commit one registered csd; all that comes before it on this CPU is committed.
    line = cpu * at.CPU_WORDS
    row = slot * n
    t_ns = reg[row + cpu]
    reg[row + cpu] = -1
    enqueued[row + cpu] = t_ns
    drain_ns = cpus[line + at.DRAIN]
    if 0 <= drain_ns <= t_ns:
        close_handler(cpus, handler_hist, cpu)
    sent[row + cpu] = cpus[line + at.QUEUED] == 0
    seen[at.SEEN_WORDS * (row + cpu) + at.SEEN_SEND] = -1
    queue[cpu * nr_slots + cpus[line + at.QUEUED]] = slot
    cpus[line + at.QUEUED] += 1
    if cpus[line + at.DRAIN] >= 0:
        _released(cpus, release, calls, executed, ack_hist, enqueued, seen, line, row, cpu, slot)


@inlined
def _enqueue_before(
    n, nr_slots, cpus, reg, enqueued, release, sent, queue, calls, executed, ack_hist,
    handler_hist, seen, cpu, until_ns, until_slot,
):  # fmt: skip
    # Commit what is registered on a CPU before a time, or at it by a slot up to the given one.
    while True:
        first = -1
        first_ns = until_ns
        for slot in range(nr_slots):
            t_ns = reg[slot * n + cpu]
            if t_ns < 0:
                continue
            if t_ns < first_ns or (t_ns == first_ns and first < 0 and slot <= until_slot):
                first = slot
                first_ns = t_ns
        if first < 0:
            return
        _enqueue(
            n, nr_slots, cpus, reg, enqueued, release, sent, queue, calls, executed, ack_hist,
            handler_hist, seen, cpu, first,
        )  # fmt: skip


@compiled
def commit(
    numbers, cpus, reg, enqueued, release, sent, queue, calls, executed, ack_hist, handler_hist,
    seen, slot, nr_slots, me,
):  # fmt: skip
    """Commit a whole walk, and what other walks did before it; return the IPIs needed."""
    n = numbers[at.NR_CPUS]
    row = slot * n
    nr = 0
    sent[row + me] = 0
    for cpu in range(n):
        if cpu == me:
            continue
        t_ns = reg[row + cpu]
        if t_ns >= 0:
            _enqueue_before(
                n, nr_slots, cpus, reg, enqueued, release, sent, queue, calls, executed, ack_hist,
                handler_hist, seen, cpu, t_ns, slot,
            )  # fmt: skip
        nr += sent[row + cpu]
    return nr


@compiled
def send(
    numbers, costs, keys, spells, tables, phases, distance, apic, cpus, enqueued, release, sent,
    queue, calls, executed, ack_hist, seen, order, begins, ipis, slot, nr_slots, me, nth, now_ns,
    line_ns,
):  # fmt: skip
    """
    Send the IPIs of a broadcast, or, if ``line_ns`` >= 0, wake its only target from polling.

    Returns the time of the last one, how many there are and the number of ICR
    writes.  ``ipis`` [4 * n]: send, arrival, entry and exit of each, in ``order``;
    those of eager CPUs are the caller's to deliver.
    """
    n = numbers[at.NR_CPUS]
    row = slot * n
    near = me * n
    t_ns = now_ns
    writes = 0
    polled = line_ns >= 0
    if polled:
        nr = 0
        for cpu in range(n):
            if sent[row + cpu]:
                order[0] = cpu
                sent[row + cpu] = 0
        nr = 1
    else:
        nr = _write_order(numbers, apic, sent, row, me, order, begins)
    inject_key = _flush_key(keys, at.INJECT, me, nth)
    deliver_key = _flush_key(keys, at.DELIVER, me, nth)
    entry_key = _flush_key(keys, at.ENTRY, me, nth)
    exit_key = _flush_key(keys, at.EXIT_COST, me, nth)
    for i in range(nr):
        cpu = order[i]
        if polled:
            arrive_ns = t_ns + line_ns
            entry_ns = numbers[at.POLL_WAKE_NS]
        else:
            if begins[i]:
                t_ns += numbers[at.SEND_NS]
                writes += 1
            t_ns += _drawn(costs, tables, distance, at.INJECT, near, inject_key, cpu)
            arrive_ns = t_ns + _drawn(costs, tables, distance, at.DELIVER, near, deliver_key, cpu)
            entry_ns = _drawn(costs, tables, distance, at.ENTRY, near, entry_key, cpu)
        exit_ns = _drawn(costs, tables, distance, at.EXIT_COST, near, exit_key, cpu)
        line = cpu * at.CPU_WORDS
        seen[at.SEEN_WORDS * (row + cpu) + at.SEEN_SEND] = -1 if polled else t_ns
        if cpus[line + at.EAGER]:
            ipis[4 * i] = -1 if polled else t_ns
            ipis[4 * i + 1] = arrive_ns
            ipis[4 * i + 2] = entry_ns
            ipis[4 * i + 3] = exit_ns
            continue
        state, begin_ns = answer(
            numbers, keys, spells, tables, phases, cpus, cpu, arrive_ns, polled
        )
        open_handler(cpus, cpu, state, arrive_ns, begin_ns, entry_ns, exit_ns, polled)
        for k in range(cpus[line + at.QUEUED]):
            other = queue[cpu * nr_slots + k]
            _released(
                cpus, release, calls, executed, ack_hist, enqueued, seen, line, other * n, cpu,
                other,
            )
    return t_ns, nr, writes


@compiled
def polling(numbers, costs, keys, spells, tables, phases, distance, apic, cpus, cpu, t_ns):
    """Return whether a lazy CPU idles polling at a time."""
    return polls(numbers, keys, spells, tables, phases, cpus, cpu, t_ns)


@compiled
def drain(
    numbers, cpus, reg, enqueued, release, sent, queue, calls, executed, ack_hist, handler_hist,
    seen, nr_slots, cpu, drain_ns, taken,
):  # fmt: skip
    """Take the list of an eager CPU at a time; ``taken`` gets the slots, in order."""
    n = numbers[at.NR_CPUS]
    _enqueue_before(
        n, nr_slots, cpus, reg, enqueued, release, sent, queue, calls, executed, ack_hist,
        handler_hist, seen, cpu, drain_ns, -1,
    )  # fmt: skip
    line = cpu * at.CPU_WORDS
    nr = cpus[line + at.QUEUED]
    cpus[line + at.QUEUED] = 0
    for k in range(nr):
        taken[k] = queue[cpu * nr_slots + k]
    return nr


@compiled
def acks(
    numbers, costs, keys, tables, distance, release, acked, slot, me, nth, cpu, t_ns, spins,
    handler_ns,
):  # fmt: skip
    """
    Follow an initiator that waits for its csds.

    At ``t_ns`` it is done with all CPUs before ``cpu``, and spins on that one
    already if ``spins``.  Returns what stops it, the CPU, the time and whether it
    spins: DONE, BLOCKED (not released yet), or, for a handler that starts at
    ``handler_ns``, IN_WORK (the time is then what remains of reading a csd) or
    IN_SPIN.
    """
    n = numbers[at.NR_CPUS]
    row = slot * n
    key = _flush_key(keys, at.ACK, me, nth)
    while True:
        # An interrupt at the very end of the work before is taken before the spin.
        if handler_ns >= 0 and not spins and handler_ns <= t_ns:
            return IN_WORK, cpu, t_ns - handler_ns, spins
        if cpu == me:
            cpu += 1
        if cpu >= n:
            return DONE, cpu, t_ns, spins
        released_ns = release[row + cpu]
        if released_ns < 0:
            if handler_ns >= 0:
                return IN_SPIN, cpu, t_ns, spins
            return BLOCKED, cpu, t_ns, spins
        if released_ns > t_ns or spins:
            t_ns = max(t_ns, released_ns)
            if 0 <= handler_ns <= t_ns:
                return IN_SPIN, cpu, t_ns, spins
        t_ns += _drawn(costs, tables, distance, at.ACK, me * n, key, cpu)
        acked[row + cpu] = t_ns
        spins = False
        cpu += 1


@compiled
def close_all(numbers, cpus, handler_hist):
    """Finish the handlers of all lazy CPUs: a phase has ended."""
    for cpu in range(numbers[at.NR_CPUS]):
        if cpus[cpu * at.CPU_WORDS + at.DRAIN] >= 0:
            close_handler(cpus, handler_hist, cpu)
