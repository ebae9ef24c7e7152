# SPDX-License-Identifier: MIT
"""
A machine lowered to integers
-----------------------------

:func:`lower` turns a profile, a number of CPUs, a noise and a seed into flat
integer tables: what the engines and the kernel code ask for time.

Modelled: a cost is its mean in 1/1024 ns, times a drawn quantile where the
profile gives it a spread; the draw is keyed by what it describes.

Not modelled: costs that depend on one another or on the load.

Sources: the profile's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from simulator.draws import Uint64Array, base_key, fold, purpose_of, stream
from simulator.errors import InputError
from simulator.machine import tables
from simulator.machine.layout import Distance, distances, icr_writes, places
from simulator.machine.noise import Noise
from simulator.machine.noisy import NoisySpells, idle_frame, irqs_off_spells, preempted_spells
from simulator.machine.schema import Cost, CostByDistance, IdleState, IpiMode, Machine, Spread, Time
from simulator.machine.spells import Spells, SpellTable, spell_table

__all__ = ("Costs", "LoweredCost", "LoweredIdleState", "Platform", "lower")

Int64Array = npt.NDArray[np.int64]

_FP = 1024  # means are in 1/1024 ns
_DRAW_SHIFT = 26  # 1/1024 ns times 1/65536


class Multiples(dict[int, int]):
    """A cost in nanoseconds by how many of it there are, at the least distance."""

    def __init__(self, cost: LoweredCost) -> None:
        self._cost = cost

    def __missing__(self, n: int) -> int:
        ns = self[n] = self._cost.ns(n)
        return ns


@dataclass(frozen=True, eq=False)
class LoweredCost:
    """
    One cost.

    `mean_fp` holds its mean in 1/1024 ns by :class:`Distance`, four times the
    same where distance does not matter.  `spread` is the unit-mean quantile
    table, or None.  `times` has :meth:`ns` of the numbers that come again and again.
    """

    name: str
    mean_fp: tuple[int, int, int, int]
    spread: Int64Array | None
    purpose: int
    each_ns: int = field(init=False)  # the mean of one at the least distance, rounded
    times: Multiples = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "each_ns", self.ns())
        object.__setattr__(self, "times", Multiples(self))

    def ns(self, n: int = 1, distance: int = 0) -> int:
        """Return `n` times the mean in nanoseconds, rounded half up once."""
        return (self.mean_fp[distance] * n + _FP // 2) // _FP

    def rounded(self, mean_fp: Int64Array) -> Int64Array:
        """Return means in nanoseconds."""
        whole: Int64Array = (mean_fp + _FP // 2) // _FP
        return whole

    def draws(self, mean_fp: Int64Array, x: Uint64Array) -> Int64Array:
        """Return costs in nanoseconds: the means `mean_fp` spread by the 64-bit draws `x`."""
        if self.spread is None:
            return self.rounded(mean_fp)
        product = mean_fp * tables.draw(self.spread, x)
        return (product + (1 << (_DRAW_SHIFT - 1))) >> _DRAW_SHIFT


@dataclass(frozen=True, eq=False)
class Costs:
    """Every cost by its name; what each one is, :class:`simulator.machine.schema.Costs` says."""

    flush_base: LoweredCost
    enqueue: LoweredCost
    send: LoweredCost
    inject: LoweredCost
    deliver: LoweredCost
    handler_entry: LoweredCost
    handler_exit: LoweredCost
    poll_wake: LoweredCost
    invlpg: LoweredCost
    flush_full: LoweredCost
    refill_page: LoweredCost
    refill_full: LoweredCost
    sync_core: LoweredCost
    ack: LoweredCost
    cache_line: LoweredCost
    atomic: LoweredCost
    irq_save: LoweredCost
    mutex_wakeup: LoweredCost
    pte_page_fill: LoweredCost
    memory_near: LoweredCost
    memory_far: LoweredCost
    page_copy_hot: LoweredCost
    page_copy_near: LoweredCost
    page_copy_far: LoweredCost
    page_alloc: LoweredCost
    page_free: LoweredCost
    huge_alloc_2m: LoweredCost
    huge_free_2m: LoweredCost
    huge_alloc_1g: LoweredCost
    huge_free_1g: LoweredCost
    vmemmap_walk: LoweredCost
    pmd_check: LoweredCost
    pmd_split: LoweredCost
    set_pte: LoweredCost
    smp_wmb: LoweredCost
    synchronize_rcu: LoweredCost
    text_poke_site: LoweredCost
    cond_resched: LoweredCost
    pool_add: LoweredCost
    pool_remove: LoweredCost
    clear_hugetlb: LoweredCost

    def __getitem__(self, name: str) -> LoweredCost:
        cost: LoweredCost = getattr(self, name)
        return cost


@dataclass(frozen=True)
class LoweredIdleState:
    """One idle state: time to leave it, and the idle time from which it is chosen."""

    name: str
    exit_ns: int
    residency_ns: int
    polling: bool


@dataclass(frozen=True, eq=False)
class Platform:
    """The machine of one simulation, see :func:`lower`."""

    nr_cpus: int
    nr_nodes: int
    node_of: tuple[int, ...]
    socket_of: tuple[int, ...]
    apic_id: tuple[int, ...]
    node_memory_bytes: int
    llc_bytes: int
    outstanding_lines: int
    distance: npt.NDArray[np.int8]
    costs: Costs
    spells: Spells
    idle_states: tuple[LoweredIdleState, ...]
    ipi_mode: IpiMode
    ipi_shorthand: bool
    key: int

    def ipi_draws(self, name: str, initiator: int, flush: int) -> Int64Array:
        """
        Return the cost `name` from `initiator` to every CPU in its flush number `flush`.

        Nanoseconds by CPU; the initiator's own entry means nothing.
        """
        cost = self.costs[name]
        mean_fp = np.array(cost.mean_fp, dtype=np.int64)[self.distance[initiator]]
        if cost.spread is None:
            return cost.rounded(mean_fp)
        x = stream(fold(self.key, cost.purpose, initiator, flush), 0, self.nr_cpus)
        return cost.draws(mean_fp, x)

    def work_draws(self, name: str, first_item: int, count: int) -> Int64Array:
        """Return the cost `name` of the items from `first_item` on, in nanoseconds."""
        cost = self.costs[name]
        mean_fp = np.full(count, cost.mean_fp[Distance.CORE], dtype=np.int64)
        return cost.draws(mean_fp, stream(fold(self.key, cost.purpose), first_item, count))

    def idle_state(self, idle_for_ns: int) -> LoweredIdleState:
        """Return the deepest state whose residency fits into `idle_for_ns`, or the first."""
        found = self.idle_states[0]
        for state in self.idle_states:
            if state.residency_ns <= idle_for_ns:
                found = state
        return found

    def icr_writes(self, initiator: int, cpus: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Return the destinations of each interrupt-controller write or hypercall."""
        all_others = len(cpus) == self.nr_cpus - 1 and initiator not in cpus
        if self.ipi_shorthand and all_others and cpus:
            return (tuple(sorted(cpus)),)
        return icr_writes(self.ipi_mode, self.apic_id, cpus)


def lower(machine: Machine, nr_cpus: int, noise: Noise, seed: int, replication: int) -> Platform:
    """
    Return the integer tables of a machine's first `nr_cpus` CPUs.

    NUMA nodes and memory remain those of the whole machine.
    """
    if not 1 <= nr_cpus <= machine.nr_cpus:
        raise InputError(
            f"cpus: {nr_cpus} is not 1 to {machine.nr_cpus}, the CPUs of {machine.name}"
        )
    for name, value in (("seed", seed), ("replication", replication)):
        if not 0 <= value < 2**63:
            raise InputError(f"{name}: {value} is not 0 to 2**63 - 1")
    key = base_key(seed, replication)
    at = places(machine.topology, nr_cpus)
    return Platform(
        nr_cpus=nr_cpus,
        nr_nodes=machine.nr_nodes,
        socket_of=tuple(place.socket for place in at),
        node_of=tuple(place.node for place in at),
        apic_id=tuple(place.apic_id for place in at),
        node_memory_bytes=int(machine.memory.node_memory.exact_bytes),
        llc_bytes=int(machine.memory.last_level_cache.exact_bytes),
        outstanding_lines=machine.memory.outstanding_lines.value,
        distance=distances(machine.topology, at),
        costs=Costs(
            **{f.name: _cost(f.name, getattr(machine.costs, f.name)) for f in fields(Costs)}
        ),
        spells=_spells(machine, nr_cpus, noise, key),
        idle_states=tuple(_idle_state(state) for state in machine.idle_states),
        ipi_mode=machine.ipi.mode.value,
        ipi_shorthand=machine.ipi.shorthand.value,
        key=key,
    )


def _cost(name: str, cost: Cost | CostByDistance) -> LoweredCost:
    table: Int64Array | None = None
    if isinstance(cost, CostByDistance):
        given = [_fixed(time) for time in cost.times()]
        # Distances that the machine has not repeat the farthest one it has.
        core, socket, hop1, hop2 = given + [given[-1]] * (4 - len(given))
        if cost.spread is not None:
            table = _spread(cost.spread)
    else:
        core = socket = hop1 = hop2 = _fixed(cost)
        if cost.spread is not None:
            table = _spread(cost.spread)
        elif cost.quantiles is not None:
            table = tables.from_quantiles(cost.quantiles)
    if table is not None and max(core, socket, hop1, hop2) * int(table[-1]) >= 2**62:
        raise InputError(f"costs.{name}: its spread reaches beyond what can be drawn")
    return LoweredCost(name, (core, socket, hop1, hop2), table, purpose_of(f"cost {name}"))


def _spread(spread: Spread) -> Int64Array:
    if spread.family == "lognormal":
        return tables.lognormal(spread.size)
    return tables.gamma(spread.size)


def _fixed(time: Time) -> int:
    return _half_up(time.exact_ns * _FP)


def _half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def _idle_state(state: IdleState) -> LoweredIdleState:
    return LoweredIdleState(
        name=state.name,
        exit_ns=_half_up(state.exit_latency.exact_ns),
        residency_ns=_half_up(state.residency.exact_ns),
        polling=state.polling,
    )


def _spells(machine: Machine, nr_cpus: int, noise: Noise, key: int) -> Spells:
    def timed(spells: NoisySpells) -> SpellTable:
        return spell_table(
            spells.name,
            spells.share,
            _half_up(spells.frame_ns),
            _half_up(spells.mean_ns * _FP),
            tables.from_quantiles(spells.points),
            nr_cpus,
            key,
            spells.what,
        )

    preempted = preempted_spells(machine, noise)
    idle_frame_ns = _half_up(idle_frame(machine, noise))
    return Spells(
        preempted=None if preempted is None else timed(preempted),
        irqs_off=timed(irqs_off_spells(machine, noise)),
        idle=spell_table("idle", noise.idle_share, idle_frame_ns, 0, None, nr_cpus, key),
    )
