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
:mod:`simulator.engine.compiled.flat`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

from typing import Final

import numpy as np

from simulator.engine import keys
from simulator.engine.compiled.flat.machine import COSTS, M
from simulator.engine.compiled.flat.places import event_key, index, line_of, part, span, words_of
from simulator.engine.compiled.flat.state import CALL, CPU, HANDLER, TASK, S
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import compiled, entry, inlined
from simulator.engine.compiled.rules.answers import (
    answer,
    close_handler,
    off_draw,
    open_handler,
)
from simulator.engine.compiled.rules.bits import lowest_bit
from simulator.engine.compiled.rules.sending import draw_all, drawn, flush_key, write_order

__all__ = ("close_all", "commit", "drain", "send", "shift", "walk")

_ARRIVAL: Final = int(keys.Order.ARRIVAL)
_BITS: Final = 32
_ALL: Final = (1 << _BITS) - 1


@compiled
def walk(m: Int64s, s: Int64s, distance: Int8s, slot: int, me: int, nth: int, start_ns: int) -> int:
    """Register when the initiator in a slot enqueues on its targets; return the end."""
    n = m[M.nr_cpus]
    s[part(s, S.unreleased) + slot] = n - 1
    place = s[S.walking] + s[S.nr_walking]
    s[S.nr_walking] += 1
    while place > s[S.walking] and s[place - 1] > slot:
        s[place] = s[place - 1]
        place -= 1
    s[place] = slot
    row = index(slot * n)
    reg, release, sent = (
        part(s, S.registered) + row,
        part(s, S.released) + row,
        part(s, S.sent_ns) + row,
    )
    draw_all(m, s, distance, COSTS.enqueue, me, nth, reg)
    t_ns = start_ns + m[M.base_ns]
    s[release : release + n] = -1
    s[sent : sent + n] = -1
    s[reg + me], s[release + me], s[part(s, S.enqueued) + row + me] = -1, 0, 0
    if s[words_of(s, slot) + TASK.masked]:
        _leave_out(m, s, slot, me)
    return _register(s[reg : reg + n], t_ns)


@compiled
def _register(registered: Int64s, t_ns: int) -> int:
    # What enqueueing takes becomes when it is done, but for CPUs that are left out.
    for cpu in range(len(registered)):
        takes_ns = registered[cpu]
        t_ns += max(takes_ns, 0)
        registered[cpu] = t_ns if takes_ns >= 0 else -1
    return t_ns


@compiled
def _leave_out(m: Int64s, s: Int64s, slot: int, me: int) -> None:
    # CPUs that a mask leaves out are not enqueued on, and not waited for.
    n = m[M.nr_cpus]
    row = index(slot * n)
    for cpu in range(n):
        if cpu != me and s[part(s, S.left_out) + row + cpu]:
            s[part(s, S.registered) + row + cpu] = -1
            s[part(s, S.released) + row + cpu] = 0
            s[part(s, S.enqueued) + row + cpu] = 0
            s[part(s, S.sent) + row + cpu] = 0
            s[part(s, S.unreleased) + slot] -= 1


@compiled
def shift(m: Int64s, s: Int64s, slot: int, from_ns: int, by_ns: int) -> None:
    """Move what an initiator has not enqueued yet at a time: a handler runs on its CPU."""
    first = s[S.registered] + slot * m[M.nr_cpus]
    for i in range(first, first + m[M.nr_cpus]):
        if s[i] >= from_ns:
            s[i] += by_ns


@inlined
def _released(s: Int64s, cpu: int, cell: int, slot: int, contended_ns: int) -> None:
    # The next csd of the list of a CPU's handler runs; behind others, it is contended for.
    line = line_of(s, cpu)
    call = part(s, S.calls) + CALL.words * index(slot)
    s[line + CPU.tail_ns] += s[call + CALL.run_ns] + contended_ns
    s[line + CPU.next_refill_ns] = max(s[line + CPU.next_refill_ns], s[call + CALL.refill_ns])
    s[part(s, S.released) + cell] = s[line + CPU.tail_ns]
    s[part(s, S.unreleased) + index(slot)] -= 1
    s[part(s, S.arrived) + cell] = s[line + CPU.arrive_ns]
    s[part(s, S.started) + cell] = s[line + CPU.start_ns]
    s[part(s, S.found) + cell] = s[part(s, S.last_found) + cpu]


@inlined
def _enqueue(m: Int64s, s: Int64s, cpu: int, slot: int) -> None:
    # Commit one registered csd; all that comes before it on this CPU is committed.
    line = line_of(s, cpu)
    cell = index(slot * m[M.nr_cpus] + cpu)
    t_ns = s[part(s, S.registered) + cell]
    s[part(s, S.registered) + cell] = -1
    s[part(s, S.enqueued) + cell] = t_ns
    drain_ns = s[line + CPU.drain_ns]
    if 0 <= drain_ns <= t_ns:
        close_handler(s, cpu)
    s[part(s, S.sent) + cell] = s[line + CPU.queued] == 0
    if s[line + CPU.drain_ns] >= 0:
        # The handler under way finds it in its list.
        _released(s, cpu, cell, slot, m[M.contention_ns])
    else:
        s[part(s, S.queue) + cpu * s[S.nr_slots] + s[line + CPU.queued]] = slot
        s[line + CPU.queued] += 1


@inlined
def _is_after(one: int, one_ns: int, other: int, other_ns: int) -> bool:
    return one_ns > other_ns or (one_ns == other_ns and one > other)


@compiled
def _enqueue_before(
    m: Int64s, s: Int64s, cpu: int, until_ns: int, until_slot: int, walks: int
) -> None:
    # Commit what is registered on a CPU before a time, or at it by a slot up to the given one, by
    # some of the slots that walk: their places among these, modulo _BITS, are bits of a number.
    n = m[M.nr_cpus]
    reg, walking, order = part(s, S.registered) + cpu, part(s, S.walking), part(s, S.by_time)
    nr = 0
    while walks != 0:
        for k in range(lowest_bit(walks), s[S.nr_walking], _BITS):
            slot = s[walking + k]
            t_ns = s[index(reg + slot * n)]
            if 0 <= t_ns < until_ns + (slot <= until_slot):
                # Of equal times the lower slot comes first.
                place = order + nr
                while place > order:
                    before = s[place - 1]
                    if not _is_after(before, s[index(reg + before * n)], slot, t_ns):
                        break
                    s[place] = before
                    place -= 1
                s[place] = slot
                nr += 1
        walks &= walks - 1
    for k in range(nr):
        _enqueue(m, s, cpu, s[order + k])


@compiled
def _mark(theirs: Int64s, mine: Int64s, earlier: int, bit: int, ahead: Int64s) -> None:
    for cpu in range(len(mine)):
        before = (theirs[cpu] < mine[cpu] + earlier) & (theirs[cpu] >= 0)
        ahead[cpu] |= np.int64(before) << bit


@compiled
def _find_ahead(m: Int64s, s: Int64s, slot: int) -> int:
    # On which CPUs anything is registered before a walk's own csd, and by which of the slots that
    # walk, as _enqueue_before() has them; return its own bit. On most there is nothing: who began
    # earlier mostly ended earlier. LLVM vectorises this.
    n = m[M.nr_cpus]
    mine = slot * n
    own = 0
    s[span(s, S.ahead, 0, n)] = 0
    for k in range(s[S.nr_walking]):
        other = s[part(s, S.walking) + k]
        if other == slot:
            own = 1 << (k % _BITS)
        else:
            theirs = other * n
            _mark(
                s[span(s, S.registered, theirs, theirs + n)],
                s[span(s, S.registered, mine, mine + n)],
                int(other < slot),  # at the same time, the lower slot comes first
                k % _BITS,
                s[span(s, S.ahead, 0, n)],
            )
    return own


@compiled
def _some(values: Int64s) -> int:
    # Which are not 0, as the bits of a number.
    found = 0
    for i in range(len(values)):
        found |= int(values[i] != 0) << i
    return found


@compiled
def commit(m: Int64s, s: Int64s, slot: int, me: int) -> int:
    """Commit a whole walk, and what other walks did before it; return the IPIs needed."""
    n = m[M.nr_cpus]
    row = index(slot * n)
    reg, sent, ahead = part(s, S.registered) + row, part(s, S.sent) + row, part(s, S.ahead)
    nr = 0
    s[sent + me] = 0
    own = _find_ahead(m, s, slot)
    for first in range(0, n, _BITS):
        cpus = _some(s[span(s, S.ahead, first, min(n, first + _BITS))])
        while cpus != 0:
            cpu = first + lowest_bit(cpus)
            _enqueue_before(m, s, cpu, s[reg + cpu], slot, s[ahead + cpu] | own)
            cpus &= cpus - 1
    for cpu in range(n):
        if s[reg + cpu] >= 0:
            _enqueue(m, s, cpu, slot)
    for cpu in range(n):
        nr += s[sent + cpu]
    # This one does not walk any more.
    s[S.nr_walking] -= 1
    for i in range(s[S.walking], s[S.walking] + s[S.nr_walking]):
        if s[i] >= slot:
            s[i] = s[i + 1]
    return nr


@compiled
def send(
    m: Int64s, s: Int64s, distance: Int8s, slot: int, me: int, nth: int, now_ns: int, line_ns: int
) -> tuple[int, int, int]:
    """
    Send the IPIs of a broadcast, or, if ``line_ns`` >= 0, wake its only target from polling.

    Returns the time when the sender is back, how many there are and the number of ICR
    writes.  Those of CPUs with a task arrive as events (``KEYS``).
    """
    n = m[M.nr_cpus]
    row = index(slot * n)
    near = me * n
    t_ns = now_ns
    writes = 0
    polled = line_ns >= 0
    nr = write_order(m, s, row, me)
    inject_key = flush_key(m, COSTS.inject, me, nth)
    deliver_key = flush_key(m, COSTS.deliver, me, nth)
    entry_key = flush_key(m, COSTS.handler_entry, me, nth)
    exit_key = flush_key(m, COSTS.handler_exit, me, nth)
    for i in range(nr):
        cpu = index(s[part(s, S.order) + i])
        if polled:
            s[part(s, S.sent) + row + cpu] = 0
            arrive_ns = t_ns + max(1, line_ns)
            entry_ns = m[M.poll_wake_ns]
        else:
            if s[part(s, S.begins) + i]:
                # Back from the write before, whose interrupts are on their way.
                t_ns += m[M.send_ns] + m[M.send_return_ns] * (writes > 0)
                writes += 1
            t_ns += drawn(m, distance, COSTS.inject, near, inject_key, cpu)
            arrive_ns = t_ns + max(1, drawn(m, distance, COSTS.deliver, near, deliver_key, cpu))
            entry_ns = max(1, drawn(m, distance, COSTS.handler_entry, near, entry_key, cpu))
        exit_ns = drawn(m, distance, COSTS.handler_exit, near, exit_key, cpu)
        line = line_of(s, cpu)
        send_ns = -1 if polled else t_ns
        s[part(s, S.sent_ns) + row + cpu] = send_ns
        if s[line + CPU.eager]:
            s[line + CPU.arrive_ns] = arrive_ns
            s[line + CPU.exit_ns] = exit_ns
            eager = s[line + CPU.eager] - 1
            words = words_of(s, eager)
            s[words + TASK.entry_ns] = entry_ns
            s[words + TASK.polled] = polled
            s[words + TASK.handler] = HANDLER.coming
            s[part(s, S.keys) + 2 * eager + 1] = event_key(arrive_ns, _ARRIVAL | cpu)
            continue
        state, begin_ns = answer(m, s, cpu, arrive_ns, off_draw(m, cpu, arrive_ns), polled)
        open_handler(s, cpu, state, arrive_ns, begin_ns, entry_ns, exit_ns, polled)
        for k in range(s[line + CPU.queued]):
            other = s[part(s, S.queue) + cpu * s[S.nr_slots] + k]
            contended_ns = m[M.contention_ns] * (k > 0)
            _released(s, cpu, index(other * n + cpu), other, contended_ns)
    return t_ns + m[M.send_return_ns] * (writes > 0), nr, writes


@compiled
def drain(m: Int64s, s: Int64s, cpu: int, drain_ns: int, state: int) -> None:
    """Let the handler of a CPU with a task take its list and run the calls (``TAIL``)."""
    _enqueue_before(m, s, cpu, drain_ns, -1, _ALL)
    line = line_of(s, cpu)
    s[line + CPU.tail_ns] = drain_ns
    s[part(s, S.last_found) + cpu] = state
    s[line + CPU.next_refill_ns] = 0
    nr = s[line + CPU.queued]
    s[line + CPU.queued] = 0
    for k in range(nr):
        slot = s[part(s, S.queue) + cpu * s[S.nr_slots] + k]
        contended_ns = m[M.contention_ns] * (k > 0)
        _released(s, cpu, index(slot * m[M.nr_cpus] + cpu), slot, contended_ns)


@entry
def close_all(m: Int64s, s: Int64s) -> None:
    """Finish the handlers of all lazy CPUs: a phase has ended."""
    for cpu in range(m[M.nr_cpus]):
        if s[line_of(s, cpu) + CPU.drain_ns] >= 0:
            close_handler(s, cpu)
