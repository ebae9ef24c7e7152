# SPDX-License-Identifier: MIT
"""
Where everything lies in the flat arrays
----------------------------------------

Compiled code sees the machine and the lazy CPUs as a few flat arrays.  This
module names the offsets and fills the arrays that do not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from simulator.machine import Platform

__all__ = ("DRAWN", "Machine", "flatten")

Int64s = npt.NDArray[np.int64]
Uint64s = npt.NDArray[np.uint64]

# One CPU: two cache lines. What it is doing ...
BUSY_UNTIL: Final = 0  # end of its last finished handler
ARRIVE: Final = 1  # when the interrupt of its handler came
QUEUED: Final = 2  # csds that are not known to be taken yet
DRAIN: Final = 3  # when its handler takes the list; -1: not known
TAIL: Final = 4  # when the last csd of the list is released
START: Final = 5  # when that handler starts
EXIT: Final = 6  # what leaving it costs
REFILL: Final = 7  # what the CPU loses after it
# ... and what has come together in this phase.
IPIS: Final = 8
HANDLER_NS: Final = 9
REFILL_NS: Final = 10
LOST_NS: Final = 11
IDLE_WOKEN: Final = 12
IRQS_OFF_DELAY_NS: Final = 13
STATE: Final = 14  # in which that interrupt found it, of STATES
EAGER: Final = 15  # it has a task: its handlers are real events
CPU_WORDS: Final = 16

# STATES of simulator.trace.recorder, by number.
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
# What is kept of an IPI in detail, beside its times of enqueue, release and acknowledgement.
SEEN_SEND: Final = 0
SEEN_ARRIVE: Final = 1
SEEN_START: Final = 2
SEEN_STATE: Final = 3
SEEN_WORDS: Final = 4
COST_WORDS: Final = 5  # table offset (-1: no spread), mean by distance

# Spells: one row per class.
SPELL_IDLE: Final = 0
SPELL_PREEMPTED: Final = 1
SPELL_IRQS_OFF: Final = 2
FRAME: Final = 0
MEAN: Final = 1
LENGTH: Final = 2  # table offset; -1: the whole frame
SPELL_WORDS: Final = 3

# The machine's numbers, before its idle states (exit, residency, polling each).
NR_CPUS: Final = 0
MODE: Final = 1
SHORTHAND: Final = 2
BASE_NS: Final = 3
SEND_NS: Final = 4
POLL_WAKE_NS: Final = 5
NR_IDLE_STATES: Final = 6
IDLE_STATES: Final = 7

MODES: Final = ("x2apic_physical", "x2apic_cluster", "kvm_hypercall")


@dataclass(frozen=True, eq=False)
class Machine:
    """
    A machine as flat arrays.

    ``numbers``; ``costs`` [len(DRAWN) * COST_WORDS] in 1/1024 ns; ``keys``: one
    per drawn cost, then (class key, threshold) per spell class, then the two
    purposes of a spell; ``spells``; ``tables``: all quantile tables in a row;
    ``phases`` [3 * nr_cpus]; ``distance`` [nr_cpus * nr_cpus]; ``apic``: the ids,
    then by CPU the next one in its cluster (-1: none).
    """

    numbers: Int64s
    costs: Int64s
    keys: Uint64s
    spells: Int64s
    tables: Int64s
    phases: Int64s
    distance: npt.NDArray[np.int8]
    apic: Int64s

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The arrays, in the order in which compiled functions take them."""
        return (
            self.numbers,
            self.costs,
            self.keys,
            self.spells,
            self.tables,
            self.phases,
            self.distance,
            self.apic,
        )


class _Tables:
    # Quantile tables, one after another.

    def __init__(self) -> None:
        self._parts: list[Int64s] = [np.zeros(1, dtype=np.int64)]
        self._length = 1

    def add(self, table: Int64s | None) -> int:
        if table is None:
            return -1
        offset = self._length
        self._parts.append(table)
        self._length += len(table)
        return offset

    def joined(self) -> Int64s:
        return np.concatenate(self._parts)


def flatten(platform: Platform) -> Machine:
    """Return a platform as flat arrays."""
    from simulator.machine.draws import fold, purpose_of

    tables = _Tables()
    costs: list[int] = []
    keys: list[int] = []
    for name in DRAWN:
        cost = platform.costs[name]
        costs += [tables.add(cost.spread), *cost.mean_fp]
        keys.append(fold(platform.key, cost.purpose))
    spells: list[int] = []
    phases: list[int] = []
    for spell in (platform.spells.idle, platform.spells.preempted, platform.spells.irqs_off):
        if spell is None:
            spells += [1, 0, -1]
            phases += [0] * platform.nr_cpus
            keys += [0, 0]
            continue
        spells += [spell.frame_ns, spell.mean_fp, tables.add(spell.length)]
        phases += spell.phase_ns
        keys += [spell.key, spell.threshold]
    keys += [purpose_of("spell start"), purpose_of("spell length")]
    numbers = [
        platform.nr_cpus,
        MODES.index(platform.ipi_mode),
        int(platform.ipi_shorthand),
        platform.costs["flush_base"].ns(),
        platform.costs["send"].ns(),
        platform.costs["poll_wake"].ns(),
        len(platform.idle_states),
    ]
    for state in platform.idle_states:
        numbers += [state.exit_ns, state.residency_ns, int(state.polling)]
    return Machine(
        numbers=np.array(numbers, dtype=np.int64),
        costs=np.array(costs, dtype=np.int64),
        keys=np.array(keys, dtype=np.uint64),
        spells=np.array(spells, dtype=np.int64),
        tables=tables.joined(),
        phases=np.array(phases, dtype=np.int64),
        distance=np.ascontiguousarray(platform.distance).reshape(-1),
        apic=np.array([*platform.apic_id, *_next_in_cluster(platform.apic_id)], dtype=np.int64),
    )


def _next_in_cluster(apic_id: tuple[int, ...]) -> list[int]:
    following = [-1] * len(apic_id)
    last: dict[int, int] = {}
    for cpu, number in enumerate(apic_id):
        cluster = number >> 4  # x2APIC logical ids: 16 CPUs to a cluster
        if cluster in last:
            following[last[cluster]] = cpu
        last[cluster] = cpu
    return following
