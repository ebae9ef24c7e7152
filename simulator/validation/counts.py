# SPDX-License-Identifier: MIT
"""
Counts held against real kernels
--------------------------------

:func:`check_counts` simulates the boots of a file of counts and compares every
number.  A boot is one scenario, its phases run on one state; where its pages
lay is taken from the splits that were counted.

Modelled: counts depend neither on the costs of a machine nor on noise, so that
any machine will do that has as many CPUs and as much memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError
from simulator.run import simulate
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from simulator.analysis.kernel_counts import Boot, Mismatch
    from simulator.analysis.table import Row
    from simulator.machine import Machine

__all__ = ("CountsCheck", "boot_scenario", "check_counts")

# Fields of a scenario by the columns of a file that they are taken from.
_COUNT_COLUMNS = {
    "cpus": "vcpus",
    "pages": "n_pages",
    "placement": "pmd_splits",
    "path": "mode",
    "kernel": "kernel",
}


@dataclass(frozen=True)
class CountsCheck:
    """Which kernels were simulated, how many rows and cells compared; what differs, by line."""

    kernels: tuple[str, ...]
    rows: int
    cells: int
    mismatches: tuple[Mismatch, ...]


def check_counts(
    boots: Sequence[Boot],
    scenarios: Sequence[Scenario],
    progress: Callable[[], object] | None = None,
) -> CountsCheck:
    """
    Simulate the scenario of each boot and compare the counts.

    ``progress`` is called after every boot.
    """
    from simulator.analysis.kernel_counts import mismatches

    found: list[Mismatch] = []
    for boot, scenario in zip(boots, scenarios, strict=True):
        found += mismatches(boot, simulate(scenario).counts)
        if progress is not None:
            progress()
    phases = [counted for boot in boots for counted in boot.phases]
    cells = sum(len(counted.counts) for counted in phases)
    return CountsCheck(
        kernels=tuple(dict.fromkeys(boot.kernel for boot in boots)),
        rows=len(phases),
        cells=cells,
        mismatches=tuple(sorted(found, key=lambda mismatch: mismatch.line)),
    )


def boot_scenario(boot: Boot, machine: str | Machine) -> Scenario:
    """Return the scenario of a boot on a machine; InputError if there can be none."""
    fields: dict[str, Any] = {
        "machine": machine,
        "kernel": boot.kernel,
        "cpus": boot.vcpus,
        "pages": boot.pages,
        "page_size": boot.page_size,
        "hvo": boot.hvo,
        "path": boot.path,
    }
    phases = ("alloc", "free") * -(-boot.nr_phases // 2)
    scenario = _scenario(boot.phases[0].row, fields | {"phases": phases[: boot.nr_phases]})
    if not boot.hvo:
        return scenario  # nothing is split, wherever the pages lie
    # One fill after another, so that what is wrong with the splits of one has its line.
    placement = "aligned"
    for row, splits in _fills(boot):
        placement = f"pmds={splits}" if placement == "aligned" else f"{placement},{splits}"
        scenario = _scenario(row, fields | {"phases": scenario.phases, "placement": placement})
    return scenario


# The rows and the splits of the fills.  What was not counted is the least that there can be.
def _fills(boot: Boot) -> Iterator[tuple[Row, int]]:
    counted = {phase.phase: phase for phase in boot.phases}
    least = 8 * boot.pages if boot.page_size == "1G" else -(-boot.pages // 64)
    for nth in range(1, -(-boot.nr_phases // 2) + 1):
        phase = counted.get("alloc" if nth == 1 else f"alloc{nth}")
        if phase is None:
            yield boot.phases[0].row, least
        else:
            yield phase.row, phase.counts.get("pmd_splits", least)
        least = 0


def _scenario(row: Row, fields: dict[str, Any]) -> Scenario:
    try:
        return Scenario(**fields)
    except InputError as error:
        field, _, problem = str(error).partition(": ")
        raise row.error(_COUNT_COLUMNS.get(field, field), problem) from None
