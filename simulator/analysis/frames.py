# SPDX-License-Identifier: MIT
"""
What analysis and report ask of a result
----------------------------------------

A result offers tidy frames, the scenario that made them and its provenance.
Nothing below knows the class of a scenario, only what it offers; a machine,
kernel or noise in its fields may be a name, a path, an object with a ``name``, or
a mapping, and what it stands for is beside it.

Some frames have a row per folio or flush, which is a million rows of a long
run; the others, its totals, stay small however long it was.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas as pd

    from simulator.kernel import Kernel
    from simulator.machine import Machine, Noise

__all__ = (
    "ResultFrames",
    "ResultTotals",
    "Simulated",
    "Totals",
    "fields_of",
    "name_of",
    "nr_cpus",
    "ns_by_category",
    "of_phase",
    "phases_of",
    "records",
    "row_of_phase",
    "rows_of",
)


class Simulated(Protocol):
    """A scenario as the readers of its result see it: its fields, and what they stand for."""

    machine: Any
    kernel: Any
    noise: Any
    placement: Any
    pages: int
    hvo: bool
    allocators: int
    cpus: int | None
    free_pages: int | None
    seed: int
    replication: int

    @property
    def key(self) -> str:
        """What tells it from any other."""

    @property
    def page_size(self) -> str:
        """``2M`` or ``1G``."""

    @property
    def page_bytes(self) -> int:
        """The size of a huge page."""

    @property
    def path(self) -> str:
        """Who asks for huge pages."""

    @property
    def faults(self) -> Mapping[str, tuple[int, ...]]:
        """The allocations that fail, by kind."""

    @property
    def tunables(self) -> Mapping[str, int]:
        """The parameters of the kernel that were set."""

    @property
    def nr_cpus(self) -> int:
        """How many CPUs took part."""

    @property
    def machine_model(self) -> Machine:
        """What ``machine`` stands for."""

    @property
    def kernel_class(self) -> type[Kernel]:
        """What ``kernel`` stands for."""

    @property
    def noise_model(self) -> Noise:
        """What ``noise`` stands for."""


@runtime_checkable
class Named(Protocol):
    """What has a name of its own: a machine, a kernel, a noise."""

    @property
    def name(self) -> str:
        """The name."""


class ResultTotals(Protocol):
    """A finished simulation without what happened to each folio and in each flush."""

    @property
    def scenario(self) -> Simulated:
        """The scenario, fully resolved."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Version, commit, key and whatever else it takes to make the numbers again."""

    @property
    def summary(self) -> pd.DataFrame:
        """One row per phase."""

    @property
    def counts(self) -> pd.DataFrame:
        """One row per phase: how often the kernel's functions ran."""

    @property
    def cpus(self) -> pd.DataFrame:
        """One row per CPU and phase."""

    @property
    def time_by(self) -> pd.DataFrame:
        """One row per task, phase and category."""

    @property
    def throughput(self) -> pd.DataFrame:
        """One row per window of time."""

    @property
    def latency(self) -> pd.DataFrame:
        """One row per bucket of a histogram."""

    @property
    def violations(self) -> pd.DataFrame:
        """One row per violation of what must hold."""


@runtime_checkable
class HasRows(Protocol):
    """A result that can give out a frame without making it."""

    def rows(self, frame: str, **words: Collection[str]) -> list[dict[str, Any]]:
        """Return the rows of a frame as :func:`rows_of` does."""


@runtime_checkable
class ResultFrames(ResultTotals, Protocol):
    """A finished simulation as its readers see it."""

    @property
    def folios(self) -> pd.DataFrame:
        """One row per folio and phase."""

    @property
    def flushes(self) -> pd.DataFrame:
        """One row per broadcast."""


@dataclass(frozen=True, eq=False)
class Totals:
    """The totals of a finished simulation: small, and can be sent to another process."""

    scenario: Simulated
    provenance: Mapping[str, Any]
    summary: pd.DataFrame
    counts: pd.DataFrame
    cpus: pd.DataFrame
    time_by: pd.DataFrame
    throughput: pd.DataFrame
    latency: pd.DataFrame
    violations: pd.DataFrame

    @classmethod
    def of(cls, result: ResultTotals) -> Totals:
        """Return the totals of a result."""
        return cls(**{field.name: getattr(result, field.name) for field in dataclasses.fields(cls)})


def name_of(value: object) -> str:
    """
    Return the short name of a scenario's field: a machine, a kernel, a noise, a plain value.

    >>> name_of("v6.6"), name_of(True), name_of(("alloc", "free")), name_of({})
    ('v6.6', 'on', 'alloc,free', 'none')
    >>> name_of({"preset": "idle", "idle_share": 0.5, "preempted_share": 0.0})
    'idle (idle_share 0.5, preempted_share 0)'
    """
    match value:
        case str():
            return value
        case bool():
            return "on" if value else "off"
        case None:
            return "none"
        case PurePath():
            return value.stem
        case Mapping():
            if isinstance(value.get("name"), str):
                return str(value["name"])
            if "preset" in value:
                changes = (f"{key} {value[key]:g}" for key in sorted(value) if key != "preset")
                return f"{value['preset']} ({', '.join(changes)})"
            return ",".join(f"{key}={name_of(value[key])}" for key in sorted(value)) or "none"
        case tuple() | list():
            return ",".join(name_of(item) for item in value) or "none"
        case Named():
            return value.name
    return str(value)


def fields_of(scenario: object) -> dict[str, Any]:
    """
    Return the fields of a scenario in their order: of a pydantic model or a dataclass.

    ``engine`` is left out: engines give the same answers.  A kernel from a file goes by its name.
    """
    if isinstance(scenario, BaseModel):
        names = list(type(scenario).model_fields)
    elif dataclasses.is_dataclass(scenario):
        names = [field.name for field in dataclasses.fields(scenario)]
    else:
        raise TypeError(f"{type(scenario).__name__} has no fields")
    fields = {name: getattr(scenario, name) for name in names if name != "engine"}
    kernel = getattr(scenario, "kernel_class", None)
    if getattr(kernel, "own_file", ""):
        fields["kernel"] = kernel
    return fields


def nr_cpus(result: ResultTotals) -> int:
    """Return how many CPUs the machine of this result had."""
    return result.scenario.nr_cpus


def phases_of(result: ResultTotals) -> list[str]:
    """Return the phases of a result in the order in which they ran."""
    return [str(row["phase"]) for row in rows_of(result, "summary")]


def of_phase(frame: pd.DataFrame, phase: str) -> pd.DataFrame:
    """Return the rows of a frame that are of one phase; none if it has no such phase."""
    return frame[frame["phase"] == phase]


def row_of_phase(frame: pd.DataFrame, phase: str) -> dict[str, Any]:
    """
    Return the row of a phase as plain values, of ``summary`` or ``counts``.

    >>> import pandas as pd
    >>> row_of_phase(pd.DataFrame({"phase": ["alloc", "free"], "flushes": [4, 0]}), "free")
    {'phase': 'free', 'flushes': 0}
    """
    rows = records(of_phase(frame, phase))
    if len(rows) != 1:
        raise KeyError(f"{phase} has {len(rows)} rows, not one")
    return rows[0]


def ns_by_category(result: ResultTotals, phase: str) -> dict[str, int]:
    """Return the time of all tasks of a phase together, by category, the longest first."""
    sums: dict[str, int] = {}
    for row in rows_of(result, "time_by"):
        if row["phase"] == phase:
            sums[row["category"]] = sums.get(row["category"], 0) + row["ns"]
    return dict(sorted(sums.items(), key=lambda pair: (-pair[1], pair[0])))


def rows_of(result: ResultTotals, frame: str, **words: Collection[str]) -> list[dict[str, Any]]:
    """
    Return the rows of a result's frame as :func:`records` does, without pandas if it can.

    Only those that have some ``words`` in a column, where they are given.
    """
    if isinstance(result, HasRows):
        return result.rows(frame, **words)
    found: pd.DataFrame = getattr(result, frame)
    for name, wanted in words.items():
        found = found[found[name].isin(wanted)]
    return records(found)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """
    Return the rows of a frame as mappings of plain values: JSON's own types, ``None`` for missing.

    >>> import pandas as pd
    >>> records(pd.DataFrame({"phase": ["alloc"], "flushes": [2], "lost_ns": [float("nan")]}))
    [{'phase': 'alloc', 'flushes': 2, 'lost_ns': None}]
    """
    names = [str(name) for name in frame.columns]
    columns = [[_plain(value) for value in frame[name].tolist()] for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


# tolist() leaves Python's own types, and pandas' missing value where a column has one.
def _plain(value: object) -> bool | int | float | str | None:
    if isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None
