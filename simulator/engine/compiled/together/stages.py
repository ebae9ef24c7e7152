# SPDX-License-Identifier: MIT
"""
Several tasks in broadcasts, compiled
-------------------------------------

What happens between the turns of tasks while they are in broadcasts and interrupts
come to their CPUs: a small event loop over the flat state.  Every task has two
event keys: the end of the present stage of its broadcast (enqueue, send, local
call, wait), and what its CPU does next about an interrupt (it arrives, or its
handler takes the list).  :func:`advance` takes them in their order up to a key,
or until a task is done with its broadcast and it is its turn.

A handler delays the stage that it hits; one that comes while the initiator has
interrupts off waits for their end.  The rules are those of
:mod:`simulator.engine.cpu` and :mod:`simulator.engine.events`.

``m`` is the machine, ``s`` the state (see
:mod:`simulator.engine.compiled.flat`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

from typing import Final

from simulator.engine import keys
from simulator.engine.compiled.flat.machine import COSTS, IDLE_STATE, M
from simulator.engine.compiled.flat.places import event_key, index, line_of, part, span, words_of
from simulator.engine.compiled.flat.state import (
    CALL,
    CPU,
    DID,
    EXECUTED,
    FOUND,
    HANDLER,
    NEVER,
    STAGE,
    TASK,
    TOLD,
    S,
)
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import compiled, entry, inlined
from simulator.engine.compiled.rules.acks import IN_WORK, acks, acks_of_released, last_release
from simulator.engine.compiled.rules.answers import (
    answer,
    count_released,
    depth,
    handled,
    off_draw,
    polls,
    settle,
)
from simulator.engine.compiled.rules.records import begin_record
from simulator.engine.compiled.rules.sending import draw_all
from simulator.engine.compiled.together.queues import commit, drain, send, shift, walk

__all__ = ("BEYOND_MAX", "advance", "irqs_on")

_MEETING: Final = int(keys.Order.MEETING)
_HANDLER: Final = int(keys.Order.HANDLER)

#: What advance() returns in place of a slot, when what comes next is beyond MAX_NS.
BEYOND_MAX: Final = -2


@inlined
def _stage_ends(s: Int64s, slot: int, words: int) -> None:
    # The end of the present stage is a meeting of the task.
    until_ns = s[words + TASK.until_ns]
    s[part(s, S.keys) + 2 * slot] = event_key(until_ns, _MEETING | s[words + TASK.cpu])


@inlined
def _find_next(s: Int64s) -> int:
    # The slot with the earliest key, twice, plus one for an interrupt; the key itself in NEXT_KEY.
    first = s[S.keys]
    next_key = NEVER
    found = -1
    for i in range(2 * s[S.nr_slots]):
        if s[first + i] < next_key:
            next_key = s[first + i]
            found = i
    s[S.next_key] = next_key
    return found


# --- waiting ----------------------------------------------------------------------------------


@compiled
def _plan(m: Int64s, s: Int64s, slot: int) -> None:
    # When the wait ends is known once all csds are released, unless a handler comes.
    words = words_of(s, slot)
    if s[part(s, S.unreleased) + slot] == 0 and s[words + TASK.handler] != HANDLER.entered:
        first, end = slot * m[M.nr_cpus] + s[words + TASK.wait_cpu], (slot + 1) * m[M.nr_cpus]
        s[words + TASK.until_ns] = acks_of_released(
            s[span(s, S.released, first, end)],
            s[span(s, S.read_ns, first, end)],
            s[span(s, S.acked, first, end)],
            s[words + TASK.wait_ns],
        )
        _stage_ends(s, slot, words)


@compiled
def _plan_all(m: Int64s, s: Int64s) -> None:
    # Csds were released: whose wait will end?
    for slot in range(s[S.nr_slots]):
        waits = s[words_of(s, slot) + TASK.stage] == STAGE.waiting
        if waits and s[part(s, S.keys) + 2 * slot] == NEVER:
            _plan(m, s, slot)


@compiled
def _interrupt_wait(
    m: Int64s, s: Int64s, slot: int, start_ns: int, end_ns: int, refill_ns: int
) -> None:
    # A handler has run while the initiator read its csds, or spun on one.
    words = words_of(s, slot)
    me = s[words + TASK.cpu]
    what, cpu, left_ns = acks(
        m, s, slot, me, s[words + TASK.wait_cpu], s[words + TASK.wait_ns],
        s[words + TASK.spins] == 1, start_ns,
    )  # fmt: skip
    s[words + TASK.wait_cpu] = cpu
    if what == IN_WORK:
        s[words + TASK.interrupted] += end_ns - start_ns + refill_ns
        s[words + TASK.wait_ns] = end_ns + refill_ns + left_ns
        s[words + TASK.spins] = 0
        # The csd that was read last is done with later (none: the own cell, unused).
        last = cpu - 1 - (cpu - 1 == me)
        if last < 0:
            last = me
        s[part(s, S.acked) + slot * m[M.nr_cpus] + last] = s[words + TASK.wait_ns]
    else:
        s[words + TASK.wait_ns] = end_ns
        s[words + TASK.spins] = 1


# --- interrupts of the tasks' CPUs ------------------------------------------------------------


@inlined
def _idle_state(m: Int64s, s: Int64s, words: int, cpu: int, t_ns: int) -> int:
    # The C-state in which a sleeping task has left its CPU; -1: it is awake.
    found = -1
    if s[words + TASK.idle_from_ns] >= 0:
        since_ns = max(s[words + TASK.idle_from_ns], s[part(s, S.busy_until) + cpu])
        found = depth(m, cpu, since_ns, t_ns)
    return found


@compiled
def _polls(m: Int64s, s: Int64s, cpu: int, t_ns: int) -> bool:
    # Whether a CPU, with a task or without, idles polling.
    line = line_of(s, cpu)
    words = words_of(s, s[line + CPU.eager] - 1)
    if s[line + CPU.eager] == 0 or s[words + TASK.ended]:
        return polls(m, s, cpu, t_ns)
    found = _idle_state(m, s, words, cpu, t_ns)
    polling = (
        found >= 0 and m[m[M.idle_states] + IDLE_STATE.words * found + IDLE_STATE.polling] == 1
    )
    return polling and s[part(s, S.busy_until) + cpu] <= t_ns


@compiled
def _steal(m: Int64s, s: Int64s, slot: int, from_ns: int, by_ns: int) -> None:
    # A handler takes time from the task.
    words = words_of(s, slot)
    s[words + TASK.stolen_ns] += by_ns
    stage = s[words + TASK.stage]
    if stage in (STAGE.walking, STAGE.before_local):
        if stage == STAGE.walking:
            shift(m, s, slot, from_ns, by_ns)
        s[words + TASK.until_ns] += by_ns
        s[words + TASK.interrupted] += by_ns
        _stage_ends(s, slot, words)


@compiled
def _enter(m: Int64s, s: Int64s, slot: int, state: int, start_ns: int) -> None:
    # The handler starts; until it takes the list, its end is not known.
    words = words_of(s, slot)
    cpu = s[words + TASK.cpu]
    line = line_of(s, cpu)
    drain_ns = start_ns + s[words + TASK.entry_ns]
    s[line + CPU.start_ns] = start_ns
    s[part(s, S.busy_until) + cpu] = drain_ns
    s[words + TASK.found] = state
    s[words + TASK.handler] = HANDLER.entered
    s[part(s, S.keys) + 2 * slot + 1] = event_key(drain_ns, _HANDLER | cpu)
    _steal(m, s, slot, start_ns, s[words + TASK.entry_ns])
    if s[words + TASK.stage] == STAGE.waiting:
        s[part(s, S.keys) + 2 * slot] = NEVER


@compiled
def _catch_up(s: Int64s, words: int, cpu: int, arrive_ns: int) -> int:
    # In a replay: do what kernel code did to the CPU before an interrupt came.  Returns when
    # kernel code let it be taken; -1: nothing held it back.
    while s[words + TASK.next_told] < s[words + TASK.end_told]:
        row = s[S.told] + TOLD.words * s[words + TASK.next_told]
        told_ns = s[row + TOLD.at_ns]
        what = s[row + TOLD.what]
        # An interrupt comes before what a task does in the same nanosecond.
        if told_ns > arrive_ns or (told_ns == arrive_ns and what != DID.defers):
            return -1
        s[words + TASK.next_told] += 1
        if what == DID.defers:
            return s[row + TOLD.start_ns]
        if what == DID.sleeps:
            s[words + TASK.idle_from_ns] = told_ns
        elif what == DID.wakes:
            s[words + TASK.idle_from_ns] = -1
        else:
            s[words + TASK.ended] = 1
            at = part(s, S.busy_until) + cpu
            s[at] = max(s[at], told_ns)
    return -1


@compiled
def _arrive(m: Int64s, s: Int64s, slot: int) -> None:
    # An interrupt reaches the CPU of a task.
    words = words_of(s, slot)
    cpu = s[words + TASK.cpu]
    line = line_of(s, cpu)
    arrive_ns = s[line + CPU.arrive_ns]
    state = FOUND.running
    start_ns = arrive_ns
    held_until_ns = -1
    if s[S.replays]:
        held_until_ns = _catch_up(s, words, cpu, arrive_ns)
    idle = _idle_state(m, s, words, cpu, arrive_ns)
    if held_until_ns >= 0:
        state = FOUND.irqs_off
        start_ns = held_until_ns
    elif s[words + TASK.ended]:
        off = off_draw(m, cpu, arrive_ns)
        state, start_ns = answer(m, s, cpu, arrive_ns, off, s[words + TASK.polled] == 1)
    elif s[part(s, S.busy_until) + cpu] > arrive_ns:
        # During a handler: taken when that one ends.
        if s[part(s, S.last_found) + cpu] == FOUND.idle:
            state = FOUND.idle
        start_ns = s[part(s, S.busy_until) + cpu]
    elif idle >= 0:
        state = FOUND.idle
        if not s[words + TASK.polled]:
            start_ns += m[m[M.idle_states] + IDLE_STATE.words * idle + IDLE_STATE.exit_ns]
    elif s[words + TASK.irqs_off]:
        s[words + TASK.handler] = HANDLER.deferred
        s[part(s, S.keys) + 2 * slot + 1] = NEVER
        return
    _enter(m, s, slot, state, start_ns)


@compiled
def _take_list(m: Int64s, s: Int64s, slot: int, drain_ns: int) -> None:
    # The handler takes the list, and with it its end is known.
    words = words_of(s, slot)
    cpu = s[words + TASK.cpu]
    line = line_of(s, cpu)
    state = s[words + TASK.found]
    drain(m, s, cpu, drain_ns, state)
    start_ns = s[line + CPU.start_ns]
    end_ns = s[line + CPU.tail_ns] + s[line + CPU.exit_ns]
    refill_ns = s[line + CPU.next_refill_ns]
    handled(s, line, end_ns - start_ns)
    settle(s, cpu, state, end_ns - start_ns, refill_ns, end_ns)
    s[line + CPU.refill_ns] += refill_ns
    if not s[words + TASK.polled]:
        s[line + CPU.ipis] += 1
    if state == FOUND.irqs_off:
        s[line + CPU.irqs_off_delay_ns] += start_ns - s[line + CPU.arrive_ns]
    s[words + TASK.handler] = HANDLER.none
    s[part(s, S.keys) + 2 * slot + 1] = NEVER
    _steal(m, s, slot, drain_ns, end_ns - drain_ns + refill_ns)
    if s[words + TASK.stage] == STAGE.waiting:
        _interrupt_wait(m, s, slot, start_ns, end_ns, refill_ns)
    _plan_all(m, s)


# --- the stages of a broadcast ----------------------------------------------------------------


@compiled
def _irqs_on(m: Int64s, s: Int64s, slot: int, now_ns: int) -> None:
    # An interrupt that has waited is taken at once.
    words = words_of(s, slot)
    s[words + TASK.irqs_off] = 0
    if s[words + TASK.handler] == HANDLER.deferred:
        _enter(m, s, slot, FOUND.irqs_off, now_ns)


@compiled
def _enqueued(m: Int64s, s: Int64s, distance: Int8s, slot: int, now_ns: int) -> None:
    # The walk has ended: send, if any queue was empty.
    words = words_of(s, slot)
    me = s[words + TASK.cpu]
    n = m[M.nr_cpus]
    nr_ipis = commit(m, s, slot, me)
    nr_targets = n - 1
    if s[words + TASK.masked]:
        for cpu in range(n):
            nr_targets -= cpu != me and s[part(s, S.left_out) + slot * n + cpu]
    line_ns = -1  # no polling target
    if nr_ipis == 1:
        target = 0
        while not s[part(s, S.sent) + slot * n + target]:
            target += 1
        told = s[S.replays] == 1
        if (told and s[words + TASK.target_polls]) or (not told and _polls(m, s, target, now_ns)):
            line_ns = m[M.line_ns + distance[me * n + target]]
    s[words + TASK.targets] = nr_targets
    s[words + TASK.ipis_saved] = nr_targets - nr_ipis
    s[words + TASK.ipis] = 0
    s[words + TASK.icr_writes] = 0
    s[words + TASK.send_end_ns] = now_ns
    if nr_ipis == 0:
        _call_locally(s, slot, now_ns)
        return
    end_ns, _, writes = send(m, s, distance, slot, me, s[words + TASK.nth], now_ns, line_ns)
    if line_ns >= 0:
        _call_locally(s, slot, now_ns)
    else:
        s[words + TASK.ipis] = nr_ipis
        s[words + TASK.icr_writes] = writes
        s[words + TASK.took_send] += end_ns - now_ns
        s[words + TASK.stage] = STAGE.sending
        s[words + TASK.until_ns] = end_ns
        s[words + TASK.irqs_off] = 1
        s[words + TASK.irqs_off_max_ns] = max(s[words + TASK.irqs_off_max_ns], end_ns - now_ns)
        _stage_ends(s, slot, words)
    _plan_all(m, s)


@compiled
def _sent(m: Int64s, s: Int64s, slot: int, now_ns: int) -> None:
    words = words_of(s, slot)
    s[words + TASK.send_end_ns] = now_ns
    s[words + TASK.stage] = STAGE.before_local
    _irqs_on(m, s, slot, now_ns)
    if s[words + TASK.until_ns] == now_ns:
        _call_locally(s, slot, now_ns)


@compiled
def _call_locally(s: Int64s, slot: int, now_ns: int) -> None:
    words = words_of(s, slot)
    call = part(s, S.calls) + CALL.words * slot
    run_ns = s[call + CALL.run_ns]
    # Here, and by now or soon on all targets.
    nr = 1 + s[words + TASK.targets]
    s[part(s, S.executed) + s[call + CALL.kind]] += nr
    s[part(s, S.executed) + EXECUTED.pages] += nr * s[call + CALL.pages]
    s[words + TASK.took_local] += run_ns + s[call + CALL.refill_ns]
    s[words + TASK.irqs_off_max_ns] = max(s[words + TASK.irqs_off_max_ns], run_ns)
    s[words + TASK.stage] = STAGE.local
    s[words + TASK.until_ns] = now_ns + run_ns
    s[words + TASK.irqs_off] = 1
    _stage_ends(s, slot, words)


@compiled
def _called(m: Int64s, s: Int64s, distance: Int8s, slot: int, now_ns: int) -> None:
    # The local call has ended: wait for the others.
    words = words_of(s, slot)
    s[words + TASK.stage] = STAGE.waiting
    s[words + TASK.wait_cpu] = 0
    s[words + TASK.wait_ns] = now_ns
    s[words + TASK.spins] = 0
    s[words + TASK.took_wait] += s[words + TASK.interrupted] - now_ns
    s[part(s, S.keys) + 2 * slot] = NEVER
    row = index(slot * m[M.nr_cpus])
    draw_all(
        m,
        s,
        distance,
        COSTS.ack,
        s[words + TASK.cpu],
        s[words + TASK.nth],
        part(s, S.read_ns) + row,
    )
    s[part(s, S.read_ns) + row + s[words + TASK.cpu]] = 0
    s[words + TASK.waits_from_ns] = now_ns
    if s[words + TASK.masked]:
        for cpu in range(m[M.nr_cpus]):
            if s[part(s, S.left_out) + row + cpu]:
                s[part(s, S.read_ns) + row + cpu] = 0
    _irqs_on(m, s, slot, now_ns)
    _plan(m, s, slot)


@compiled
def _done(m: Int64s, s: Int64s, slot: int, now_ns: int) -> None:
    words = words_of(s, slot)
    s[words + TASK.stage] = STAGE.none
    s[words + TASK.end_ns] = now_ns
    s[words + TASK.took_wait] += now_ns - s[words + TASK.interrupted]
    s[part(s, S.keys) + 2 * slot] = NEVER
    first = slot * m[M.nr_cpus]
    last_ns, slowest = last_release(s[span(s, S.released, first, first + m[M.nr_cpus])])
    count_released(m, s, slot, s[words + TASK.targets])
    s[words + TASK.last_ack_ns] = max(last_ns, s[words + TASK.send_end_ns])
    s[words + TASK.slowest_cpu] = slowest


# --- called by Python -------------------------------------------------------------------------


@compiled
def _begin(m: Int64s, s: Int64s, distance: Int8s, slot: int) -> None:
    # A broadcast of a call (CALLS) begins.
    words = words_of(s, slot)
    begin_record(s, slot)
    start_ns = s[words + TASK.start_ns]
    end_ns = walk(m, s, distance, slot, s[words + TASK.cpu], s[words + TASK.nth], start_ns)
    s[words + TASK.stage] = STAGE.walking
    s[words + TASK.until_ns] = end_ns
    s[words + TASK.took_enqueue] += end_ns - start_ns
    _stage_ends(s, slot, words)


@entry
def irqs_on(m: Int64s, s: Int64s, slot: int, now_ns: int) -> None:
    """Turn interrupts on for a task that is in no broadcast; an interrupt has waited for it."""
    _irqs_on(m, s, slot, now_ns)
    _find_next(s)


@entry
def advance(m: Int64s, s: Int64s, distance: Int8s, until_key: int) -> int:
    """
    Begin a broadcast (``S.to_begin``), if any, and let happen what comes before a key.

    Returns early, with its slot, when a task is done with its broadcast, or with
    BEYOND_MAX; otherwise -1.  ``S.next_key`` is then the key of what comes next.
    """
    if s[S.to_begin]:
        _begin(m, s, distance, s[S.to_begin] - 1)
        s[S.to_begin] = 0
    while True:
        found = _find_next(s)
        if s[S.next_key] >= until_key:
            return -1
        slot = found >> 1
        words = words_of(s, slot)
        now_ns = s[S.next_key] >> keys.KEY_BITS
        if now_ns > keys.MAX_NS:
            return BEYOND_MAX
        stage = s[words + TASK.stage]
        if found & 1:
            if s[words + TASK.handler] == HANDLER.coming:
                _arrive(m, s, slot)
            else:
                _take_list(m, s, slot, now_ns)
        elif stage == STAGE.walking:
            _enqueued(m, s, distance, slot, now_ns)
        elif stage == STAGE.sending:
            _sent(m, s, slot, now_ns)
        elif stage == STAGE.before_local:
            _call_locally(s, slot, now_ns)
        elif stage == STAGE.local:
            _called(m, s, distance, slot, now_ns)
        else:
            _done(m, s, slot, now_ns)
            _find_next(s)
            return slot
