# SPDX-License-Identifier: MIT
"""
How long an experiment will take
--------------------------------

Measured where it will run: a few folios of each kernel are simulated, and what
a run costs by itself and for each folio is taken from them. Nobody's results
depend on it; it decides what a user is told, how many scenarios go into one task
and whether other processes are worth their start.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulator.experiment.cell import simulate_cell
from simulator.scenario import Scenario

__all__ = ("LITTLE_FOLIOS", "Pace", "expected_seconds", "measured_pace", "size_of")

# So few folios take a few seconds; to measure how many would take as long.
LITTLE_FOLIOS = 1 << 13

# What a run costs that does not depend on its folios, in folios: about 20 ms of 0.1 ms each.
_RUN_FOLIOS = 200
_PROBES = (64, 512)
_MOST_PROBED = 4


def size_of(scenario: Scenario) -> int:
    """Return how much there is to do, in folios of one phase; only ratios mean something."""
    folios = scenario.pages * len(scenario.phases)
    # Every CPU is a process of its own there.
    return _RUN_FOLIOS + folios * (scenario.nr_cpus if scenario.engine == "events" else 1)


@dataclass(frozen=True)
class Pace:
    """Seconds for a run by itself and for one folio in one phase, the slowest that was seen."""

    run_s: float
    folio_s: float

    def seconds(self, scenarios: Iterable[Scenario]) -> float:
        """Return how long scenarios take one after another."""
        return sum(self.run_s + self.folio_s * (size_of(s) - _RUN_FOLIOS) for s in scenarios)


def measured_pace(scenarios: Sequence[Scenario]) -> Pace:
    """Return the pace of scenarios, from short runs of a few that differ in their kernel."""
    by_kernel = {s.kernel_class.name: s for s in sorted(scenarios, key=size_of)}
    paces = []
    for scenario in list(by_kernel.values())[:_MOST_PROBED]:
        placement = "aligned" if scenario.placement != "random" else "random"
        few, many = (
            scenario.replace(pages=max(n, scenario.allocators), placement=placement)
            for n in (min(n, scenario.pages) for n in _PROBES)
        )
        # The first run compiles.
        _seconds(few)
        short = _seconds(few)
        extra = size_of(many) - size_of(few)
        folio_s = max(0.0, _seconds(many) - short) / extra if extra else 0.0
        paces.append(Pace(short, folio_s))
    return Pace(max(p.run_s for p in paces), max(p.folio_s for p in paces))


def expected_seconds(scenarios: Sequence[Scenario], replications: int, jobs: int) -> float | None:
    """Return how long replications of scenarios take; None if a few seconds, whatever it is."""
    if sum(map(size_of, scenarios)) * replications < LITTLE_FOLIOS:
        return None
    return measured_pace(scenarios).seconds(scenarios) * replications / jobs


def _seconds(scenario: Scenario) -> float:
    begin = time.perf_counter()
    simulate_cell(scenario)
    return time.perf_counter() - begin
