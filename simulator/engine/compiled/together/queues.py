# SPDX-License-Identifier: MIT
"""
Call queues that several tasks share, compiled
----------------------------------------------

A broadcast among others is cut where interrupts can come in between:

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
    gives a target with a task, whose handler is an event, its list.

Why that is exact: at the end of a walk every time registered before it is final,
and what is enqueued later goes behind in a list, so it cannot change when an
earlier csd is released.

``m`` is the machine, ``s`` the state (see
:mod:`simulator.engine.compiled.flat.layout`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

from typing import Final

import numpy as np

from simulator.engine import keys
from simulator.engine.compiled.flat import layout as at
from simulator.engine.compiled.flat import task_words as of
from simulator.engine.compiled.flat.layout import Int8s, Int64s
from simulator.engine.compiled.flat.places import index, line_of, part, words_of
from simulator.engine.compiled.jit import compiled, inlined
from simulator.engine.compiled.rules.answers import (
    answer,
    close_handler,
    count,
    off_draw,
    open_handler,
)
from simulator.engine.compiled.rules.sending import draw_all, drawn, flush_key, write_order

__all__ = ("close_all", "commit", "drain", "send", "shift", "walk")

_ARRIVAL: Final = int(keys.Order.ARRIVAL)
_KEY_BITS: Final = keys.KEY_BITS


@compiled
def walk(m: Int64s, s: Int64s, distance: Int8s, slot: int, me: int, nth: int, start_ns: int) -> int:
    """Register when the initiator in a slot enqueues on every other CPU; return the end."""
    n = m[at.NR_CPUS]
    s[part(s, at.UNRELEASED) + slot] = n - 1
    place = s[at.WALKING] + s[at.NR_WALKING]
    s[at.NR_WALKING] += 1
    while place > s[at.WALKING] and s[place - 1] > slot:
        s[place] = s[place - 1]
        place -= 1
    s[place] = slot
    reg, release = part(s, at.REG) + index(slot * n), part(s, at.RELEASE) + index(slot * n)
    draw_all(m, s, distance, at.ENQUEUE, me, nth, reg)
    t_ns = start_ns + m[at.BASE_NS]
    for cpu in range(n):
        if cpu != me:
            t_ns += s[reg + cpu]
            s[reg + cpu] = t_ns
            s[release + cpu] = -1
    s[reg + me] = -1
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
    call = part(s, at.CALLS) + at.CALL_WORDS * index(slot)
    s[line + at.TAIL] += s[call + at.RUN_NS]
    s[line + at.REFILL] = max(s[line + at.REFILL], s[call + at.REFILL_OF_CALL])
    s[part(s, at.RELEASE) + cell] = s[line + at.TAIL]
    s[part(s, at.UNRELEASED) + index(slot)] -= 1
    s[part(s, at.ARRIVED) + cell] = s[line + at.ARRIVE]
    s[part(s, at.STARTED) + cell] = s[line + at.START]
    s[part(s, at.FOUND) + cell] = s[line + at.STATE]
    count(s, part(s, at.ACK_HIST), s[line + at.TAIL] - s[part(s, at.ENQUEUED) + cell])
    s[part(s, at.EXECUTED) + s[call + at.FUNCTION]] += 1
    s[part(s, at.EXECUTED) + at.PAGES] += s[call + at.PAGES]


@inlined
def _enqueue(m: Int64s, s: Int64s, cpu: int, slot: int) -> None:
    # Commit one registered csd; all that comes before it on this CPU is committed.
    line = line_of(s, cpu)
    cell = index(slot * m[at.NR_CPUS] + cpu)
    t_ns = s[part(s, at.REG) + cell]
    s[part(s, at.REG) + cell] = -1
    s[part(s, at.ENQUEUED) + cell] = t_ns
    drain_ns = s[line + at.DRAIN]
    if 0 <= drain_ns <= t_ns:
        close_handler(s, cpu)
    s[part(s, at.SENT) + cell] = s[line + at.QUEUED] == 0
    s[part(s, at.SENT_NS) + cell] = -1
    s[part(s, at.QUEUE) + cpu * s[at.NR_SLOTS] + s[line + at.QUEUED]] = slot
    s[line + at.QUEUED] += 1
    if s[line + at.DRAIN] >= 0:
        _released(s, line, cell, slot)


@compiled
def _enqueue_before(m: Int64s, s: Int64s, cpu: int, until_ns: int, until_slot: int) -> None:
    # Commit what is registered on a CPU before a time, or at it by a slot up to the given one.
    n = m[at.NR_CPUS]
    reg, walking, order = part(s, at.REG) + cpu, part(s, at.WALKING), part(s, at.BY_TIME)
    nr = 0
    # Without branches, which nobody could foresee.
    for k in range(s[at.NR_WALKING]):
        slot = s[walking + k]
        t_ns = s[index(reg + slot * n)]
        s[order + nr] = slot
        nr += (t_ns >= 0) & (t_ns < until_ns + (slot <= until_slot))
    # The slots that walk are in ascending order, and of equal times the lower slot comes first.
    for k in range(1, nr):
        slot = s[order + k]
        t_ns = s[index(reg + slot * n)]
        place = order + k
        while place > order and s[index(reg + s[place - 1] * n)] > t_ns:
            s[place] = s[place - 1]
            place -= 1
        s[place] = slot
    for k in range(nr):
        _enqueue(m, s, cpu, s[order + k])


@compiled
def _find_ahead(m: Int64s, s: Int64s, slot: int) -> None:
    # On which CPUs anything is registered before a walk's own csd. Few are: who began earlier
    # mostly ended earlier. LLVM vectorises this.
    n = m[at.NR_CPUS]
    first = s[at.REG] + slot * n
    mine, ahead = s[first : first + n], s[s[at.AHEAD] : s[at.AHEAD] + n]
    for cpu in range(n):
        ahead[cpu] = 0
    for k in range(s[at.NR_WALKING]):
        other = s[part(s, at.WALKING) + k]
        if other != slot:
            earlier = np.int64(other < slot)  # at the same time, the lower slot comes first
            first = s[at.REG] + other * n
            theirs = s[first : first + n]
            for cpu in range(n):
                before = theirs[cpu] < mine[cpu] + earlier
                ahead[cpu] |= np.int64(before) & np.int64(theirs[cpu] >= 0)


@compiled
def commit(m: Int64s, s: Int64s, slot: int, me: int) -> int:
    """Commit a whole walk, and what other walks did before it; return the IPIs needed."""
    n = m[at.NR_CPUS]
    row = index(slot * n)
    reg, sent, ahead = part(s, at.REG) + row, part(s, at.SENT) + row, part(s, at.AHEAD)
    nr = 0
    s[sent + me] = 0
    _find_ahead(m, s, slot)
    for cpu in range(n):
        if cpu == me:
            continue
        t_ns = s[reg + cpu]
        if t_ns >= 0:
            if s[ahead + cpu]:
                _enqueue_before(m, s, cpu, t_ns, slot)
            else:
                _enqueue(m, s, cpu, slot)
        nr += s[sent + cpu]
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
    writes.  Those of CPUs with a task arrive as events (``KEYS``).
    """
    n = m[at.NR_CPUS]
    row = index(slot * n)
    near = me * n
    t_ns = now_ns
    writes = 0
    polled = line_ns >= 0
    nr = write_order(m, s, row, me)
    inject_key = flush_key(m, at.INJECT, me, nth)
    deliver_key = flush_key(m, at.DELIVER, me, nth)
    entry_key = flush_key(m, at.ENTRY, me, nth)
    exit_key = flush_key(m, at.EXIT_COST, me, nth)
    for i in range(nr):
        cpu = index(s[part(s, at.ORDER) + i])
        if polled:
            s[part(s, at.SENT) + row + cpu] = 0
            arrive_ns = t_ns + max(1, line_ns)
            entry_ns = m[at.POLL_WAKE_NS]
        else:
            if s[part(s, at.BEGINS) + i]:
                t_ns += m[at.SEND_NS]
                writes += 1
            t_ns += drawn(m, distance, at.INJECT, near, inject_key, cpu)
            arrive_ns = t_ns + max(1, drawn(m, distance, at.DELIVER, near, deliver_key, cpu))
            entry_ns = max(1, drawn(m, distance, at.ENTRY, near, entry_key, cpu))
        exit_ns = drawn(m, distance, at.EXIT_COST, near, exit_key, cpu)
        line = line_of(s, cpu)
        send_ns = -1 if polled else t_ns
        s[part(s, at.SENT_NS) + row + cpu] = send_ns
        if s[line + at.EAGER]:
            s[line + at.ARRIVE] = arrive_ns
            s[line + at.EXIT] = exit_ns
            eager = s[line + at.EAGER] - 1
            words = words_of(s, eager)
            s[words + of.ENTRY_NS] = entry_ns
            s[words + of.POLLED] = polled
            s[words + of.HANDLER] = of.COMING
            s[part(s, at.KEYS) + 2 * eager + 1] = arrive_ns << _KEY_BITS | _ARRIVAL | cpu
            continue
        state, begin_ns = answer(m, s, cpu, arrive_ns, off_draw(m, cpu, arrive_ns), polled)
        open_handler(s, cpu, state, arrive_ns, begin_ns, entry_ns, exit_ns, polled)
        for k in range(s[line + at.QUEUED]):
            other = s[part(s, at.QUEUE) + cpu * s[at.NR_SLOTS] + k]
            _released(s, line, index(other * n + cpu), other)
    return t_ns, nr, writes


@compiled
def drain(m: Int64s, s: Int64s, cpu: int, drain_ns: int, state: int) -> None:
    """Let the handler of a CPU with a task take its list and run the calls (``TAIL``)."""
    _enqueue_before(m, s, cpu, drain_ns, -1)
    line = line_of(s, cpu)
    s[line + at.TAIL] = drain_ns
    s[line + at.STATE] = state
    s[line + at.REFILL] = 0
    nr = s[line + at.QUEUED]
    s[line + at.QUEUED] = 0
    for k in range(nr):
        slot = s[part(s, at.QUEUE) + cpu * s[at.NR_SLOTS] + k]
        _released(s, line, index(slot * m[at.NR_CPUS] + cpu), slot)


@compiled
def close_all(m: Int64s, s: Int64s) -> None:
    """Finish the handlers of all lazy CPUs: a phase has ended."""
    for cpu in range(m[at.NR_CPUS]):
        if s[line_of(s, cpu) + at.DRAIN] >= 0:
            close_handler(s, cpu)
