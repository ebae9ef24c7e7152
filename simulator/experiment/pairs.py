# SPDX-License-Identifier: MIT
"""
Pairs: what can be compared
---------------------------

Replications of a scenario differ in nothing but the draws.  Replication *i* of
every scenario meets the same noise, so scenarios are compared in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from simulator.errors import InputError
from simulator.fields import MAX_REPLICATION, Between
from simulator.run import simulate
from simulator.scenario import Scenario
from simulator.trace.result import Result

__all__ = (
    "check_comparable",
    "check_replications",
    "simulate_all",
)

Progress = Callable[[], object]


def check_comparable(scenarios: Sequence[Scenario]) -> None:
    """Raise InputError unless scenarios can be compared in pairs."""
    if len(scenarios) < 2:
        raise InputError(f"compare: needs two scenarios or more, not {len(scenarios)}")
    first = scenarios[0]
    for name in ("seed", "phases"):
        for scenario in scenarios[1:]:
            if getattr(scenario, name) != getattr(first, name):
                raise InputError(f"compare: scenarios must have the same {name}")


def check_replications(replications: int) -> None:
    """Raise InputError unless there can be so many replications."""
    try:
        Between(1, MAX_REPLICATION + 1)(replications)
    except InputError as error:
        raise InputError(f"replications: {error}") from None


def simulate_all(
    scenarios: Iterable[Scenario], progress: Progress | None = None
) -> Iterator[Result]:
    """Yield the result of each scenario; ``progress`` is called after every simulation."""
    for scenario in scenarios:
        result = simulate(scenario)
        if progress is not None:
            progress()
        yield result
