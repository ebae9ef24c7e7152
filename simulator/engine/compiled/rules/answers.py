# SPDX-License-Identifier: MIT
"""
How a lazy CPU answers an interrupt
-----------------------------------

The rules of :mod:`simulator.engine.cpu` for a CPU without a task, computed at
once: in which state the interrupt finds it, and when its handler starts.
``m`` is the machine, ``s`` the state, see :mod:`simulator.engine.compiled.flat`.
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled.flat.machine import IDLE_STATE, SPELL, SPELLS, M
from simulator.engine.compiled.flat.places import index, line_of, part, span
from simulator.engine.compiled.flat.state import CPU, FOUND, S
from simulator.engine.compiled.flat.words import Int64s
from simulator.engine.compiled.jit import compiled, inlined
from simulator.engine.compiled.rules.draws import below, mix64, quantile

__all__ = (
    "answer", "answer_late", "bucket", "close_handler", "count", "count_released", "depth",
    "handled", "off_draw", "off_draws", "off_for", "open_handler", "polls", "settle",
)  # fmt: skip

_ONE, _TWO, _S58 = np.uint64(1), np.uint64(2), np.uint64(58)
_FEW = 3
_TWO_TO_52 = np.float64(1 << 52)
_TWO_TO_52_BITS = 0x433 << 52  # of the float


@inlined
def _frame_of(m: Int64s, row: int, phase_ns: int, cpu: int, t_ns: int) -> tuple[int, np.uint64]:
    # The frame of a class of spells that a time is in: when it began, and its draw.
    frame_ns = m[row + SPELL.frame_ns]
    since_ns = t_ns + phase_ns
    frame = since_ns // frame_ns
    x = mix64(mix64(np.uint64(m[row + SPELL.key]) + np.uint64(frame)) + np.uint64(cpu))
    return t_ns - (since_ns - frame * frame_ns), x


@inlined
def _frame(m: Int64s, kind: int, cpu: int, t_ns: int) -> tuple[int, np.uint64]:
    phase_ns = m[m[M.phases] + kind * m[M.nr_cpus] + cpu]
    return _frame_of(m, M.spells + kind * SPELL.words, phase_ns, cpu, t_ns)


@inlined
def _has_spell(m: Int64s, kind: int, x: np.uint64) -> np.bool:
    threshold = m[M.spells + kind * SPELL.words + SPELL.threshold]
    return (x >> _ONE) < np.uint64(threshold)


@inlined
def _spell_in(m: Int64s, kind: int, x: np.uint64) -> tuple[int, int]:
    return _spell_of(m, M.spells + kind * SPELL.words, x)


@inlined
def _spell_of(m: Int64s, row: int, x: np.uint64) -> tuple[int, int]:
    # Start and end of the spell of a frame, from its beginning.
    frame_ns = m[row + SPELL.frame_ns]
    start_ns = below(mix64(x ^ np.uint64(m[M.start_key])), frame_ns)
    drawn = quantile(m, m[row + SPELL.length], mix64(x ^ np.uint64(m[M.length_key])))
    end_ns = start_ns + ((drawn * m[row + SPELL.mean_fp] + (1 << 25)) >> 26)
    return int(start_ns), int(min(end_ns, frame_ns))


@compiled
def _look_up_idle(m: Int64s, s: Int64s, cpu: int, t_ns: int) -> None:
    # Idle spells are whole frames; one may have begun a frame earlier.
    line = line_of(s, cpu)
    begin_ns, x = _frame(m, SPELLS.idle, cpu, t_ns)
    frame_ns = m[M.spells + SPELLS.idle * SPELL.words + SPELL.frame_ns]
    s[line + CPU.idle_known_until_ns] = begin_ns + frame_ns
    if not _has_spell(m, SPELLS.idle, x):
        s[line + CPU.idle_begin_ns] = -1
        return
    _, before = _frame(m, SPELLS.idle, cpu, begin_ns - 1)
    if _has_spell(m, SPELLS.idle, before):
        begin_ns -= frame_ns
    s[line + CPU.idle_begin_ns] = max(0, begin_ns)


@compiled
def _look_up_preempted(m: Int64s, s: Int64s, cpu: int, t_ns: int) -> None:
    # From the frame of a time, or the first of which nothing is known. Few have a spell: look on
    # until one has, or the CPU may idle.
    line = line_of(s, cpu)
    begin_ns = max(t_ns, s[line + CPU.preempted_known_until_ns])
    frame_ns = m[M.spells + SPELLS.preempted * SPELL.words + SPELL.frame_ns]
    looks_on = True
    while looks_on:
        begin_ns, x = _frame(m, SPELLS.preempted, cpu, begin_ns)
        known_until_ns = begin_ns + frame_ns
        s[line + CPU.preempted_known_until_ns] = known_until_ns
        looks_on = known_until_ns < s[line + CPU.idle_known_until_ns]
        if _has_spell(m, SPELLS.preempted, x):
            start_ns, end_ns = _spell_in(m, SPELLS.preempted, x)
            s[line + CPU.preempted_begin_ns] = begin_ns + start_ns
            s[line + CPU.preempted_end_ns] = begin_ns + end_ns
            looks_on = False
        begin_ns = known_until_ns


@compiled
def depth(m: Int64s, cpu: int, since_ns: int, t_ns: int) -> int:
    """Return the number of the deepest C-state whose residency fits a guess, or of the first."""
    idle_ns = t_ns - since_ns
    if m[M.guesses] >= 0:
        x = mix64(mix64(np.uint64(m[M.guess_key]) + np.uint64(since_ns)) + np.uint64(cpu))
        idle_ns = idle_ns * m[m[M.guesses] + np.int64(x >> _S58)] >> 10
    found = 0
    for state in range(m[M.nr_idle_states]):
        if m[m[M.idle_states] + IDLE_STATE.words * state + IDLE_STATE.residency_ns] <= idle_ns:
            found = state
    return found


@inlined
def _idle_state(m: Int64s, s: Int64s, cpu: int, t_ns: int, busy_until_ns: int) -> int:
    # The number of the C-state that a lazy CPU has reached; -1: it is not idle.
    line = line_of(s, cpu)
    if t_ns >= s[line + CPU.idle_known_until_ns]:
        _look_up_idle(m, s, cpu, t_ns)
    found = -1
    begin_ns = s[line + CPU.idle_begin_ns]
    if begin_ns >= 0:
        found = depth(m, cpu, max(begin_ns, busy_until_ns), t_ns)
    return found


@inlined
def off_draw(m: Int64s, cpu: int, t_ns: int) -> np.uint64:
    """Return the draw (uint64) of the frame of irq-off spells that a time is in."""
    _, x = _frame(m, SPELLS.irqs_off, cpu, t_ns)
    return x


@compiled
def _few_frames(
    times: Int64s,
    phase_ns: Int64s,
    frame_ns: int,
    key: np.uint64,
    first: int,
    drawn: Int64s,
    since: Int64s,
) -> bool:
    # off_draws() of CPUs whose times are in few frames.  Those of one frame have half of the draw
    # in common, which is selected: LLVM vectorises that, and no division.
    n = len(times)
    least_ns = most_ns = times[0] + phase_ns[0]
    for i in range(n):
        least_ns = min(least_ns, times[i] + phase_ns[i])
        most_ns = max(most_ns, times[i] + phase_ns[i])
    frame = least_ns // frame_ns
    begin_ns = frame * frame_ns
    if (most_ns - begin_ns) // frame_ns >= _FEW:
        return False
    key += np.uint64(frame)
    x0, x1, x2 = mix64(key), mix64(key + _ONE), mix64(key + _TWO)
    for i in range(n):
        since_ns = times[i] + phase_ns[i] - begin_ns
        x = x0 if since_ns < frame_ns else x1
        since_ns -= 0 if since_ns < frame_ns else frame_ns
        x = x if since_ns < frame_ns else x2
        since[i] = since_ns - (0 if since_ns < frame_ns else frame_ns)
        drawn[i] = np.int64(mix64(x + np.uint64(first + i)))
    return True


@compiled
def off_draws(
    m: Int64s, s: Int64s, times: int, draws: int, since: int, first: int, end: int
) -> None:
    """
    Write the off_draw() of some CPUs, each at its own time, and how long its frame has lasted.

    All of them are parts of the state.
    """
    words = M.spells + SPELLS.irqs_off * SPELL.words
    phases = m[M.phases] + SPELLS.irqs_off * m[M.nr_cpus]
    few = _few_frames(
        s[span(s, times, first, end)],
        m[phases + first : phases + end],
        m[words + SPELL.frame_ns],
        np.uint64(m[words + SPELL.key]),
        first,
        s[span(s, draws, first, end)],
        s[span(s, since, first, end)],
    )
    if not few:
        for cpu in range(first, end):
            t_ns = s[part(s, times) + cpu]
            begin_ns, x = _frame(m, SPELLS.irqs_off, cpu, t_ns)
            s[part(s, draws) + cpu] = np.int64(x)
            s[part(s, since) + cpu] = t_ns - begin_ns


@inlined
def _ends(m: Int64s, row: int, phase_ns: int, cpu: int, t_ns: int) -> int:
    # When the spell of a class ends that covers a time; the time itself if there is none.
    begin_ns, x = _frame_of(m, row, phase_ns, cpu, t_ns)
    if (x >> _ONE) < np.uint64(m[row + SPELL.threshold]):
        start_ns, end_ns = _spell_of(m, row, x)
        if begin_ns + start_ns <= t_ns < begin_ns + end_ns:
            return begin_ns + end_ns
    return t_ns


@compiled
def _until(
    m: Int64s, spells: int, nr_more: int, more: int, phases: int, cpu: int, t_ns: int
) -> int:
    # When neither a class of SPELLS nor any of further ones covers a time any more.
    n = m[M.nr_cpus]
    first, first_phase = M.spells + spells * SPELL.words, m[M.phases] + spells * n
    before_ns = -1
    while before_ns != t_ns:
        before_ns = t_ns
        t_ns = _ends(m, first, m[first_phase + cpu], cpu, t_ns)
        for nth in range(nr_more):
            row = more + nth * SPELL.words
            t_ns = _ends(m, row, m[phases + nth * n + cpu], cpu, t_ns)
    return int(t_ns)


@inlined
def _runs_from(m: Int64s, s: Int64s, cpu: int, t_ns: int) -> int:
    # When the host runs a vCPU again; the time itself if it does.
    from_ns = t_ns
    if m[M.nr_more_preempted]:
        nr, more = m[M.nr_more_preempted], m[M.more_preempted]
        from_ns = _until(m, SPELLS.preempted, nr, more, m[M.more_preempted_phases], cpu, t_ns)
    else:
        line = line_of(s, cpu)
        known_until_ns = s[line + CPU.preempted_known_until_ns]
        is_over = s[line + CPU.preempted_end_ns] <= t_ns
        if t_ns >= known_until_ns or (
            is_over and known_until_ns < s[line + CPU.idle_known_until_ns]
        ):
            _look_up_preempted(m, s, cpu, t_ns)
        if s[line + CPU.preempted_begin_ns] <= t_ns < s[line + CPU.preempted_end_ns]:
            from_ns = s[line + CPU.preempted_end_ns]
    return from_ns


@inlined
def off_for(m: Int64s, off: np.uint64, since_ns: int) -> int:
    """Return how long interrupts stay off, in a frame that has a spell and has lasted so long."""
    off_ns, on_ns = _spell_in(m, SPELLS.irqs_off, off)
    return on_ns - since_ns if off_ns <= since_ns < on_ns else 0


@compiled
def _on_from(m: Int64s, cpu: int, t_ns: int, off: np.uint64) -> int:
    # When a CPU that runs at a time has interrupts on: then, or at the end of a spell.
    on_from_ns = t_ns
    if m[M.nr_more_off]:
        nr, more = m[M.nr_more_off], m[M.more_off]
        on_from_ns = _until(m, SPELLS.irqs_off, nr, more, m[M.more_off_phases], cpu, t_ns)
    elif _has_spell(m, SPELLS.irqs_off, off):
        begin_ns, _ = _frame(m, SPELLS.irqs_off, cpu, t_ns)
        on_from_ns += off_for(m, off, t_ns - begin_ns)
    return int(on_from_ns)


@compiled
def answer_late(
    m: Int64s, s: Int64s, cpu: int, arrive_ns: int, off: np.uint64, polled: bool
) -> tuple[int, int]:
    """Do as answer() where the CPU may be busy, idle, preempted or have interrupts off."""
    line = line_of(s, cpu)
    busy_until_ns = s[part(s, S.busy_until) + cpu]
    if busy_until_ns > arrive_ns:
        was_idle = s[part(s, S.last_found) + cpu] == FOUND.idle
        return (FOUND.idle if was_idle else FOUND.running), int(busy_until_ns)
    idle = _idle_state(m, s, cpu, arrive_ns, busy_until_ns)
    if idle >= 0:
        exit_ns = m[m[M.idle_states] + IDLE_STATE.words * idle + IDLE_STATE.exit_ns]
        return FOUND.idle, int(arrive_ns if polled else arrive_ns + exit_ns)
    runs_ns = _runs_from(m, s, cpu, arrive_ns)
    if runs_ns > arrive_ns:
        return FOUND.preempted, _on_from(m, cpu, runs_ns, off_draw(m, cpu, runs_ns))
    on_ns = _on_from(m, cpu, arrive_ns, off)
    # Of several classes of spells, nothing is kept.
    if not m[M.nr_more_off] and not m[M.nr_more_preempted]:
        until_ns = s[line + CPU.preempted_known_until_ns]
        if arrive_ns < s[line + CPU.preempted_begin_ns]:
            until_ns = s[line + CPU.preempted_begin_ns]
        awake_until_ns = min(until_ns, s[line + CPU.idle_known_until_ns])
        s[part(s, S.awake_until) + cpu] = awake_until_ns
    return (FOUND.irqs_off if on_ns > arrive_ns else FOUND.running), on_ns


@inlined
def answer(
    m: Int64s, s: Int64s, cpu: int, arrive_ns: int, off: np.uint64, polled: bool
) -> tuple[int, int]:
    """
    Return the state in which an interrupt finds a lazy CPU, and when its handler starts.

    ``off`` is the off_draw() of its arrival.
    """
    state = FOUND.running
    start_ns = arrive_ns
    # Most are taken at once.
    if (
        s[part(s, S.busy_until) + cpu] > arrive_ns
        or arrive_ns >= s[part(s, S.awake_until) + cpu]
        or _has_spell(m, SPELLS.irqs_off, off)
    ):
        state, start_ns = answer_late(m, s, cpu, arrive_ns, off, polled)
    return state, start_ns


@inlined
def polls(m: Int64s, s: Int64s, cpu: int, t_ns: int) -> bool:
    """Return whether a lazy CPU idles polling at a time."""
    busy_until_ns = s[part(s, S.busy_until) + cpu]
    found = -1
    if busy_until_ns <= t_ns:
        found = _idle_state(m, s, cpu, t_ns, busy_until_ns)
    return found >= 0 and m[m[M.idle_states] + IDLE_STATE.words * found + IDLE_STATE.polling] == 1


@compiled
def bucket(ns: int) -> int:
    """Return the bucket of a time in a log-linear histogram, of simulator.trace.tables."""
    # The exponent and the first 7 bits of the mantissa are the bucket, but for a constant. A
    # number below 2**52 made a float in two steps that LLVM vectorises.
    made = np.float64(np.int64(ns | _TWO_TO_52_BITS).view(np.float64) - _TWO_TO_52)
    log_linear = (made.view(np.int64) >> 45) - (1023 << 7) - 768
    return index(int(ns if ns < 256 else log_linear))


@inlined
def count(s: Int64s, hist: int, ns: int) -> None:
    """Count a time in a histogram."""
    s[hist + bucket(ns)] += 1


@compiled
def _buckets(released: Int64s, enqueued: Int64s, buckets: Int64s) -> None:
    for cpu in range(len(released)):
        buckets[cpu] = bucket(released[cpu] - enqueued[cpu])


@compiled
def count_released(m: Int64s, s: Int64s, slot: int, targets: int) -> None:
    """
    Count how long the csds of a broadcast took from being enqueued to their release.

    It has so many targets; of other CPUs, both times are the same.
    """
    n = m[M.nr_cpus]
    first, end = slot * n, (slot + 1) * n
    _buckets(
        s[span(s, S.released, first, end)],
        s[span(s, S.enqueued, first, end)],
        s[span(s, S.ahead, 0, n)],
    )
    hist, counted = part(s, S.ack_hist), part(s, S.ahead)
    for cpu in range(n):
        s[hist + index(s[counted + cpu])] += 1
    s[hist] -= n - targets


@inlined
def settle(s: Int64s, cpu: int, state: int, handler_ns: int, refill_ns: int, end_ns: int) -> None:
    """Account for the handler of a lazy CPU, counted already, which ended at a time."""
    line = line_of(s, cpu)
    s[part(s, S.busy_until) + cpu] = end_ns
    s[part(s, S.last_found) + cpu] = state
    if state == FOUND.idle:
        s[line + CPU.idle_woken] += 1
        s[line + CPU.idle_ns] += handler_ns + refill_ns


@compiled
def handled(s: Int64s, line: int, handler_ns: int) -> None:
    """Count how long a handler took."""
    s[line + CPU.handler_ns] += handler_ns
    count(s, part(s, S.handler_hist), handler_ns)


@inlined
def open_handler(
    s: Int64s,
    cpu: int,
    state: int,
    arrive_ns: int,
    start_ns: int,
    entry_ns: int,
    exit_ns: int,
    polled: bool,
) -> None:
    """Note the handler of a lazy CPU that is going to take the CPU's list."""
    line = line_of(s, cpu)
    s[part(s, S.last_found) + cpu] = state
    s[line + CPU.arrive_ns] = arrive_ns
    s[line + CPU.start_ns] = start_ns
    s[line + CPU.drain_ns] = start_ns + entry_ns
    s[line + CPU.tail_ns] = start_ns + entry_ns
    s[line + CPU.exit_ns] = exit_ns
    s[line + CPU.next_refill_ns] = 0
    if not polled:
        s[line + CPU.ipis] += 1
    if state == FOUND.irqs_off:
        s[line + CPU.irqs_off_delay_ns] += start_ns - arrive_ns


@inlined
def close_handler(s: Int64s, cpu: int) -> None:
    """Finish the handler of a lazy CPU, to whose list nothing can be added any more."""
    line = line_of(s, cpu)
    end_ns = s[line + CPU.tail_ns] + s[line + CPU.exit_ns]
    refill_ns = s[line + CPU.next_refill_ns]
    handler_ns = end_ns - s[line + CPU.start_ns]
    handled(s, line, handler_ns)
    settle(s, cpu, s[part(s, S.last_found) + cpu], handler_ns, refill_ns, end_ns)
    s[line + CPU.refill_ns] += refill_ns
    s[line + CPU.queued] = 0
    s[line + CPU.drain_ns] = -1
