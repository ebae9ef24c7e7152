# SPDX-License-Identifier: MIT
"""
Counts held against real kernels
--------------------------------

:func:`check_counts` simulates the boots of a file of counts and compares every
number.  A boot is one scenario, its phases run on one state; where its pages
lay is given, by the splits that were counted in its fills.  Where these were not
measured, what depends on them is not compared: it is found by simulating the boot
with its pages in more PMDs as well.

Modelled: counts depend neither on the costs of a machine nor on noise, so that
any machine will do that has as many CPUs and as much memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.analysis.frames import records
from simulator.errors import InputError
from simulator.geometry import least_pmds, pmds_of_folio, pmds_placement
from simulator.run import simulate
from simulator.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

    from simulator.machine import Machine
    from simulator.published.counts import Boot
    from simulator.published.table import Row

__all__ = ("CountsCheck", "Mismatch", "boot_scenario", "check_counts", "mismatches")

# What a fill counts that says where its pages lay.
_PLACED_BY = "pmd_splits"
# Fields of a scenario by the columns of a file that they are taken from.
_COUNT_COLUMNS = {
    "cpus": "vcpus",
    "pages": "n_pages",
    "placement": "pmd_splits",
    "path": "mode",
    "kernel": "kernel",
}


@dataclass(frozen=True)
class Mismatch:
    """A count that a simulation did not reproduce; ``line`` is that of the file."""

    line: int
    kernel: str
    phase: str
    column: str
    expected: int
    got: int


@dataclass(frozen=True)
class CountsCheck:
    """
    Which kernels were simulated, how many rows and cells compared; what differs, by line.

    ``given`` of the cells said where the pages lay; ``unplaced`` more were measured but not
    compared, as they depend on that where it was not.
    """

    kernels: tuple[str, ...]
    rows: int
    cells: int
    given: int
    unplaced: int
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
    found: list[Mismatch] = []
    compared: list[Boot] = []
    for boot, scenario in zip(boots, scenarios, strict=True):
        counts = simulate(scenario).counts
        other = _elsewhere(boot, scenario)
        known = boot if other is None else _where_equal(boot, counts, simulate(other).counts)
        compared.append(known)
        found += mismatches(known, counts)
        if progress is not None:
            progress()
    cells = sum(map(_nr_cells, compared))
    return CountsCheck(
        kernels=tuple(dict.fromkeys(boot.kernel for boot in boots)),
        rows=sum(len(boot.phases) for boot in boots),
        cells=cells,
        given=sum(counted for boot in boots if boot.hvo for *_, counted in _fills(boot)),
        unplaced=sum(map(_nr_cells, boots)) - cells,
        mismatches=tuple(sorted(found, key=lambda mismatch: mismatch.line)),
    )


def mismatches(boot: Boot, counts: pd.DataFrame) -> list[Mismatch]:
    """Return where the ``counts`` frame of a simulation differs from what was counted."""
    simulated = {row["phase"]: row for row in records(counts)}
    return [
        Mismatch(counted.row.line, boot.kernel, counted.phase, name, expected, got)
        for counted in boot.phases
        for name, expected in counted.counts.items()
        if (got := simulated[counted.phase][name]) != expected
    ]


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
    nr_pmds: list[int] = []
    for row, splits, _ in _fills(boot):
        nr_pmds.append(splits)
        placed = {"phases": scenario.phases, "placement": pmds_placement(nr_pmds)}
        scenario = _scenario(row, fields | placed)
    return scenario


# The row and the splits of each fill, and whether they were counted; if not, they are as few
# as there can be.
def _fills(boot: Boot) -> Iterator[tuple[Row, int, bool]]:
    phases = {phase.phase: phase for phase in boot.phases}
    least = least_pmds(boot.pages, boot.page_size)
    for nth in range(1, -(-boot.nr_phases // 2) + 1):
        phase = phases.get("alloc" if nth == 1 else f"alloc{nth}")
        if phase is not None and _PLACED_BY in phase.counts:
            yield phase.row, phase.counts[_PLACED_BY], True
        else:
            yield (phase or boot.phases[0]).row, least, False
        least = 0


def _nr_cells(boot: Boot) -> int:
    return sum(len(phase.counts) for phase in boot.phases)


# The same boot with more PMDs to split in each fill where they were not counted, if it can be.
def _elsewhere(boot: Boot, scenario: Scenario) -> Scenario | None:
    more = pmds_of_folio(boot.page_size)
    fills = [(splits, counted) for _, splits, counted in _fills(boot)]
    nr_pmds = [splits for splits, _ in fills]
    found = None
    for nth, (splits, counted) in enumerate(fills):
        if boot.hvo and not counted:
            wanted = [*nr_pmds[:nth], splits + more, *nr_pmds[nth + 1 :]]
            with suppress(InputError):
                found = scenario.replace(placement=pmds_placement(wanted))
                nr_pmds = wanted
    return found


def _where_equal(boot: Boot, counts: pd.DataFrame, others: pd.DataFrame) -> Boot:
    here, there = ({row["phase"]: row for row in records(frame)} for frame in (counts, others))
    return dataclasses.replace(
        boot,
        phases=tuple(
            dataclasses.replace(
                counted,
                counts={
                    name: number
                    for name, number in counted.counts.items()
                    if here[counted.phase][name] == there[counted.phase][name]
                },
            )
            for counted in boot.phases
        ),
    )


def _scenario(row: Row, fields: dict[str, Any]) -> Scenario:
    try:
        return Scenario(**fields)
    except InputError as error:
        field, _, problem = str(error).partition(": ")
        raise row.error(_COUNT_COLUMNS.get(field, field), problem) from None
