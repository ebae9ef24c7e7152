# SPDX-License-Identifier: MIT
"""
The broadcast of an only task, compiled
---------------------------------------

``smp_call_function_many_cond()`` where no other task runs: all targets are lazy,
every queue is empty, and one call computes it from its start to its end.

``m`` is the machine, ``s`` the state (see
:mod:`simulator.engine.compiled.flat`), ``distance`` [nr_cpus * nr_cpus].
"""

from __future__ import annotations

import numpy as np

from simulator.engine.compiled.flat.machine import COST, COSTS, SPELL, SPELLS, M
from simulator.engine.compiled.flat.places import index, line_of, part, span, words_of
from simulator.engine.compiled.flat.state import CALL, CPU, EXECUTED, FOUND, TASK, S
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import compiled, entry
from simulator.engine.compiled.rules.acks import acks_of_released, last_release
from simulator.engine.compiled.rules.answers import (
    answer_late,
    bucket,
    count_released,
    handled,
    off_draws,
    off_for,
    polls,
    settle,
)
from simulator.engine.compiled.rules.bits import lowest_bit
from simulator.engine.compiled.rules.records import begin_record
from simulator.engine.compiled.rules.sending import draw_all, write_order

__all__ = ("broadcast_alone",)

_ONE = np.uint64(1)
_BLOCK = 56


@compiled
def _order_others(m: Int64s, s: Int64s, me: int) -> None:
    # The order of an only task's broadcasts is always the same.
    if s[S.order_for] != me + 1:
        for cpu in range(m[M.nr_cpus]):
            s[part(s, S.sent) + cpu] = cpu != me
        write_order(m, s, 0, me)
        s[S.order_for] = me + 1


@compiled
def _is_one(m: Int64s, row: int) -> bool:
    # Whether a cost has no spread and is the same from everywhere.
    base = M.costs + row * COST.words
    first = m[base + 1]
    same = first == m[base + 2] and first == m[base + 3] and first == m[base + 4]
    return m[base] < 0 and same


@compiled
def _mean_ns(m: Int64s, row: int) -> int:
    # A cost without spread, between the nearest CPUs.
    return (m[M.costs + row * COST.words + 1] + 512) >> 10


@compiled
def _alike_ns(m: Int64s, run_ns: int) -> int:
    # How long all handlers take, or -1.
    if not _is_one(m, COSTS.handler_entry) or not _is_one(m, COSTS.handler_exit):
        return -1
    entry_ns, exit_ns = _mean_ns(m, COSTS.handler_entry), _mean_ns(m, COSTS.handler_exit)
    return max(1, entry_ns) + run_ns + exit_ns


@compiled
def _enqueue(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, start_ns: int) -> int:
    # Every queue is empty.
    n = m[M.nr_cpus]
    draw_all(m, s, distance, COSTS.enqueue, me, nth, part(s, S.enqueued))
    enqueued = s[span(s, S.enqueued, 0, n)]
    enqueued[me] = 0
    t_ns = start_ns + m[M.base_ns]
    for cpu in range(n):
        t_ns += enqueued[cpu]
        enqueued[cpu] = t_ns
    return t_ns


@compiled
def _send(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> int:
    # What is the handler's part comes to lie where its times will.
    n = m[M.nr_cpus]
    draw_all(m, s, distance, COSTS.inject, me, nth, part(s, S.sent_ns))
    draw_all(m, s, distance, COSTS.deliver, me, nth, part(s, S.arrived))
    draw_all(m, s, distance, COSTS.handler_entry, me, nth, part(s, S.released))
    draw_all(m, s, distance, COSTS.handler_exit, me, nth, part(s, S.started))
    sent, arrived = s[span(s, S.sent_ns, 0, n)], s[span(s, S.arrived, 0, n)]
    order, begins = s[span(s, S.order, 0, n)], s[span(s, S.begins, 0, n)]
    # Before each write but the first it comes back from the one before, whose interrupts
    # are on their way.
    return_ns = m[M.send_return_ns]
    write_ns = m[M.send_ns] + return_ns
    t_ns = now_ns - return_ns
    writes = 0
    for i in range(n - 1):
        cpu = index(order[i])
        t_ns += begins[i] * write_ns + sent[cpu]
        sent[cpu] = t_ns
        writes += begins[i]
    sent[me] = t_ns
    for cpu in range(n):
        arrived[cpu] = sent[cpu] + max(1, arrived[cpu])
    words = words_of(s, 0)
    s[words + TASK.ipis] = n - 1
    s[words + TASK.icr_writes] = writes
    return t_ns + return_ns


@compiled
def _wake(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> None:
    # The only other CPU polls, and needs no interrupt.
    other = 1 - me
    s[part(s, S.sent_ns) + other] = -1
    line_ns = m[M.line_ns + distance[2 * me + other]]
    s[part(s, S.arrived) + other] = now_ns + max(1, line_ns)
    s[part(s, S.arrived) + me] = now_ns
    s[part(s, S.released) + other] = m[M.poll_wake_ns]
    draw_all(m, s, distance, COSTS.handler_exit, me, nth, part(s, S.started))
    words = words_of(s, 0)
    s[words + TASK.ipis] = 0
    s[words + TASK.icr_writes] = 0


@compiled
def _take_at_once(
    arrived: Int64s,
    off: Int64s,
    awake_until: Int64s,
    run_ns: int,
    threshold: np.uint64,
    released: Int64s,
    started: Int64s,
    busy_until: Int64s,
    last_found: Int64s,
) -> tuple[int, int]:
    # Let CPUs take their interrupts when they come, but for those that may be busy, idle or
    # preempted.  Return these, and others that may have interrupts off, as the bits of numbers.
    # Without branches: LLVM vectorises that.
    late = masked = 0
    for i in range(len(arrived)):
        arrive_ns = arrived[i]
        is_late = (busy_until[i] > arrive_ns) | (arrive_ns >= awake_until[i])
        is_masked = ((np.uint64(off[i]) >> _ONE) < threshold) & (not is_late)
        late |= int(is_late) << i
        masked |= int(is_masked) << i
        release_ns = arrive_ns + max(1, released[i]) + run_ns
        end_ns = release_ns + started[i]
        released[i] = release_ns
        started[i] = started[i] if is_late else arrive_ns
        busy_until[i] = busy_until[i] if is_late else end_ns
        last_found[i] = last_found[i] if is_late else FOUND.running
    return late, masked


@compiled
def _take_masked(m: Int64s, s: Int64s, cpu: int) -> None:
    # One that is to take it at once, if its frame's spell with interrupts off does not cover that.
    off, since_ns = np.uint64(s[part(s, S.acked) + cpu]), s[part(s, S.read_ns) + cpu]
    by_ns = off_for(m, off, since_ns)
    if by_ns > 0:
        s[part(s, S.released) + cpu] += by_ns
        s[part(s, S.started) + cpu] += by_ns
        s[part(s, S.busy_until) + cpu] += by_ns
        s[part(s, S.found) + cpu] = FOUND.irqs_off
        s[part(s, S.last_found) + cpu] = FOUND.irqs_off
        s[line_of(s, cpu) + CPU.irqs_off_delay_ns] += by_ns


@compiled
def _take_late(m: Int64s, s: Int64s, cpu: int, refill_ns: int, polled: bool) -> None:
    # One that may not be able to, by itself.
    release, started = part(s, S.released) + cpu, part(s, S.started) + cpu
    arrive_ns, off = s[part(s, S.arrived) + cpu], np.uint64(s[part(s, S.acked) + cpu])
    state, start_ns = answer_late(m, s, cpu, arrive_ns, off, polled)
    release_ns = s[release] + start_ns - arrive_ns
    end_ns = release_ns + s[started]
    s[started] = start_ns
    s[release] = release_ns
    s[part(s, S.found) + cpu] = state
    settle(s, cpu, state, end_ns - start_ns, refill_ns, end_ns)
    if state == FOUND.irqs_off:
        s[line_of(s, cpu) + CPU.irqs_off_delay_ns] += start_ns - arrive_ns


@compiled
def _count(m: Int64s, s: Int64s, me: int, alike_ns: int) -> None:
    # Times from enqueueing to release, and those of handlers, unless all are alike.
    n = m[M.nr_cpus]
    s[part(s, S.enqueued) + me] = s[part(s, S.released) + me]
    count_released(m, s, 0, n - 1)
    if alike_ns >= 0:
        s[S.alike_handler_ns] += alike_ns
        s[part(s, S.handler_hist) + bucket(alike_ns)] += n - 1
        return
    busy_until, started = part(s, S.busy_until), part(s, S.started)
    for cpu in range(n):
        if cpu != me:
            handled(s, line_of(s, cpu), s[busy_until + cpu] - s[started + cpu])


@compiled
def _answer(m: Int64s, s: Int64s, me: int, run_ns: int, refill_ns: int, polled: bool) -> None:
    # The others answer, each by itself.
    n = m[M.nr_cpus]
    threshold = np.uint64(m[M.spells + SPELLS.irqs_off * SPELL.words + SPELL.threshold])
    busy_until_ns, last_found = s[part(s, S.busy_until) + me], s[part(s, S.last_found) + me]
    s[span(s, S.found, 0, n)][:] = FOUND.running
    for first in range(0, n, _BLOCK):
        end = min(n, first + _BLOCK)
        off_draws(m, s, S.arrived, S.acked, S.read_ns, first, end)
        late, masked = _take_at_once(
            s[span(s, S.arrived, first, end)],
            s[span(s, S.acked, first, end)],
            s[span(s, S.awake_until, first, end)],
            run_ns,
            threshold,
            s[span(s, S.released, first, end)],
            s[span(s, S.started, first, end)],
            s[span(s, S.busy_until, first, end)],
            s[span(s, S.last_found, first, end)],
        )
        while late != 0:
            cpu = first + lowest_bit(late)
            late &= late - 1
            if cpu != me:
                _take_late(m, s, cpu, refill_ns, polled)
        while masked != 0:
            cpu = first + lowest_bit(masked)
            masked &= masked - 1
            if cpu != me:
                _take_masked(m, s, cpu)
    # The initiator's own does not count.
    s[part(s, S.busy_until) + me], s[part(s, S.last_found) + me] = busy_until_ns, last_found
    _count(m, s, me, -1 if polled else _alike_ns(m, run_ns))


@compiled
def _wait(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> int:
    n = m[M.nr_cpus]
    draw_all(m, s, distance, COSTS.ack, me, nth, part(s, S.read_ns))
    s[part(s, S.read_ns) + me] = 0
    s[part(s, S.released) + me] = 0
    end_ns = acks_of_released(
        s[span(s, S.released, 0, n)], s[span(s, S.read_ns, 0, n)], s[span(s, S.acked, 0, n)], now_ns
    )
    last_ns, slowest = last_release(s[span(s, S.released, 0, n)])
    words = words_of(s, 0)
    s[words + TASK.last_ack_ns] = last_ns
    s[words + TASK.slowest_cpu] = slowest
    return end_ns


@entry
def broadcast_alone(m: Int64s, s: Int64s, distance: Int8s) -> int:
    """
    Carry out a broadcast of the only task, whose slot is 0; returns its end.

    Its number and its start lie in its record, its call in ``calls``: a call of Python's with
    numbers would take longer.  The rows of the state hold what is drawn for all
    CPUs first, and then the times that follow from it.  What is the same for all
    targets (one interrupt, one refill, often one handler) is counted once (``ALIKE_IPIS``).
    """
    n = m[M.nr_cpus]
    words, call = words_of(s, 0), part(s, S.calls)
    run_ns, refill_ns = s[call + CALL.run_ns], s[call + CALL.refill_ns]
    start_ns = s[words + TASK.start_ns]
    begin_record(s, 0)
    me, nth = s[words + TASK.cpu], s[words + TASK.nth]
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
        s[S.alike_ipis] += not polled
        s[S.alike_refill_ns] += refill_ns
    executed = part(s, S.executed)
    s[executed + s[call + CALL.kind]] += n
    s[executed + EXECUTED.pages] += n * s[call + CALL.pages]
    s[words + TASK.took_enqueue] += walk_end_ns - start_ns
    s[words + TASK.took_send] += send_end_ns - walk_end_ns
    s[words + TASK.took_local] += run_ns + refill_ns
    s[words + TASK.took_wait] += end_ns - send_end_ns - run_ns
    off_ns = max(send_end_ns - walk_end_ns, run_ns)
    s[words + TASK.irqs_off_max_ns] = max(s[words + TASK.irqs_off_max_ns], off_ns)
    s[words + TASK.send_end_ns] = send_end_ns
    s[words + TASK.waits_from_ns] = send_end_ns + run_ns
    s[words + TASK.last_ack_ns] = max(s[words + TASK.last_ack_ns], send_end_ns)
    s[words + TASK.end_ns] = end_ns
    s[words + TASK.targets] = n - 1
    return int(end_ns)  # interpreted, what came from an array is no int yet
