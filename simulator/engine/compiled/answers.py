# SPDX-License-Identifier: MIT
"""
How a lazy CPU answers an interrupt
-----------------------------------

The rules of :mod:`simulator.engine.cpu` for a CPU without a task, computed at
once: in which state the interrupt finds it, and when its handler starts.
"""

from __future__ import annotations

import math

import numpy as np

from simulator.engine.compiled import layout as at
from simulator.engine.compiled.draws import below, mix64, quantile
from simulator.engine.compiled.jit import inlined

__all__ = ("answer", "close_handler", "count", "open_handler", "polls")

_ONE = np.uint64(1)


@inlined
def _spell(numbers, keys, spells, tables, phases, kind, cpu, t_ns):
    # Start and end of the spell of a class that covers a time; start = end where there is none.
    threshold = keys[len(at.DRAWN) + 2 * kind + 1]
    if threshold == np.uint64(0):
        return t_ns, t_ns
    frame_ns = spells[kind * at.SPELL_WORDS + at.FRAME]
    since_ns = t_ns + phases[kind * numbers[at.NR_CPUS] + cpu]
    frame = since_ns // frame_ns
    within_ns = since_ns - frame * frame_ns
    x = mix64(mix64(keys[len(at.DRAWN) + 2 * kind] + np.uint64(frame)) + np.uint64(cpu))
    if (x >> _ONE) >= threshold:
        return t_ns, t_ns
    length = spells[kind * at.SPELL_WORDS + at.LENGTH]
    if length < 0:
        return t_ns - within_ns, t_ns - within_ns + frame_ns
    start_ns = below(mix64(x ^ keys[len(at.DRAWN) + 6]), frame_ns)
    drawn = quantile(tables, length, mix64(x ^ keys[len(at.DRAWN) + 7]))
    mean_fp = spells[kind * at.SPELL_WORDS + at.MEAN]
    end_ns = min(start_ns + ((drawn * mean_fp + (1 << 25)) >> 26), frame_ns)
    if start_ns <= within_ns < end_ns:
        return t_ns - within_ns + start_ns, t_ns - within_ns + end_ns
    return t_ns, t_ns


@inlined
def _idle_state_of(numbers, keys, spells, tables, phases, cpu, t_ns, busy_until_ns):
    # The number of the C-state that a lazy CPU has reached; -1: it is not idle.
    begin_ns, end_ns = _spell(numbers, keys, spells, tables, phases, at.SPELL_IDLE, cpu, t_ns)
    if begin_ns == end_ns:
        return -1
    # It may have been idle for a frame longer.
    before_ns, until_ns = _spell(
        numbers, keys, spells, tables, phases, at.SPELL_IDLE, cpu, begin_ns - 1
    )
    if before_ns < until_ns:
        begin_ns = before_ns
    idle_ns = t_ns - max(max(0, begin_ns), busy_until_ns)
    found = 0
    for state in range(numbers[at.NR_IDLE_STATES]):
        if numbers[at.IDLE_STATES + 3 * state + 1] <= idle_ns:
            found = state
    return found


@inlined
def answer(numbers, keys, spells, tables, phases, cpus, cpu, arrive_ns, polled):
    """Return the state in which an interrupt finds a lazy CPU, and when its handler starts."""
    line = cpu * at.CPU_WORDS
    busy_until_ns = cpus[line + at.BUSY_UNTIL]
    if busy_until_ns > arrive_ns:
        if cpus[line + at.STATE] == at.IDLE:
            return at.IDLE, busy_until_ns
        return at.RUNNING, busy_until_ns
    idle = _idle_state_of(numbers, keys, spells, tables, phases, cpu, arrive_ns, busy_until_ns)
    if idle >= 0:
        if polled:
            return at.IDLE, arrive_ns
        return at.IDLE, arrive_ns + numbers[at.IDLE_STATES + 3 * idle]
    begin_ns, end_ns = _spell(
        numbers, keys, spells, tables, phases, at.SPELL_PREEMPTED, cpu, arrive_ns
    )
    state = at.RUNNING
    resumed_ns = arrive_ns
    if begin_ns < end_ns:
        resumed_ns = end_ns
        state = at.PREEMPTED
    begin_ns, end_ns = _spell(
        numbers, keys, spells, tables, phases, at.SPELL_IRQS_OFF, cpu, resumed_ns
    )
    if begin_ns < end_ns:
        if state == at.RUNNING:
            state = at.IRQS_OFF
        return state, end_ns
    return state, resumed_ns


@inlined
def polls(numbers, keys, spells, tables, phases, cpus, cpu, t_ns):
    """Return whether a lazy CPU idles polling at a time."""
    busy_until_ns = cpus[cpu * at.CPU_WORDS + at.BUSY_UNTIL]
    if busy_until_ns > t_ns:
        return False
    idle = _idle_state_of(numbers, keys, spells, tables, phases, cpu, t_ns, busy_until_ns)
    return idle >= 0 and numbers[at.IDLE_STATES + 3 * idle + 2] == 1


@inlined
def count(hist, ns):
    """Count a time in a log-linear histogram (buckets of simulator.trace.tables)."""
    octave = math.frexp(float(ns))[1] - 8
    if octave <= 0:
        hist[ns] += 1
    else:
        hist[(octave << 7) + (ns >> octave)] += 1


@inlined
def open_handler(cpus, cpu, state, arrive_ns, start_ns, entry_ns, exit_ns, polled):
    """Note the handler of a lazy CPU that is going to take the CPU's list."""
    line = cpu * at.CPU_WORDS
    cpus[line + at.STATE] = state
    cpus[line + at.ARRIVE] = arrive_ns
    cpus[line + at.START] = start_ns
    cpus[line + at.DRAIN] = start_ns + entry_ns
    cpus[line + at.TAIL] = start_ns + entry_ns
    cpus[line + at.EXIT] = exit_ns
    cpus[line + at.REFILL] = 0
    if not polled:
        cpus[line + at.IPIS] += 1
    if state == at.IRQS_OFF:
        cpus[line + at.IRQS_OFF_DELAY_NS] += start_ns - arrive_ns


@inlined
def close_handler(cpus, handler_hist, cpu):
    """Finish the handler of a lazy CPU, to whose list nothing can be added any more."""
    line = cpu * at.CPU_WORDS
    end_ns = cpus[line + at.TAIL] + cpus[line + at.EXIT]
    handler_ns = end_ns - cpus[line + at.START]
    refill_ns = cpus[line + at.REFILL]
    cpus[line + at.HANDLER_NS] += handler_ns
    cpus[line + at.REFILL_NS] += refill_ns
    if cpus[line + at.STATE] == at.IDLE:
        cpus[line + at.IDLE_WOKEN] += 1
    else:
        cpus[line + at.LOST_NS] += handler_ns + refill_ns
    cpus[line + at.BUSY_UNTIL] = end_ns
    cpus[line + at.QUEUED] = 0
    cpus[line + at.DRAIN] = -1
    count(handler_hist, handler_ns)
