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
from simulator.geometry import least_pmds, pmds_of_folio, pmds_placement, splits_placement
from simulator.kernel import load_kernel
from simulator.kernel.counted import counted
from simulator.machine import load_machine
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
# What nr_memmap_pages and nr_memmap_boot_pages change by, together.
_MEMMAP = {
    "vmemmap_head_pages_allocated": 1,
    "vmemmap_pages_allocated_restore": 1,
    "vmemmap_pages_freed": -1,
}
# Fields of a scenario by the columns of a file that they are taken from.
_COUNT_COLUMNS = {
    "cpus": "vcpus",
    "pages": "n_pages",
    "placement": "pmd_splits",
    "path": "mode",
    "kernel": "kernel",
    "phases": "action",
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

    ``given`` of the cells said where the pages lay, how many there were, or how many tasks;
    ``unplaced`` more were measured but not compared, as they depend on that where it was not;
    ``unknown`` more tell of what a phase does not know.
    """

    kernels: tuple[str, ...]
    rows: int
    cells: int
    given: int
    unplaced: int
    unknown: int
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
    unknown = 0
    compared: list[Boot] = []
    for boot, scenario in zip(boots, scenarios, strict=True):
        counts = _summed(boot, simulate(scenario).counts)
        other = _elsewhere(boot, scenario)
        known = (
            boot
            if other is None
            else _where_equal(boot, counts, _summed(boot, simulate(other).counts))
        )
        compared.append(known)
        found += mismatches(known, counts)
        unknown += _nr_unknown(known, counts)
        if progress is not None:
            progress()
    cells = sum(map(_nr_cells, compared))
    return CountsCheck(
        kernels=tuple(dict.fromkeys(boot.kernel for boot in boots)),
        rows=sum(len(boot.phases) for boot in boots),
        cells=cells,
        given=sum(map(_nr_given, boots)),
        unplaced=sum(map(_nr_cells, boots)) - cells,
        unknown=unknown,
        mismatches=tuple(sorted(found, key=lambda mismatch: mismatch.line)),
    )


def mismatches(boot: Boot, counts: pd.DataFrame) -> list[Mismatch]:
    """
    Return where the ``counts`` frame of a simulation differs from what was counted.

    What others of the machine may have added to (``AT_LEAST``) may be more.
    """
    from simulator.published.counts import AT_LEAST

    simulated = {row["phase"]: row for row in records(counts)}
    return [
        Mismatch(counted.row.line, boot.kernel, counted.phase, name, expected, got)
        for counted in boot.phases
        for name, expected in counted.counts.items()
        if (got := simulated[counted.label or counted.phase].get(name, 0)) != expected
        and not (name in AT_LEAST and expected > got)
    ]


def boot_scenario(boot: Boot, machine: str | Machine) -> Scenario:
    """Return the scenario of a boot on a machine; InputError if there can be none."""
    if boot.script:
        return _scripted(boot, machine)
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


def _nr_unknown(boot: Boot, counts: pd.DataFrame) -> int:
    from simulator.published.counts import AT_LEAST

    simulated = {row["phase"]: row for row in records(counts)}
    return sum(
        phase.unknown
        + sum(
            phase.counts[name] > simulated[phase.label or phase.phase].get(name, 0)
            for name in AT_LEAST
            if name in phase.counts
        )
        for phase in boot.phases
    )


# What was done is known row by row.
def _scripted(boot: Boot, machine: str | Machine) -> Scenario:
    kernel = counted(load_kernel(boot.kernel))
    modules = {"static_key_modules": boot.modules}
    fields: dict[str, Any] = {
        "machine": _with_nodes(
            load_machine(machine) if isinstance(machine, str) else machine, boot.nodes
        ),
        "kernel": kernel,
        "cpus": boot.vcpus,
        "pages": boot.pages,
        "hvo": boot.hvo,
        "phases": boot.script,
        "placement": splits_placement(boot.splits),
        "tunables": {name: nr for name, nr in modules.items() if name in kernel.TUNABLES},
    }
    return _scenario(boot.phases[0].row, fields)


def _with_nodes(machine: Machine, nr_nodes: int) -> Machine:
    if machine.nr_nodes == nr_nodes:
        return machine
    nodes = machine.topology.nodes.model_copy(update={"value": nr_nodes})
    topology = machine.topology.model_copy(update={"nodes": nodes})
    return machine.model_copy(update={"topology": topology})


# The counts of the phases that make up one row.
def _summed(boot: Boot, counts: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    rows = {row["phase"]: row for row in records(counts)}
    found = []
    for phase in boot.phases:
        parts = [rows[label] for label in (phase.label or phase.phase).split(",")]
        for part in parts:
            part["memmap_delta"] = sum(sign * part[name] for name, sign in _MEMMAP.items())
        if phase.before:
            parts[0]["pages_before"] = rows[phase.before]["pages_before"]
        if len(parts) == 1:
            found.append(parts[0])
            continue
        total = {name: sum(part[name] for part in parts) for name in parts[0] if name != "phase"}
        for name in ("pool_2m", "pool_1g"):
            total[name] = parts[-1][name]
        for name in ("distinct_tasks", "threads_reported"):
            total[name] = max(part[name] for part in parts)
        found.append({"phase": phase.label} | total)
    return pd.DataFrame(found)


def _nr_given(boot: Boot) -> int:
    if boot.script:
        return sum(phase.given for phase in boot.phases)
    return sum(counted for *_, counted in _fills(boot)) if boot.hvo else 0


def _nr_cells(boot: Boot) -> int:
    return sum(len(phase.counts) for phase in boot.phases)


# The same boot with more PMDs to split in each fill where they were not counted, if it can be.
def _elsewhere(boot: Boot, scenario: Scenario) -> Scenario | None:
    if boot.script:
        if boot.splits == boot.other_splits:
            return None
        return scenario.replace(placement=splits_placement(boot.other_splits))
    more = pmds_of_folio(boot.page_size)
    fills = [(splits, counted) for _, splits, counted in _fills(boot)]
    nr_pmds = [splits for splits, _ in fills]
    found = None
    for nth, (splits, measured) in enumerate(fills):
        if boot.hvo and not measured:
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
                    if here[counted.label or counted.phase].get(name, 0)
                    == there[counted.label or counted.phase].get(name, 0)
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
