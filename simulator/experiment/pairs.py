# SPDX-License-Identifier: MIT
"""
Pairs: scenarios run several times
----------------------------------

Replications of a scenario differ in nothing but the draws.  Replication *i* of
every scenario meets the same noise, so scenarios are compared in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.fields import MAX_REPLICATION, Between
from simulator.run import simulate
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from simulator.analysis.compare import Comparison
    from simulator.trace.result import Result

__all__ = (
    "check_comparable",
    "check_replications",
    "compare",
    "compared",
    "replicate",
    "simulate_all",
)

Progress = Callable[[], object]


def compare(
    scenarios: Sequence[Scenario], replications: int = 10, progress: Progress | None = None
) -> Comparison:
    """
    Compare scenarios with the first of them, over replications 0, 1, ... of each.

    ``progress`` is called after every simulation.
    """
    check_comparable(scenarios, replications)
    return compared(list(replicate(scenarios, replications, progress)))


def check_comparable(scenarios: Sequence[Scenario], replications: int) -> None:
    """Raise InputError unless scenarios can be compared in pairs."""
    if len(scenarios) < 2:
        raise InputError(f"compare: needs two scenarios or more, not {len(scenarios)}")
    first = scenarios[0]
    for name in ("seed", "phases"):
        for scenario in scenarios[1:]:
            if getattr(scenario, name) != getattr(first, name):
                raise InputError(f"compare: scenarios must have the same {name}")
    check_replications(replications)


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


def replicate(
    scenarios: Sequence[Scenario], replications: int, progress: Progress | None = None
) -> Iterator[list[Result]]:
    """
    Yield for each replication the results of all scenarios.

    Replications come one after another, so that one who stops early has whole pairs.
    """
    for replication in range(replications):
        yield list(simulate_all([s.replace(replication=replication) for s in scenarios], progress))


def compared(replications: Sequence[Sequence[Result]]) -> Comparison:
    """Return the comparison over what :func:`replicate` yielded."""
    from simulator.analysis.compare import compare_results

    return compare_results(list(zip(*replications, strict=True)))
