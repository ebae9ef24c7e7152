# SPDX-License-Identifier: MIT
"""
The machine, flat
-----------------

What the compiled engine asks of a machine beyond
:class:`simulator.engine.platform.Platform`, the numbers themselves, and the array
``m`` that it makes of them: the words of :data:`M`, and behind them idle states,
quantile tables, and by CPU what differs between CPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from simulator.draws import fold, purpose_of
from simulator.engine.compiled.flat.words import FlatArray, Int64s, places
from simulator.engine.platform import NR_DISTANCES, Cost, IdleState, Platform, Spells

__all__ = (
    "COST", "COSTS", "IDLE_STATE", "M", "MODE", "SPELL", "SPELLS", "FlatPlatform", "SpellTable",
    "flatten",
)  # fmt: skip


class CostNames(NamedTuple):
    """Costs that are drawn for every IPI, in the order of their rows."""

    enqueue: int
    inject: int
    deliver: int
    handler_entry: int
    handler_exit: int
    ack: int


class CostWords(NamedTuple):
    """A row of ``M.costs``: offsets of quantile tables (-1: no spread), and means by distance."""

    table: int
    mean_fp: int
    coarse: int
    words: int


class SpellNames(NamedTuple):
    """Classes of spells, in the order of their rows."""

    idle: int
    preempted: int
    irqs_off: int


class SpellWords(NamedTuple):
    """A row of ``M.spells``."""

    frame_ns: int
    mean_fp: int
    length: int  # the offset of a quantile table; -1: the whole frame
    key: int
    threshold: int  # probability of a spell in a frame, times 2**63
    words: int


class IdleStateWords(NamedTuple):
    """A row of ``M.idle_states``."""

    exit_ns: int
    residency_ns: int
    polling: int
    words: int


class Modes(NamedTuple):
    """How interrupts are sent, ``FlatPlatform.ipi_mode``."""

    x2apic_physical: int
    x2apic_cluster: int
    kvm_hypercall: int
    per_cpu: int  # one write each, as x2apic_physical


class MachineWords(NamedTuple):
    """The machine: numbers, and the offsets of what lies behind them."""

    nr_cpus: int
    mode: int  # of MODE
    shorthand: int
    base_ns: int
    send_ns: int
    send_return_ns: int
    contention_ns: int
    poll_wake_ns: int
    nr_idle_states: int
    idle_states: int  # offset of rows of IDLE_STATE
    guesses: int  # offset of what the governor takes an idle time for; -1: for what it is
    guess_key: int
    phases: int  # offset of the phases of spells, for each class by CPU
    apic: int  # offset of APIC ids by CPU
    next_in_cluster: int  # offset of the next CPU of the same cluster by CPU; -1: none
    nr_more_off: int  # further classes of spells with interrupts off:
    more_off: int  # offset of rows of SPELL,
    more_off_phases: int  # and of their phases, for each class by CPU
    nr_more_preempted: int  # and the same of preempted vCPUs
    more_preempted: int
    more_preempted_phases: int
    start_key: int  # the purposes of a spell's start ...
    length_key: int  # ... and length; keys are the bits of unsigned numbers
    # What every interrupt needs lies here itself: its place is a constant of the compiled code.
    cost_keys: int  # by COSTS
    costs: int  # rows of COST by COSTS
    spells: int  # rows of SPELL by SPELLS
    line_ns: int  # the transfer of a cache line, by distance
    words: int


COSTS: Final = CostNames(*places(CostNames._fields))
COST: Final = CostWords(*places(CostWords._fields, mean_fp=NR_DISTANCES))
SPELLS: Final = SpellNames(*places(SpellNames._fields))
SPELL: Final = SpellWords(*places(SpellWords._fields))
IDLE_STATE: Final = IdleStateWords(*places(IdleStateWords._fields))
MODE: Final = Modes(*places(Modes._fields))
M: Final = MachineWords(
    *places(
        MachineWords._fields,
        rounded=8,
        cost_keys=len(COSTS),
        costs=len(COSTS) * COST.words,
        spells=len(SPELLS) * SPELL.words,
        line_ns=NR_DISTANCES,
    )
)


class FlatCost(Cost, Protocol):
    """A cost with its mean by distance (1/1024 ns) and the quantiles of its spread."""

    @property
    def mean_fp(self) -> tuple[int, ...]: ...
    @property
    def spread(self) -> Int64s | None: ...
    @property
    def purpose(self) -> int: ...


class FlatCosts(Protocol):
    """Every cost, by name."""

    def __getitem__(self, name: str) -> FlatCost: ...


class FlatIdleState(IdleState, Protocol):
    """A C-state with the idle time from which it is chosen."""

    @property
    def residency_ns(self) -> int: ...


class SpellTable(Protocol):
    """A class of spells."""

    @property
    def key(self) -> int: ...
    @property
    def frame_ns(self) -> int: ...
    @property
    def threshold(self) -> int: ...
    @property
    def mean_fp(self) -> int: ...
    @property
    def length(self) -> Int64s | None: ...
    @property
    def phase_ns(self) -> tuple[int, ...]: ...


class FlatSpells(Spells, Protocol):
    """The classes of spells; None where the machine has none."""

    @property
    def idle(self) -> SpellTable: ...
    @property
    def preempted(self) -> SpellTable | None: ...
    @property
    def irqs_off(self) -> SpellTable: ...
    @property
    def more_off(self) -> Sequence[SpellTable]: ...
    @property
    def more_preempted(self) -> Sequence[SpellTable]: ...


class FlatPlatform(Platform, Protocol):
    """A machine whose numbers can be read."""

    @property
    def key(self) -> int: ...
    @property
    def apic_id(self) -> tuple[int, ...]: ...
    @property
    def ipi_mode(self) -> str: ...
    @property
    def ipi_shorthand(self) -> bool: ...
    @property
    def idle_states(self) -> tuple[FlatIdleState, ...]: ...
    @property
    def guess_fp(self) -> tuple[int, ...]: ...
    @property
    def guess_key(self) -> int: ...
    @property
    def costs(self) -> FlatCosts: ...
    @property
    def spells(self) -> FlatSpells: ...


def flatten(platform: FlatPlatform) -> Int64s:
    """Return a platform as one flat array."""
    array = FlatArray(M.words)
    offsets: dict[bytes, int] = {}

    def table(knots: Int64s | None) -> int:
        if knots is None:
            return -1
        # Equal tables share their cache lines.
        if knots.tobytes() not in offsets:
            offsets[knots.tobytes()] = array.add(knots)
        return offsets[knots.tobytes()]

    def coarse(knots: Int64s | None) -> int:
        return -1 if knots is None else table(_coarse(knots))

    def words(spell: SpellTable) -> list[int]:
        numbers = [spell.frame_ns, spell.mean_fp, table(spell.length)]
        return [*numbers, _signed(spell.key), _signed(spell.threshold)]

    def rows(spells: Sequence[SpellTable]) -> int:
        return array.add([word for spell in spells for word in words(spell)])

    def phases_of(spells: Sequence[SpellTable]) -> int:
        return array.add([ns for spell in spells for ns in spell.phase_ns])

    costs: list[int] = []
    keys: list[int] = []
    for name in COSTS._fields:
        cost = platform.costs[name]
        costs += [table(cost.spread), *cost.mean_fp, coarse(cost.spread)]
        keys.append(_signed(fold(platform.key, cost.purpose)))
    spells: list[int] = []
    phases: list[int] = []
    for name in SPELLS._fields:
        spell: SpellTable | None = getattr(platform.spells, name)
        if spell is None:
            spells += [1 << 62, 0, -1, 0, 0]  # one frame, of all time
            phases += [0] * platform.nr_cpus
        else:
            spells += words(spell)
            phases += spell.phase_ns
    more_off, more_preempted = platform.spells.more_off, platform.spells.more_preempted
    states: list[int] = []
    for state in platform.idle_states:
        states += [state.exit_ns, state.residency_ns, int(state.polling)]
    line = platform.costs["cache_line"]
    line_ns = [line.ns(distance=distance) for distance in range(NR_DISTANCES)]
    return array.joined(
        {
            M.nr_cpus: platform.nr_cpus,
            M.mode: MODE._fields.index(platform.ipi_mode),
            M.shorthand: int(platform.ipi_shorthand),
            M.base_ns: platform.costs["flush_base"].ns(),
            M.send_ns: platform.costs["send"].ns(),
            M.send_return_ns: platform.costs["send_return"].ns(),
            M.contention_ns: platform.costs["contention"].ns(),
            M.poll_wake_ns: max(1, platform.costs["poll_wake"].ns()),
            M.nr_idle_states: len(platform.idle_states),
            M.idle_states: array.add(states),
            M.guesses: array.add(platform.guess_fp) if platform.guess_fp else -1,
            M.guess_key: _signed(platform.guess_key),
            M.phases: array.add(phases),
            M.nr_more_off: len(more_off),
            M.more_off: rows(more_off),
            M.more_off_phases: phases_of(more_off),
            M.nr_more_preempted: len(more_preempted),
            M.more_preempted: rows(more_preempted),
            M.more_preempted_phases: phases_of(more_preempted),
            M.apic: array.add(platform.apic_id),
            M.next_in_cluster: array.add(_next_in_cluster(platform.apic_id)),
            M.start_key: _signed(purpose_of("spell start")),
            M.length_key: _signed(purpose_of("spell length")),
            **dict(enumerate(keys, M.cost_keys)),
            **dict(enumerate(costs, M.costs)),
            **dict(enumerate(spells, M.spells)),
            **dict(enumerate(line_ns, M.line_ns)),
        }
    )


def _coarse(knots: Int64s) -> Int64s:
    # All bins but the last, which is split: where each begins and how far it goes, in one word.
    # Of a distribution whose mean is 65536, no quantile below 1 - 1/1024 has more than 26 bits.
    bins = np.zeros(1024, dtype=np.int64)
    bins[:-1] = (knots[:1023] << 32) + np.diff(knots[:1024])
    return bins


def _signed(key: int) -> int:
    # The int64 with the bits of an unsigned number.
    return key - (1 << 64) if key >= 1 << 63 else key


def _next_in_cluster(apic_id: tuple[int, ...]) -> list[int]:
    following = [-1] * len(apic_id)
    last: dict[int, int] = {}
    for cpu, number in enumerate(apic_id):
        cluster = number >> 4  # x2APIC logical ids: 16 CPUs to a cluster
        if cluster in last:
            following[last[cluster]] = cpu
        last[cluster] = cpu
    return following
