# SPDX-License-Identifier: MIT
"""
The work
--------

What every implementation carries out: tasks that flush in a loop, a range of 8
pages each time, with a fixed time to think in between; every other CPU answers.
Same machine, draws, rules and histograms for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from simulator.draws import mix64_array
from simulator.engine.calls import Call
from simulator.machine import Machine, Platform, load_machine, load_noise, lower

__all__ = ("Implementation", "Int64s", "Outcome", "Prepared", "Work", "checksum", "differences")

Int64s = npt.NDArray[np.int64]

PAGES = 8
THINK_NS = 20_000


@dataclass(frozen=True)
class Work:
    """``flushes`` of each of ``tasks`` on the first ``cpus`` CPUs of a machine."""

    machine: str
    cpus: int
    tasks: int
    flushes: int
    noise: str = "quiet"
    seed: int = 1

    @property
    def platform(self) -> Platform:
        """The machine, lowered; one larger than its profile where it must be."""
        return _platform(self.machine, self.cpus, self.noise, self.seed)

    @property
    def task_cpus(self) -> tuple[int, ...]:
        """The CPUs that the tasks run on, ascending."""
        return tuple(i * self.cpus // self.tasks for i in range(self.tasks))

    @property
    def call(self) -> Call:
        """What a flush runs on every CPU."""
        costs = self.platform.costs
        run_ns, refill_ns = costs.invlpg.ns(PAGES), costs.refill_page.ns(PAGES)
        return Call("remap", "range", "do_kernel_range_flush", PAGES, run_ns, refill_ns)

    @property
    def csds(self) -> int:
        """Calls on other CPUs; each has an interrupt of its own unless it finds company."""
        return self.tasks * self.flushes * (self.cpus - 1)


@dataclass(frozen=True)
class Outcome:
    """
    What an implementation found out.

    ``latency_ns`` by task and flush; the rest by CPU, or counts by bucket.
    ``releases`` is a checksum over the times at which every csd was released,
    None where it was not asked for.
    """

    latency_ns: Int64s
    handler_ns: Int64s
    refill_ns: Int64s
    idle_woken: Int64s
    irqs_off_delay_ns: Int64s
    ack: Int64s
    handler: Int64s
    releases: int | None


@dataclass(frozen=True)
class Prepared:
    """Work that is ready to run: only ``run`` is timed."""

    run: Callable[[], object]
    outcome: Callable[[], Outcome]


class Implementation(Protocol):
    """One way to carry out the work."""

    name: str
    #: Calls on other CPUs that take it a tenth of a second or so.
    csds: int
    max_tasks: int

    def missing(self) -> str:
        """Return what it lacks to run here, or nothing."""

    def prepare(self, work: Work, *, checked: bool) -> Prepared:
        """Make ready; ``checked`` asks for the checksum over all releases."""


def checksum(initiator: Int64s, nth: Int64s, cpu: Int64s, release_ns: Int64s) -> int:
    """Return a sum over all csds, in any order, modulo 2**64."""
    which = (nth << 24 | initiator << 12 | cpu).astype(np.uint64)
    terms = mix64_array(mix64_array(which) + release_ns.astype(np.uint64))
    return int(np.add.reduce(terms, dtype=np.uint64))


def differences(one: Outcome, other: Outcome) -> list[str]:
    """Return the names of what two implementations do not agree on."""
    found = []
    for name in Outcome.__dataclass_fields__:
        a, b = getattr(one, name), getattr(other, name)
        if name == "releases" and (a is None or b is None):
            continue
        if not np.array_equal(a, b):
            found.append(name)
    return found


@lru_cache(maxsize=64)
def _platform(machine: str, cpus: int, noise: str, seed: int) -> Platform:
    model = load_machine(machine)
    return lower(_grown(model, cpus), cpus, load_noise(noise), seed, 0)


def _grown(model: Machine, cpus: int) -> Machine:
    # More cores on each socket until there are CPUs enough.
    if cpus <= model.nr_cpus:
        return model
    topology = model.topology
    per_core = topology.sockets.value * topology.threads_per_core.value
    cores = -(-cpus // per_core)
    return model.with_values(
        {"topology.cores_per_socket": cores, "topology.cpus": cores * per_core}
    )
