# SPDX-License-Identifier: MIT
"""
A machine as integers
---------------------

:func:`lower` turns a profile, a number of CPUs, a noise and a seed into flat
integer tables: what the engines and the kernel code ask for time.

Modelled: a draw is keyed by what it describes, see :mod:`simulator.draws`.

Sources: the profile's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import floor

import numpy as np
import numpy.typing as npt

from simulator.draws import base_key, fold, purpose_of, stream
from simulator.errors import InputError
from simulator.machine.distances import Distance
from simulator.machine.lowered import quantiles
from simulator.machine.lowered.costs import (
    FP,
    LoweredCost,
    LoweredCosts,
    half_up,
    lower_costs,
)
from simulator.machine.lowered.mechanisms import LoweredMechanism, lower_mechanisms
from simulator.machine.lowered.spells import SpellClass, Spells, spell_class
from simulator.machine.lowered.topology import Place, distances, icr_writes, places
from simulator.machine.model import Machine
from simulator.machine.noise import Noise
from simulator.machine.noisy import (
    NoisySpells,
    idle_frame,
    idle_guesses,
    irqs_off_layers,
    preempted_layers,
)
from simulator.machine.schema import IdleState, IpiMode, Topology

__all__ = ("LoweredIdleState", "Platform", "lower")

Int64Array = npt.NDArray[np.int64]

_GUESS_BITS = 10
_GUESS_SHIFT = 58  # of 64 equally likely guesses


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

    isa: str
    nr_cpus: int
    nr_nodes: int
    node_of: tuple[int, ...]
    socket_of: tuple[int, ...]
    cache_of: tuple[int, ...]
    apic_id: tuple[int, ...]
    node_memory_bytes: int
    llc_bytes: int
    outstanding_lines: int
    distance: npt.NDArray[np.int8]
    costs: LoweredCosts
    spells: Spells
    idle_states: tuple[LoweredIdleState, ...]
    guess_fp: tuple[int, ...]
    guess_key: int
    ipi_mode: IpiMode
    ipi_shorthand: bool
    mechanisms: Mapping[str, LoweredMechanism]
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

    def flush_draw(self, cost: LoweredCost, initiator: int, flush: int) -> int:
        """Return a cost of a mechanism in one flush of an initiator, in nanoseconds."""
        if cost.spread is None:
            return cost.each_ns
        mean_fp = np.array(cost.mean_fp[:1], dtype=np.int64)
        x = stream(fold(self.key, cost.purpose, initiator, flush), 0, 1)
        return int(cost.draws(mean_fp, x)[0])

    def work_draws(self, name: str, first_item: int, count: int) -> Int64Array:
        """Return the cost `name` of the items from `first_item` on, in nanoseconds."""
        cost = self.costs[name]
        mean_fp = np.full(count, cost.mean_fp[Distance.CORE], dtype=np.int64)
        return cost.draws(mean_fp, stream(fold(self.key, cost.purpose), first_item, count))

    def idle_state(self, idle_for_ns: int, cpu: int = 0, since_ns: int = 0) -> LoweredIdleState:
        """
        Return the deepest state whose residency fits into `idle_for_ns`, or the first.

        Into what the governor takes it for, which is drawn once for an idle time of a CPU.
        """
        if self.guess_fp:
            x = fold(self.guess_key, since_ns, cpu)
            idle_for_ns = idle_for_ns * self.guess_fp[x >> _GUESS_SHIFT] >> _GUESS_BITS
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
    at, distance = _layout(machine.topology, nr_cpus)
    return Platform(
        isa=machine.isa,
        nr_cpus=nr_cpus,
        nr_nodes=machine.nr_nodes,
        socket_of=tuple(place.socket for place in at),
        cache_of=tuple(place.cache for place in at),
        node_of=tuple(place.node for place in at),
        apic_id=tuple(place.apic_id for place in at),
        node_memory_bytes=int(machine.memory.node_memory.exact_bytes),
        llc_bytes=int(machine.memory.last_level_cache.exact_bytes),
        outstanding_lines=machine.memory.outstanding_lines.value,
        distance=distance,
        costs=lower_costs(machine.costs),
        spells=_spells(machine, nr_cpus, noise, key),
        idle_states=tuple(_idle_state(state) for state in machine.idle_states),
        guess_fp=_guesses(noise),
        guess_key=fold(key, purpose_of("idle guess")),
        ipi_mode=machine.ipi.mode.value,
        ipi_shorthand=machine.ipi.shorthand.value,
        mechanisms=lower_mechanisms(machine.mechanisms),
        key=key,
    )


# Few: of 4096 CPUs, the distances are 16 MB.
@lru_cache(maxsize=4)
def _layout(topology: Topology, nr_cpus: int) -> tuple[tuple[Place, ...], npt.NDArray[np.int8]]:
    at = places(topology, nr_cpus)
    return at, distances(topology, at)


def _guesses(noise: Noise) -> tuple[int, ...]:
    # What the governor takes an idle time for, in 1/1024 of it; none: as it is.
    return tuple(floor(factor * (1 << _GUESS_BITS) + 0.5) for factor in idle_guesses(noise))


def _idle_state(state: IdleState) -> LoweredIdleState:
    return LoweredIdleState(
        name=state.name,
        exit_ns=half_up(state.exit_latency.exact_ns),
        residency_ns=half_up(state.residency.exact_ns),
        polling=state.polling,
    )


def _spells(machine: Machine, nr_cpus: int, noise: Noise, key: int) -> Spells:
    preempted, irqs_off, idle = (
        tuple(spells.of(nr_cpus, key) for spells in layers)
        for layers in _spell_classes(machine, noise)
    )
    return Spells(
        preempted=preempted[0] if preempted else None,
        irqs_off=irqs_off[0],
        more_off=irqs_off[1:],
        more_preempted=preempted[1:],
        idle=idle[0],
    )


# Replications have the same ones, each with a key of its own.
@lru_cache(maxsize=16)
def _spell_classes(machine: Machine, noise: Noise) -> tuple[tuple[SpellClass, ...], ...]:
    def timed(spells: NoisySpells) -> SpellClass:
        return spell_class(
            spells.name,
            spells.share,
            half_up(spells.frame_ns),
            half_up(spells.mean_ns * FP),
            quantiles.from_quantiles(spells.points),
            spells.what,
        )

    idle_frame_ns = half_up(idle_frame(machine, noise))
    return (
        tuple(map(timed, preempted_layers(machine, noise))),
        tuple(map(timed, irqs_off_layers(machine, noise))),
        (spell_class("idle", noise.idle_share, idle_frame_ns, 0, None),),
    )
