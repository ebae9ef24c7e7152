# SPDX-License-Identifier: MIT
"""
What goes on, flat
------------------

The state ``s``: the words of :data:`S`, and behind them a line of :data:`CPU` for
every CPU, histograms, and for every task of the phase (a *slot*) a line of
:data:`TASK`, its call (:data:`CALL`) and rows of a word for every CPU: its broadcast.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from simulator.engine.compiled.flat.words import FlatArray, Int64s, places
from simulator.trace.tables import NR_BUCKETS

__all__ = (
    "CALL", "CPU", "DID", "EXECUTED", "FOUND", "HANDLER", "NEVER", "RECORD", "S", "SPENT", "STAGE",
    "TASK", "TOLD", "lines_in", "new_state",
)  # fmt: skip

NEVER: Final = (1 << 63) - 1
"""An event key after all others."""


class StateWords(NamedTuple):
    """The state: offsets of its parts, and numbers where it says so."""

    cpus: int  # a line of CPU for every CPU
    ack_hist: int
    handler_hist: int
    executed: int  # EXECUTED
    order: int  # the destinations of one broadcast, in the order of their interrupts
    begins: int  # whether a write begins with a destination
    next_key: int  # number: the first of ``keys``
    # By CPU, as every interrupt comes to all of them:
    busy_until: int  # end of its last finished handler
    last_found: int  # of FOUND, in which its last interrupt found it
    awake_until: int  # what is known: it neither idles nor is preempted before
    # A row of nr_cpus for every slot:
    registered: int  # enqueue times that are not committed; -1: none
    enqueued: int
    released: int  # -1: not known yet
    sent: int  # whether the CPU gets an IPI
    acked: int
    sent_ns: int  # when its IPI was sent; -1: it got none
    arrived: int  # when the interrupt came whose handler took the csd,
    started: int  # when that handler started,
    found: int  # and the state in which it found the CPU
    read_ns: int  # what reading each csd will cost its initiator
    left_out: int  # whether a broadcast with a mask leaves the CPU out
    # By CPU:
    queue: int  # the slots in its list, nr_slots for every CPU
    ahead: int  # whether others come before a walk, for a moment
    # By slot:
    calls: int  # CALL
    tasks: int  # TASK
    unreleased: int  # csds that are not known to be released
    walking: int  # the slots that enqueue now, ascending
    by_time: int  # slots in the order of their registered times, for a moment
    # Event keys, two a slot: the end of its broadcast's present stage, and what its CPU does next
    # about an interrupt (NEVER: nothing).
    keys: int
    nr_slots: int  # number
    nr_walking: int  # number
    to_begin: int  # number: the slot whose broadcast is to begin now + 1; 0: none
    order_for: int  # number: the only task's CPU + 1, once the order of its interrupts is there
    # Numbers: what the only task has done to every other CPU alike, in this phase.
    alike_ipis: int
    alike_refill_ns: int
    alike_handler_ns: int
    told: int  # rows of TOLD
    replays: int  # number: whether this is a replay
    words: int


class CpuWords(NamedTuple):
    """A CPU: three cache lines."""

    # One for what is known of its spells until a time (interrupts come to a CPU in their order),
    idle_known_until_ns: int
    idle_begin_ns: int  # -1: not idle
    preempted_known_until_ns: int
    preempted_begin_ns: int
    preempted_end_ns: int
    handler_ns: int  # in this phase
    idle_woken: int
    idle_ns: int  # handlers and refills that cost nothing, as it was idle
    # one for a handler that has not ended, with several tasks,
    queued: int  # csds that are not known to be taken yet
    drain_ns: int  # when its handler takes the list; -1: not known
    tail_ns: int  # when the last csd of the list is released
    start_ns: int  # when that handler starts
    arrive_ns: int  # when its interrupt came
    exit_ns: int  # what leaving it costs
    next_refill_ns: int  # what the CPU loses after it
    eager: int  # the slot of its task + 1: its handlers are events
    # and one for what else has come together in this phase.
    ipis: int
    refill_ns: int
    irqs_off_delay_ns: int
    words: int


class FoundNames(NamedTuple):
    """States in which an interrupt finds a CPU, STATES of :mod:`simulator.trace.words`."""

    running: int
    irqs_off: int
    idle: int
    preempted: int


class ExecutedWords(NamedTuple):
    """Calls by kind (KINDS of :mod:`simulator.trace.words`), and the pages of ranged flushes."""

    range: int
    all: int
    none: int
    pages: int
    words: int


class CallWords(NamedTuple):
    """What a broadcast runs on every CPU."""

    run_ns: int
    refill_ns: int
    kind: int  # of EXECUTED
    pages: int  # that each CPU flushes one by one
    reason: int  # for the record, as the next one
    pages_asked: int
    words: int


class TaskWords(NamedTuple):
    """A task, its broadcast, and the interrupt under way to its CPU."""

    # The CPU ...
    irqs_off: int
    idle_from_ns: int  # since when it sleeps; -1: it is awake
    ended: int
    stolen_ns: int  # all that handlers and refills took
    # ... the interrupt under way to it, if any ...
    handler: int  # of HANDLER
    entry_ns: int
    polled: int
    found: int  # of FOUND, in which it finds the CPU
    # ... and its broadcast.
    stage: int  # of STAGE
    nth: int  # its number among those of the CPU; -1: there was none
    until_ns: int  # the end of the stage, if no handler runs before
    wait_cpu: int  # it has read the csds of all CPUs before this one,
    wait_ns: int  # at this time,
    spins: int  # and spins
    masked: int  # whether it leaves out CPUs
    waits_from_ns: int  # when it began to wait
    # What a replay is told: whether its only target polls, and its part of TOLD.
    target_polls: int
    next_told: int
    end_told: int
    # Where its time went in broadcasts since Python last asked: by Categories, without handlers,
    # and in handlers; and its longest time with interrupts off.
    took_enqueue: int
    took_send: int
    took_local: int
    took_wait: int
    interrupted: int
    irqs_off_max_ns: int
    # The record of its last broadcast, FLUSH_COLUMNS of simulator.trace.contract.
    phase: int
    flush: int
    task: int
    cpu: int
    reason: int
    kind: int
    pages: int
    start_ns: int
    send_end_ns: int
    last_ack_ns: int
    end_ns: int
    targets: int
    ipis: int
    ipis_saved: int
    icr_writes: int
    slowest_cpu: int
    words: int


class HandlerNames(NamedTuple):
    """An interrupt: comes, waits until interrupts are on, is handled but has not taken the list."""

    none: int
    coming: int
    deferred: int
    entered: int


class StageNames(NamedTuple):
    """A broadcast: enqueues, sends, is about to call locally, does so, waits."""

    none: int
    walking: int
    sending: int
    before_local: int
    local: int
    waiting: int


class ToldWords(NamedTuple):
    """
    What kernel code did to the CPU of a task in between broadcasts.

    A replay has no kernel code.
    """

    slot: int
    at_ns: int
    what: int  # of DID
    start_ns: int  # of a handler that was deferred
    words: int


class DidNames(NamedTuple):
    """What kernel code did."""

    sleeps: int
    wakes: int
    ends: int
    defers: int  # an interrupt that came at the time, with interrupts off, was taken later


S: Final = StateWords(*places(StateWords._fields, rounded=8))
CPU: Final = CpuWords(*places(CpuWords._fields, rounded=8))
FOUND: Final = FoundNames(*places(FoundNames._fields))
EXECUTED: Final = ExecutedWords(*places(ExecutedWords._fields))
CALL: Final = CallWords(*places(CallWords._fields))
TASK: Final = TaskWords(*places(TaskWords._fields, rounded=8))
HANDLER: Final = HandlerNames(*places(HandlerNames._fields))
STAGE: Final = StageNames(*places(StageNames._fields))
TOLD: Final = ToldWords(*places(ToldWords._fields))
DID: Final = DidNames(*places(DidNames._fields))

#: Parts of TASK: where time went, and the record.
SPENT: Final = range(TASK.took_enqueue, TASK.irqs_off_max_ns + 1)
RECORD: Final = range(TASK.phase, TASK.slowest_cpu + 1)


def new_state(nr_cpus: int, nr_slots: int, nr_told: int = 0) -> Int64s:
    """Return the state of CPUs that have done nothing, with room for the tasks of a phase."""
    array = FlatArray(S.words)
    filled = array.filled
    rows = nr_slots * nr_cpus
    cpus = np.zeros((nr_cpus, CPU.words), dtype=np.int64)
    cpus[:, CPU.drain_ns] = -1
    return array.joined(
        {
            # Histograms between the CPUs and all else: a checkpoint leaves them out.
            S.cpus: array.add(cpus.reshape(-1)),
            S.busy_until: filled(nr_cpus),
            S.last_found: filled(nr_cpus),
            S.awake_until: filled(nr_cpus),
            S.ack_hist: filled(NR_BUCKETS),
            S.handler_hist: filled(NR_BUCKETS),
            S.executed: filled(EXECUTED.words),
            S.order: filled(nr_cpus),
            S.begins: filled(nr_cpus),
            S.registered: filled(rows, -1),
            S.enqueued: filled(rows),
            S.released: filled(rows),
            S.sent: filled(rows),
            S.acked: filled(rows),
            S.sent_ns: filled(rows),
            S.arrived: filled(rows),
            S.started: filled(rows),
            S.found: filled(rows),
            S.read_ns: filled(rows),
            S.left_out: filled(rows),
            S.queue: filled(rows),
            S.calls: filled(CALL.words * nr_slots),
            S.unreleased: filled(nr_slots),
            S.walking: filled(nr_slots),
            S.by_time: filled(nr_slots),
            S.ahead: filled(nr_cpus),
            S.next_key: NEVER,
            S.keys: filled(2 * nr_slots, NEVER),
            S.tasks: filled(TASK.words * nr_slots),
            S.nr_slots: nr_slots,
            S.told: filled(TOLD.words * nr_told),  # the last: only replays have any
        }
    )


def lines_in(state: Int64s, nr_cpus: int) -> Int64s:
    """Return the words of all CPUs, as [nr_cpus, CPU.words]."""
    first = int(state[S.cpus])
    return state[first : first + nr_cpus * CPU.words].reshape(nr_cpus, CPU.words)
