# SPDX-License-Identifier: MIT
"""
Several tasks in broadcasts, compiled
-------------------------------------

What happens between SimPy's events while tasks are in broadcasts and interrupts
come to their CPUs: a small event loop over the flat state.  Every task has two
event keys: the end of the present stage of its broadcast (enqueue, send, local
call, wait), and what its CPU does next about an interrupt (it arrives, or its
handler takes the list).  :func:`advance` takes them in their order up to a key,
or until a task is done with its broadcast and SimPy must resume it.

A handler delays the stage that it hits; one that comes while the initiator has
interrupts off waits for their end.  The rules are those of
:mod:`simulator.engine.cpu` and :mod:`simulator.engine.events`.

``m`` is the machine, ``s`` the state (see
:mod:`simulator.engine.compiled.flat.layout`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

from typing import Final

from simulator.engine import keys
from simulator.engine.compiled.alone.broadcast import begin_record
from simulator.engine.compiled.flat import layout as at
from simulator.engine.compiled.flat import task_words as of
from simulator.engine.compiled.flat.layout import Int8s, Int64s
from simulator.engine.compiled.flat.places import index, line_of, part, words_of
from simulator.engine.compiled.jit import compiled, inlined
from simulator.engine.compiled.rules.acks import IN_WORK, acks
from simulator.engine.compiled.rules.answers import answer, depth, off_draw, polls, settle
from simulator.engine.compiled.rules.sending import draw_all
from simulator.engine.compiled.together.queues import commit, drain, send, shift, walk

__all__ = ("advance", "begin", "irqs_on")

_MEETING: Final = int(keys.Order.MEETING)
_HANDLER: Final = int(keys.Order.HANDLER)
_KEY_BITS: Final = keys.KEY_BITS


@inlined
def _stage_ends(s: Int64s, slot: int, words: int) -> None:
    # The end of the present stage is a meeting of the task.
    s[part(s, at.KEYS) + 2 * slot] = s[words + of.UNTIL] << _KEY_BITS | _MEETING | s[words + of.CPU]


@inlined
def _find_next(s: Int64s) -> int:
    # The slot with the earliest key, twice, plus one for an interrupt; the key itself in NEXT_KEY.
    first = s[at.KEYS]
    next_key = at.NEVER
    found = -1
    for i in range(2 * s[at.NR_SLOTS]):
        if s[first + i] < next_key:
            next_key = s[first + i]
            found = i
    s[at.NEXT_KEY] = next_key
    return found


# --- waiting ----------------------------------------------------------------------------------


@compiled
def _plan(m: Int64s, s: Int64s, slot: int) -> None:
    # When the wait ends is known once all csds are released, unless a handler comes.
    words = words_of(s, slot)
    if s[part(s, at.UNRELEASED) + slot] == 0 and s[words + of.HANDLER] != of.ENTERED:
        _, _, done_ns = acks(
            m, s, slot, s[words + of.CPU], s[words + of.WAIT_CPU], s[words + of.WAIT_NS],
            s[words + of.SPINS] == 1, -1,
        )  # fmt: skip
        s[words + of.UNTIL] = done_ns
        _stage_ends(s, slot, words)


@compiled
def _plan_all(m: Int64s, s: Int64s) -> None:
    # Csds were released: whose wait will end?
    for slot in range(s[at.NR_SLOTS]):
        waits = s[words_of(s, slot) + of.STAGE] == of.WAITING
        if waits and s[part(s, at.KEYS) + 2 * slot] == at.NEVER:
            _plan(m, s, slot)


@compiled
def _interrupt_wait(
    m: Int64s, s: Int64s, slot: int, start_ns: int, end_ns: int, refill_ns: int
) -> None:
    # A handler has run while the initiator read its csds, or spun on one.
    words = words_of(s, slot)
    me = s[words + of.CPU]
    what, cpu, left_ns = acks(
        m, s, slot, me, s[words + of.WAIT_CPU], s[words + of.WAIT_NS], s[words + of.SPINS] == 1,
        start_ns,
    )  # fmt: skip
    s[words + of.WAIT_CPU] = cpu
    if what == IN_WORK:
        s[words + of.INTERRUPTED] += end_ns - start_ns + refill_ns
        s[words + of.WAIT_NS] = end_ns + refill_ns + left_ns
        s[words + of.SPINS] = 0
        # The csd that was read last is done with later (none: the own cell, unused).
        last = cpu - 1 - (cpu - 1 == me)
        if last < 0:
            last = me
        s[part(s, at.ACKED) + slot * m[at.NR_CPUS] + last] = s[words + of.WAIT_NS]
    else:
        s[words + of.WAIT_NS] = end_ns
        s[words + of.SPINS] = 1


# --- interrupts of the tasks' CPUs ------------------------------------------------------------


@inlined
def _idle_state(m: Int64s, s: Int64s, words: int, line: int, t_ns: int) -> int:
    # The C-state in which a sleeping task has left its CPU; -1: it is awake.
    found = -1
    if s[words + of.IDLE_FROM] >= 0:
        found = depth(m, t_ns - max(s[words + of.IDLE_FROM], s[line + at.BUSY_UNTIL]))
    return found


@compiled
def _polls(m: Int64s, s: Int64s, cpu: int, t_ns: int) -> bool:
    # Whether a CPU, with a task or without, idles polling.
    line = line_of(s, cpu)
    words = words_of(s, s[line + at.EAGER] - 1)
    if s[line + at.EAGER] == 0 or s[words + of.ENDED]:
        return polls(m, s, cpu, t_ns)
    found = _idle_state(m, s, words, line, t_ns)
    polling = found >= 0 and m[m[at.IDLE_STATES] + 3 * found + 2] == 1
    return polling and s[line + at.BUSY_UNTIL] <= t_ns


@compiled
def _steal(m: Int64s, s: Int64s, slot: int, from_ns: int, by_ns: int) -> None:
    # A handler takes time from the task.
    words = words_of(s, slot)
    s[words + of.STOLEN] += by_ns
    stage = s[words + of.STAGE]
    if stage in (of.WALKING, of.BEFORE_LOCAL):
        if stage == of.WALKING:
            shift(m, s, slot, from_ns, by_ns)
        s[words + of.UNTIL] += by_ns
        s[words + of.INTERRUPTED] += by_ns
        _stage_ends(s, slot, words)


@compiled
def _enter(m: Int64s, s: Int64s, slot: int, state: int, start_ns: int) -> None:
    # The handler starts; until it takes the list, its end is not known.
    words = words_of(s, slot)
    cpu = s[words + of.CPU]
    line = line_of(s, cpu)
    drain_ns = start_ns + s[words + of.ENTRY_NS]
    s[line + at.START] = start_ns
    s[line + at.BUSY_UNTIL] = drain_ns
    s[words + of.FOUND] = state
    s[words + of.HANDLER] = of.ENTERED
    s[part(s, at.KEYS) + 2 * slot + 1] = drain_ns << _KEY_BITS | _HANDLER | cpu
    _steal(m, s, slot, start_ns, s[words + of.ENTRY_NS])
    if s[words + of.STAGE] == of.WAITING:
        s[part(s, at.KEYS) + 2 * slot] = at.NEVER


@compiled
def _catch_up(s: Int64s, words: int, line: int, arrive_ns: int) -> int:
    # In a replay: do what kernel code did to the CPU before an interrupt came.  Returns when
    # kernel code let it be taken; -1: nothing held it back.
    while s[words + of.NEXT_TOLD] < s[words + of.END_TOLD]:
        row = s[at.TOLD] + at.TOLD_WORDS * s[words + of.NEXT_TOLD]
        told_ns = s[row + 1]
        what = s[row + 2]
        # An interrupt comes before what a task does in the same nanosecond.
        if told_ns > arrive_ns or (told_ns == arrive_ns and what != at.DEFERS):
            return -1
        s[words + of.NEXT_TOLD] += 1
        if what == at.DEFERS:
            return s[row + 3]
        if what == at.SLEEPS:
            s[words + of.IDLE_FROM] = told_ns
        elif what == at.WAKES:
            s[words + of.IDLE_FROM] = -1
        else:
            s[words + of.ENDED] = 1
            s[line + at.BUSY_UNTIL] = max(s[line + at.BUSY_UNTIL], told_ns)
    return -1


@compiled
def _arrive(m: Int64s, s: Int64s, slot: int) -> None:
    # An interrupt reaches the CPU of a task.
    words = words_of(s, slot)
    cpu = s[words + of.CPU]
    line = line_of(s, cpu)
    arrive_ns = s[line + at.ARRIVE]
    state = at.RUNNING
    start_ns = arrive_ns
    held_until_ns = -1
    if s[at.REPLAYS]:
        held_until_ns = _catch_up(s, words, line, arrive_ns)
    idle = _idle_state(m, s, words, line, arrive_ns)
    if held_until_ns >= 0:
        state = at.IRQS_OFF
        start_ns = held_until_ns
    elif s[words + of.ENDED]:
        off = off_draw(m, cpu, arrive_ns)
        state, start_ns = answer(m, s, cpu, arrive_ns, off, s[words + of.POLLED] == 1)
    elif s[line + at.BUSY_UNTIL] > arrive_ns:
        # During a handler: taken when that one ends.
        if s[line + at.STATE] == at.IDLE:
            state = at.IDLE
        start_ns = s[line + at.BUSY_UNTIL]
    elif idle >= 0:
        state = at.IDLE
        if not s[words + of.POLLED]:
            start_ns += m[m[at.IDLE_STATES] + 3 * idle]
    elif s[words + of.IRQS_OFF]:
        s[words + of.HANDLER] = of.DEFERRED
        s[part(s, at.KEYS) + 2 * slot + 1] = at.NEVER
        return
    _enter(m, s, slot, state, start_ns)


@compiled
def _take_list(m: Int64s, s: Int64s, slot: int, drain_ns: int) -> None:
    # The handler takes the list, and with it its end is known.
    words = words_of(s, slot)
    cpu = s[words + of.CPU]
    line = line_of(s, cpu)
    state = s[words + of.FOUND]
    drain(m, s, cpu, drain_ns, state)
    start_ns = s[line + at.START]
    end_ns = s[line + at.TAIL] + s[line + at.EXIT]
    refill_ns = s[line + at.REFILL]
    settle(s, line, state, end_ns - start_ns, refill_ns, end_ns)
    s[line + at.REFILL_NS] += refill_ns
    if not s[words + of.POLLED]:
        s[line + at.TAKEN_IPIS] += 1
    if state == at.IRQS_OFF:
        s[line + at.IRQS_OFF_DELAY_NS] += start_ns - s[line + at.ARRIVE]
    s[words + of.HANDLER] = of.NONE
    s[part(s, at.KEYS) + 2 * slot + 1] = at.NEVER
    _steal(m, s, slot, drain_ns, end_ns - drain_ns + refill_ns)
    if s[words + of.STAGE] == of.WAITING:
        _interrupt_wait(m, s, slot, start_ns, end_ns, refill_ns)
    _plan_all(m, s)


# --- the stages of a broadcast ----------------------------------------------------------------


@compiled
def _irqs_on(m: Int64s, s: Int64s, slot: int, now_ns: int) -> None:
    # An interrupt that has waited is taken at once.
    words = words_of(s, slot)
    s[words + of.IRQS_OFF] = 0
    if s[words + of.HANDLER] == of.DEFERRED:
        _enter(m, s, slot, at.IRQS_OFF, now_ns)


@compiled
def _enqueued(m: Int64s, s: Int64s, distance: Int8s, slot: int, now_ns: int) -> None:
    # The walk has ended: send, if any queue was empty.
    words = words_of(s, slot)
    me = s[words + of.CPU]
    n = m[at.NR_CPUS]
    nr_ipis = commit(m, s, slot, me)
    line_ns = -1  # no polling target
    if nr_ipis == 1:
        target = 0
        while not s[part(s, at.SENT) + slot * n + target]:
            target += 1
        told = s[at.REPLAYS] == 1
        if (told and s[words + of.TARGET_POLLS]) or (not told and _polls(m, s, target, now_ns)):
            line_ns = m[at.LINE_NS + distance[me * n + target]]
    s[words + of.NR_SAVED] = n - 1 - nr_ipis
    s[words + of.NR_IPIS] = 0
    s[words + of.WRITES] = 0
    s[words + of.SEND_END] = now_ns
    if nr_ipis == 0:
        _call_locally(s, slot, now_ns)
        return
    end_ns, _, writes = send(m, s, distance, slot, me, s[words + of.NTH], now_ns, line_ns)
    if line_ns >= 0:
        _call_locally(s, slot, now_ns)
    else:
        s[words + of.NR_IPIS] = nr_ipis
        s[words + of.WRITES] = writes
        s[words + of.SEND_TOOK] += end_ns - now_ns
        s[words + of.STAGE] = of.SENDING
        s[words + of.UNTIL] = end_ns
        s[words + of.IRQS_OFF] = 1
        s[words + of.OFF_MAX] = max(s[words + of.OFF_MAX], end_ns - now_ns)
        _stage_ends(s, slot, words)
    _plan_all(m, s)


@compiled
def _sent(m: Int64s, s: Int64s, slot: int, now_ns: int) -> None:
    words = words_of(s, slot)
    s[words + of.SEND_END] = now_ns
    s[words + of.STAGE] = of.BEFORE_LOCAL
    _irqs_on(m, s, slot, now_ns)
    if s[words + of.UNTIL] == now_ns:
        _call_locally(s, slot, now_ns)


@compiled
def _call_locally(s: Int64s, slot: int, now_ns: int) -> None:
    words = words_of(s, slot)
    call = part(s, at.CALLS) + at.CALL_WORDS * slot
    run_ns = s[call + at.RUN_NS]
    s[part(s, at.EXECUTED) + s[call + at.FUNCTION]] += 1
    s[part(s, at.EXECUTED) + at.PAGES] += s[call + at.PAGES]
    s[words + of.LOCAL_TOOK] += run_ns + s[call + at.REFILL_OF_CALL]
    s[words + of.OFF_MAX] = max(s[words + of.OFF_MAX], run_ns)
    s[words + of.STAGE] = of.LOCAL
    s[words + of.UNTIL] = now_ns + run_ns
    s[words + of.IRQS_OFF] = 1
    _stage_ends(s, slot, words)


@compiled
def _called(m: Int64s, s: Int64s, distance: Int8s, slot: int, now_ns: int) -> None:
    # The local call has ended: wait for the others.
    words = words_of(s, slot)
    s[words + of.STAGE] = of.WAITING
    s[words + of.WAIT_CPU] = 0
    s[words + of.WAIT_NS] = now_ns
    s[words + of.SPINS] = 0
    s[words + of.WAIT_TOOK] += s[words + of.INTERRUPTED] - now_ns
    s[part(s, at.KEYS) + 2 * slot] = at.NEVER
    row = index(slot * m[at.NR_CPUS])
    draw_all(
        m, s, distance, at.ACK, s[words + of.CPU], s[words + of.NTH], part(s, at.READ_NS) + row
    )
    _irqs_on(m, s, slot, now_ns)
    _plan(m, s, slot)


@compiled
def _done(m: Int64s, s: Int64s, slot: int, now_ns: int) -> None:
    words = words_of(s, slot)
    s[words + of.STAGE] = of.NONE
    s[words + of.END] = now_ns
    s[words + of.WAIT_TOOK] += now_ns - s[words + of.INTERRUPTED]
    s[part(s, at.KEYS) + 2 * slot] = at.NEVER
    last_ns = 0
    slowest = -1
    release = part(s, at.RELEASE) + slot * m[at.NR_CPUS]
    for cpu in range(m[at.NR_CPUS]):
        if s[release + cpu] > last_ns and cpu != s[words + of.CPU]:
            last_ns = s[release + cpu]
            slowest = cpu
    s[words + of.LAST_ACK] = max(last_ns, s[words + of.SEND_END])
    s[words + of.TARGETS] = m[at.NR_CPUS] - 1
    s[words + of.SLOWEST] = slowest


# --- called by Python -------------------------------------------------------------------------


@compiled
def begin(m: Int64s, s: Int64s, distance: Int8s, slot: int, flush: int, start_ns: int) -> None:
    """Begin a broadcast of a call (``CALLS``)."""
    words = words_of(s, slot)
    begin_record(s, slot, flush, start_ns)
    end_ns = walk(m, s, distance, slot, s[words + of.CPU], s[words + of.NTH], start_ns)
    s[words + of.STAGE] = of.WALKING
    s[words + of.UNTIL] = end_ns
    s[words + of.ENQUEUE_TOOK] += end_ns - start_ns
    _stage_ends(s, slot, words)
    _find_next(s)


@compiled
def irqs_on(m: Int64s, s: Int64s, slot: int, now_ns: int) -> None:
    """Turn interrupts on for a task that is in no broadcast; an interrupt has waited for it."""
    _irqs_on(m, s, slot, now_ns)
    _find_next(s)


@compiled
def advance(m: Int64s, s: Int64s, distance: Int8s, until_key: int) -> int:
    """
    Let happen what comes before a key.

    Returns early, with its slot, when a task is done with its broadcast; otherwise
    -1.  ``NEXT_KEY`` is then the key of what comes next.
    """
    while True:
        found = _find_next(s)
        if s[at.NEXT_KEY] >= until_key:
            return -1
        slot = found >> 1
        words = words_of(s, slot)
        now_ns = s[at.NEXT_KEY] >> _KEY_BITS
        stage = s[words + of.STAGE]
        if found & 1:
            if s[words + of.HANDLER] == of.COMING:
                _arrive(m, s, slot)
            else:
                _take_list(m, s, slot, now_ns)
        elif stage == of.WALKING:
            _enqueued(m, s, distance, slot, now_ns)
        elif stage == of.SENDING:
            _sent(m, s, slot, now_ns)
        elif stage == of.BEFORE_LOCAL:
            _call_locally(s, slot, now_ns)
        elif stage == of.LOCAL:
            _called(m, s, distance, slot, now_ns)
        else:
            _done(m, s, slot, now_ns)
            _find_next(s)
            return slot
