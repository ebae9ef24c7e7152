# SPDX-License-Identifier: MIT
"""
Where everything lies in the flat arrays
----------------------------------------

Compiled code sees the machine and the state of its CPUs as two flat arrays of int64
(more arguments would cost more than what they hold).  This module names
the offsets and makes the arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from simulator.draws import fold, purpose_of
from simulator.engine.compiled.flat import task_words as of
from simulator.trace.tables import NR_BUCKETS

if TYPE_CHECKING:
    from simulator.engine.compiled.flat.platform import FlatPlatform

__all__ = ("Int8s", "Int64s", "flatten", "lines_in", "new_state")

Int8s = npt.NDArray[np.int8]
Int64s = npt.NDArray[np.int64]

# The state, one flat int64 array: a header of offsets ...
CPUS: Final = 0  # CPU_WORDS for every CPU
ACK_HIST: Final = 1
HANDLER_HIST: Final = 2
EXECUTED: Final = 3  # calls by FUNCTION, and at PAGES those of ranged flushes
ORDER: Final = 4  # the destinations of one broadcast, in the order of their interrupts
BEGINS: Final = 5  # whether a write begins with a destination
NEXT_KEY: Final = 6  # the first of KEYS
# ... and with a row of nr_cpus for every task (slot) of the phase:
REG: Final = 7  # registered enqueue times; -1: none, or committed
ENQUEUED: Final = 8
RELEASE: Final = 9  # -1: not known yet
SENT: Final = 10  # whether the CPU gets an IPI
ACKED: Final = 11
SENT_NS: Final = 12  # when its IPI was sent; -1: it got none
QUEUE: Final = 13  # by CPU: the slots in its list
CALLS: Final = 14  # CALL_WORDS a slot
UNRELEASED: Final = 15  # csds of a slot that are not known to be released
NR_SLOTS: Final = 16
ORDER_FOR: Final = 17  # the only task's CPU + 1, once the order of its interrupts is there
# What the only task has done to every other CPU alike, in this phase: interrupts, refills.
ALIKE_IPIS: Final = 18
ALIKE_REFILL_NS: Final = 19
WALKING: Final = 20  # the slots that enqueue now, ascending
NR_WALKING: Final = 21
# Event keys, two a slot: the end of its broadcast's present stage, and what its CPU does next
# about an interrupt (NEVER: nothing).
KEYS: Final = 22
TASKS: Final = 23  # WORDS of simulator.engine.compiled.flat.task_words a slot
BY_TIME: Final = 24  # slots in the order of their registered times, for a moment
# What kernel code did to the CPUs of tasks in between broadcasts, for a replay, which has none:
# TOLD_WORDS each, the slot, a time, one of SLEEPS to DEFERS, and the start of a handler.
TOLD: Final = 25
REPLAYS: Final = 26  # whether this is a replay
ARRIVED: Final = 27  # when the interrupt came whose handler took the csd,
STARTED: Final = 28  # when that handler started,
FOUND: Final = 29  # and the state in which it found the CPU
READ_NS: Final = 30  # what reading each csd will cost its initiator
AHEAD: Final = 31  # by CPU: whether others come before a walk, for a moment
HEADER_WORDS: Final = 32

TOLD_WORDS: Final = 4
SLEEPS: Final = 0
WAKES: Final = 1
ENDS: Final = 2
DEFERS: Final = 3  # an interrupt that came at the time, with interrupts off, was taken later

NEVER: Final = (1 << 63) - 1

# What a broadcast runs on every CPU.
RUN_NS: Final = 0
REFILL_OF_CALL: Final = 1
FUNCTION: Final = 2  # the number of its kind, in KINDS of simulator.trace.words
PAGES: Final = 3  # that each CPU flushes one by one
REASON: Final = 4  # for the record, as the next one
PAGES_ASKED: Final = 5
CALL_WORDS: Final = 6

# One CPU: three cache lines. One for every interrupt ...
BUSY_UNTIL: Final = 0  # end of its last finished handler
STATE: Final = 1  # in which its last interrupt found it, of STATES
HANDLER_NS: Final = 2  # in this phase
# ... with what is known of its spells until a time (interrupts come to a CPU in their order),
IDLE_KNOWN_UNTIL: Final = 3
IDLE_BEGIN: Final = 4  # -1: not idle
PREEMPTED_KNOWN_UNTIL: Final = 5
PREEMPTED_BEGIN: Final = 6
PREEMPTED_END: Final = 7
# one for a handler that has not ended, with several tasks,
QUEUED: Final = 8  # csds that are not known to be taken yet
DRAIN: Final = 9  # when its handler takes the list; -1: not known
TAIL: Final = 10  # when the last csd of the list is released
START: Final = 11  # when that handler starts
ARRIVE: Final = 12  # when its interrupt came
EXIT: Final = 13  # what leaving it costs
REFILL: Final = 14  # what the CPU loses after it
EAGER: Final = 15  # the slot of its task + 1: its handlers are events
# and one for what else has come together in this phase.
TAKEN_IPIS: Final = 16
REFILL_NS: Final = 17
IDLE_WOKEN: Final = 18
IDLE_NS: Final = 19  # handlers and refills that cost nothing, as it was idle
IRQS_OFF_DELAY_NS: Final = 20
CPU_WORDS: Final = 24

# STATES of simulator.trace.words, by number.
RUNNING: Final = 0
IRQS_OFF: Final = 1
IDLE: Final = 2
PREEMPTED: Final = 3

#: Costs that are drawn for every IPI, in the order of their rows.
DRAWN: Final = ("enqueue", "inject", "deliver", "handler_entry", "handler_exit", "ack")
ENQUEUE: Final = 0
INJECT: Final = 1
DELIVER: Final = 2
ENTRY: Final = 3
EXIT_COST: Final = 4
ACK: Final = 5
COST_WORDS: Final = 5  # table offset (-1: no spread), mean by distance

# Spells: one row per class.
SPELL_IDLE: Final = 0
SPELL_PREEMPTED: Final = 1
SPELL_IRQS_OFF: Final = 2
FRAME: Final = 0
MEAN: Final = 1
LENGTH: Final = 2  # table offset; -1: the whole frame
KEY: Final = 3
THRESHOLD: Final = 4  # probability of a spell in a frame, times 2**63
SPELL_WORDS: Final = 5

# The machine, another flat int64 array: a header, then its idle states (exit, residency,
# polling each), costs, keys (the bits of unsigned numbers), spells, quantile tables, by CPU the
# phases of its spells, APIC ids, and the next CPU of its cluster (-1: none).
NR_CPUS: Final = 0
MODE: Final = 1
SHORTHAND: Final = 2
BASE_NS: Final = 3
SEND_NS: Final = 4
POLL_WAKE_NS: Final = 5
NR_IDLE_STATES: Final = 6
IDLE_STATES: Final = 7
PHASES: Final = 11
APIC: Final = 12
NEXT_IN_CLUSTER: Final = 13
START_KEY: Final = 14  # the purposes of a spell's start and length
LENGTH_KEY: Final = 15
# What every interrupt needs lies here itself: its place is a constant of the compiled code.
COST_KEYS: Final = 16
COSTS: Final = 22
SPELLS: Final = 52
LINE_NS: Final = 67  # the transfer of a cache line, by distance
MACHINE_WORDS: Final = 72

MODES: Final = ("x2apic_physical", "x2apic_cluster", "kvm_hypercall")
CLUSTER: Final = 1
HYPERCALL: Final = 2


class _Words:
    # Parts of a flat array, one after another behind a header.

    def __init__(self, header: int) -> None:
        self._parts: list[Int64s] = []
        self._length = header

    def add(self, values: Sequence[int] | Int64s) -> int:
        part = np.asarray(values, dtype=np.int64)
        offset = self._length
        self._parts.append(part)
        self._length += len(part)
        return offset

    def joined(self, header: Mapping[int, int]) -> Int64s:
        first = np.zeros(self._length - sum(map(len, self._parts)), dtype=np.int64)
        for word, value in header.items():
            first[word] = value
        return np.concatenate([first, *self._parts])


def _signed(key: int) -> int:
    # The int64 with the bits of an unsigned number.
    return key - (1 << 64) if key >= 1 << 63 else key


def flatten(platform: FlatPlatform) -> Int64s:
    """Return a platform as one flat array."""
    words = _Words(MACHINE_WORDS)
    offsets: dict[bytes, int] = {}

    def table(knots: Int64s | None) -> int:
        if knots is None:
            return -1
        # Equal tables share their cache lines.
        if knots.tobytes() not in offsets:
            offsets[knots.tobytes()] = words.add(knots)
        return offsets[knots.tobytes()]

    costs: list[int] = []
    keys: list[int] = []
    for name in DRAWN:
        cost = platform.costs[name]
        costs += [table(cost.spread), *cost.mean_fp]
        keys.append(_signed(fold(platform.key, cost.purpose)))
    spells: list[int] = []
    phases: list[int] = []
    for spell in (platform.spells.idle, platform.spells.preempted, platform.spells.irqs_off):
        if spell is None:
            spells += [1 << 62, 0, -1, 0, 0]  # one frame, of all time
            phases += [0] * platform.nr_cpus
        else:
            spells += [spell.frame_ns, spell.mean_fp, table(spell.length)]
            spells += [_signed(spell.key), _signed(spell.threshold)]
            phases += spell.phase_ns
    states: list[int] = []
    for state in platform.idle_states:
        states += [state.exit_ns, state.residency_ns, int(state.polling)]
    line = platform.costs["cache_line"]
    line_ns = [line.ns(distance=distance) for distance in range(len(line.mean_fp))]
    return words.joined(
        {
            IDLE_STATES: words.add(states),
            **dict(enumerate(costs, COSTS)),
            **dict(enumerate(keys, COST_KEYS)),
            **dict(enumerate(spells, SPELLS)),
            PHASES: words.add(phases),
            APIC: words.add(platform.apic_id),
            NEXT_IN_CLUSTER: words.add(_next_in_cluster(platform.apic_id)),
            NR_CPUS: platform.nr_cpus,
            MODE: MODES.index(platform.ipi_mode),
            SHORTHAND: int(platform.ipi_shorthand),
            BASE_NS: platform.costs["flush_base"].ns(),
            SEND_NS: platform.costs["send"].ns(),
            **dict(enumerate(line_ns, LINE_NS)),
            POLL_WAKE_NS: max(1, platform.costs["poll_wake"].ns()),
            NR_IDLE_STATES: len(platform.idle_states),
            START_KEY: _signed(purpose_of("spell start")),
            LENGTH_KEY: _signed(purpose_of("spell length")),
        }
    )


def new_state(nr_cpus: int, nr_slots: int, nr_told: int = 0) -> Int64s:
    """Return the state of CPUs that have done nothing, with room for the tasks of a phase."""
    words = _Words(HEADER_WORDS)
    rows = nr_slots * nr_cpus

    def zeros(length: int) -> int:
        return words.add(np.zeros(length, dtype=np.int64))

    cpus = np.zeros((nr_cpus, CPU_WORDS), dtype=np.int64)
    cpus[:, DRAIN] = -1
    return words.joined(
        {
            CPUS: words.add(cpus.reshape(-1)),
            ACK_HIST: zeros(NR_BUCKETS),
            HANDLER_HIST: zeros(NR_BUCKETS),
            EXECUTED: zeros(CALL_WORDS),
            ORDER: zeros(nr_cpus),
            BEGINS: zeros(nr_cpus),
            REG: words.add(np.full(rows, -1, dtype=np.int64)),
            ENQUEUED: zeros(rows),
            RELEASE: zeros(rows),
            SENT: zeros(rows),
            ACKED: zeros(rows),
            **{row: zeros(rows) for row in (SENT_NS, ARRIVED, STARTED, FOUND, READ_NS)},
            QUEUE: zeros(rows),
            CALLS: zeros(CALL_WORDS * nr_slots),
            UNRELEASED: zeros(nr_slots),
            WALKING: zeros(nr_slots),
            BY_TIME: zeros(nr_slots),
            AHEAD: zeros(nr_cpus),
            NEXT_KEY: NEVER,
            KEYS: words.add(np.full(2 * nr_slots, NEVER, dtype=np.int64)),
            TASKS: zeros(of.WORDS * nr_slots),
            NR_SLOTS: nr_slots,
            TOLD: zeros(TOLD_WORDS * nr_told),  # the last: only replays have any
        }
    )


def lines_in(state: Int64s, nr_cpus: int) -> Int64s:
    """Return the words of all CPUs, as [nr_cpus, CPU_WORDS]."""
    first = int(state[CPUS])
    return state[first : first + nr_cpus * CPU_WORDS].reshape(nr_cpus, CPU_WORDS)


def _next_in_cluster(apic_id: tuple[int, ...]) -> list[int]:
    following = [-1] * len(apic_id)
    last: dict[int, int] = {}
    for cpu, number in enumerate(apic_id):
        cluster = number >> 4  # x2APIC logical ids: 16 CPUs to a cluster
        if cluster in last:
            following[last[cluster]] = cpu
        last[cluster] = cpu
    return following
