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
from simulator.engine.compiled.flat.places import index, line_of, part, words_of
from simulator.engine.compiled.flat.state import CALL, CPU, EXECUTED, FOUND, TASK, S
from simulator.engine.compiled.flat.words import Int8s, Int64s
from simulator.engine.compiled.jit import compiled, entry
from simulator.engine.compiled.rules.answers import (
    answer_late,
    bucket,
    handled,
    off_draws,
    polls,
    settle,
)
from simulator.engine.compiled.rules.records import begin_record
from simulator.engine.compiled.rules.sending import draw_all, write_order

__all__ = ("broadcast_alone",)

_ONE = np.uint64(1)


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
def _alike(m: Int64s) -> bool:
    # Whether all handlers take as long.
    return _is_one(m, COSTS.handler_entry) and _is_one(m, COSTS.handler_exit)


@compiled
def _enqueue(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, start_ns: int) -> int:
    # Every queue is empty.
    enqueued = part(s, S.enqueued)
    draw_all(m, s, distance, COSTS.enqueue, me, nth, enqueued)
    t_ns = start_ns + m[M.base_ns]
    for cpu in range(m[M.nr_cpus]):
        if cpu != me:
            t_ns += s[enqueued + cpu]
            s[enqueued + cpu] = t_ns
    return t_ns


@compiled
def _send(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> int:
    # What is the handler's part comes to lie where its times will.
    sent, arrived = part(s, S.sent_ns), part(s, S.arrived)
    order, begins = part(s, S.order), part(s, S.begins)
    draw_all(m, s, distance, COSTS.inject, me, nth, sent)
    draw_all(m, s, distance, COSTS.deliver, me, nth, arrived)
    if not _alike(m):
        draw_all(m, s, distance, COSTS.handler_entry, me, nth, part(s, S.released))
        draw_all(m, s, distance, COSTS.handler_exit, me, nth, part(s, S.started))
    t_ns = now_ns
    writes = 0
    for i in range(m[M.nr_cpus] - 1):
        cpu = index(s[order + i])
        if s[begins + i]:
            # Back from the write before, whose interrupts are on their way.
            t_ns += m[M.send_ns] + m[M.send_return_ns] * (writes > 0)
            writes += 1
        t_ns += s[sent + cpu]
        s[sent + cpu] = t_ns
        s[arrived + cpu] = t_ns + max(1, s[arrived + cpu])
    s[arrived + me] = t_ns  # as good as any
    words = words_of(s, 0)
    s[words + TASK.ipis] = m[M.nr_cpus] - 1
    s[words + TASK.icr_writes] = writes
    return t_ns + m[M.send_return_ns] * (writes > 0)


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
def _take_at_once(m: Int64s, s: Int64s, me: int, run_ns: int, alike: bool) -> int:
    # Let all others but those that may not be able to take their interrupts when they come;
    # list these and return how many they are. Without branches, which nobody could foresee.
    release, off = part(s, S.released), part(s, S.acked)
    arrived, started, late = part(s, S.arrived), part(s, S.started), part(s, S.queue)
    threshold = np.uint64(m[M.spells + SPELLS.irqs_off * SPELL.words + SPELL.threshold])
    entry_ns, exit_ns = _mean_ns(m, COSTS.handler_entry), _mean_ns(m, COSTS.handler_exit)
    nr = 0
    for cpu in range(m[M.nr_cpus]):
        line = line_of(s, cpu)
        arrive_ns = s[arrived + cpu]
        if not alike:
            entry_ns, exit_ns = s[release + cpu], s[started + cpu]
        busy_until_ns, state = s[line + CPU.busy_until_ns], s[line + CPU.state]
        release_ns = arrive_ns + max(1, entry_ns) + run_ns
        s[release + cpu] = release_ns
        is_late = (
            (busy_until_ns > arrive_ns)
            | (arrive_ns >= s[line + CPU.awake_until_ns])
            | ((np.uint64(s[off + cpu]) >> _ONE) < threshold)
        )
        is_mine = cpu == me
        s[late + nr] = cpu
        nr += int(is_late & (not is_mine))
        stays = is_late | is_mine
        s[started + cpu] = exit_ns if stays else arrive_ns
        s[line + CPU.busy_until_ns] = busy_until_ns if stays else release_ns + exit_ns
        s[line + CPU.state] = state if stays else FOUND.running
    return nr


@compiled
def _take_late(m: Int64s, s: Int64s, nr: int, refill_ns: int, polled: bool) -> None:
    # And those that are listed, each by itself.
    release, off = part(s, S.released), part(s, S.acked)
    arrived, started, found = part(s, S.arrived), part(s, S.started), part(s, S.found)
    for i in range(nr):
        cpu = index(s[part(s, S.queue) + i])
        line = line_of(s, cpu)
        arrive_ns = s[arrived + cpu]
        state, start_ns = answer_late(m, s, cpu, arrive_ns, np.uint64(s[off + cpu]), polled)
        release_ns = s[release + cpu] + start_ns - arrive_ns
        end_ns = release_ns + s[started + cpu]
        s[started + cpu] = start_ns
        s[release + cpu] = release_ns
        s[found + cpu] = state
        settle(s, line, state, end_ns - start_ns, refill_ns, end_ns)
        if state == FOUND.irqs_off:
            s[line + CPU.irqs_off_delay_ns] += start_ns - arrive_ns


@compiled
def _count(m: Int64s, s: Int64s, me: int, alike_ns: int) -> None:
    # Times from enqueueing to release, and those of handlers, unless all are alike.
    n = m[M.nr_cpus]
    row = s[S.enqueued]
    enqueued, release = s[row : row + n], s[s[S.released] : s[S.released] + n]
    buckets = s[s[S.read_ns] : s[S.read_ns] + n]
    for cpu in range(n):
        buckets[cpu] = bucket(release[cpu] - enqueued[cpu])
    ack_hist, counted = part(s, S.ack_hist), part(s, S.read_ns)
    for cpu in range(n):
        if cpu != me:
            s[ack_hist + index(s[counted + cpu])] += 1
    if alike_ns >= 0:
        s[S.alike_handler_ns] += alike_ns
        s[part(s, S.handler_hist) + bucket(alike_ns)] += n - 1
        return
    for cpu in range(n):
        if cpu != me:
            line = line_of(s, cpu)
            handled(s, line, s[line + CPU.busy_until_ns] - s[part(s, S.started) + cpu])


@compiled
def _answer(m: Int64s, s: Int64s, me: int, run_ns: int, refill_ns: int, polled: bool) -> None:
    # The others answer, each by itself.
    n = m[M.nr_cpus]
    alike = _alike(m) and not polled
    alike_ns = -1
    if alike:
        entry_ns = max(1, _mean_ns(m, COSTS.handler_entry))
        alike_ns = entry_ns + run_ns + _mean_ns(m, COSTS.handler_exit)
    off_draws(m, s, part(s, S.arrived), part(s, S.acked))
    found = s[s[S.found] : s[S.found] + n]
    for cpu in range(n):
        found[cpu] = FOUND.running
    _take_late(m, s, _take_at_once(m, s, me, run_ns, alike), refill_ns, polled)
    _count(m, s, me, alike_ns)


@compiled
def _wait(m: Int64s, s: Int64s, distance: Int8s, me: int, nth: int, now_ns: int) -> int:
    release, acked = part(s, S.released), part(s, S.acked)
    draw_all(m, s, distance, COSTS.ack, me, nth, acked)
    t_ns = now_ns
    last_ns = 0
    slowest = -1
    for cpu in range(m[M.nr_cpus]):
        if cpu == me:
            continue
        release_ns = s[release + cpu]
        if release_ns > last_ns:
            last_ns = release_ns
            slowest = cpu
        t_ns = max(t_ns, release_ns) + s[acked + cpu]
        s[acked + cpu] = t_ns
    words = words_of(s, 0)
    s[words + TASK.last_ack_ns] = last_ns
    s[words + TASK.slowest_cpu] = slowest
    return t_ns


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
    begin_record(s, 0, s[words + TASK.flush], start_ns)
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
