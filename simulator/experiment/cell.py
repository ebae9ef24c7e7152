# SPDX-License-Identifier: MIT
"""
A cell: what one simulation of an experiment left behind
--------------------------------------------------------

The totals of a run, what its slowest flushes met, or the error that ended it;
as bytes that are the same from whoever simulated it, and whenever: they hold no
clock time and no name of a host.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.errors import first_line
from simulator.experiment.code import code_key
from simulator.kernel.blame import blame
from simulator.provenance import provenance
from simulator.run import ALL_CHECKS, simulate
from simulator.saved import restore_scenario
from simulator.scenario import Scenario
from simulator.trace.frames import Category, Columns, Values, to_frame, to_rows

if TYPE_CHECKING:
    import pandas as pd

    from simulator.machine.schema import IdleState
    from simulator.trace.result import Result

__all__ = ("FRAMES", "Cell", "DamagedError", "decode", "encode", "failed_cell", "simulate_cell")

FRAMES = ("summary", "counts", "cpus", "time_by", "throughput", "latency", "violations", "slowest")

_MAGIC = b"tlbsim cell 3 "
_TYPES = {"i": "int64", "f": "float64", "b": "bool"}


class DamagedError(ValueError):
    """Bytes that are no cell, or no longer the one that was written."""


@dataclass(frozen=True, eq=False)
class Cell:
    """
    What a simulation left behind, with the frames of a result that stay small.

    ``error`` is empty, or says in one line why there are none; ``lost``, that the machine
    which simulated is to blame and not the scenario, so that it is worth another try.
    """

    scenario: Scenario
    provenance: Mapping[str, Any]
    columns: Mapping[str, Columns]
    error: str = ""
    lost: bool = False

    def rows(self, frame: str, **words: Collection[str]) -> list[dict[str, Any]]:
        """
        Return the rows of a frame as mappings of plain values; needs no pandas.

        Only those that have some ``words`` in a column, as in ``what=["flush"]``, if given.
        """
        return to_rows(self.columns[frame], **words)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per phase, as of :attr:`simulator.Result.summary`."""
        return to_frame(self.columns["summary"])

    @cached_property
    def counts(self) -> pd.DataFrame:
        """One row per phase, as of :attr:`simulator.Result.counts`."""
        return to_frame(self.columns["counts"])

    @cached_property
    def cpus(self) -> pd.DataFrame:
        """One row per CPU and phase, as of :attr:`simulator.Result.cpus`."""
        return to_frame(self.columns["cpus"])

    @cached_property
    def time_by(self) -> pd.DataFrame:
        """One row per phase, task and category, as of :attr:`simulator.Result.time_by`."""
        return to_frame(self.columns["time_by"])

    @cached_property
    def throughput(self) -> pd.DataFrame:
        """One row per window of time, as of :attr:`simulator.Result.throughput`."""
        return to_frame(self.columns["throughput"])

    @cached_property
    def latency(self) -> pd.DataFrame:
        """One row per histogram bucket, as of :attr:`simulator.Result.latency`."""
        return to_frame(self.columns["latency"])

    @cached_property
    def violations(self) -> pd.DataFrame:
        """One row per violation, as of :attr:`simulator.Result.violations`."""
        return to_frame(self.columns["violations"])

    @cached_property
    def slowest(self) -> pd.DataFrame:
        """
        The slowest broadcast of each phase, one row each; a phase without any has none.

        ``phase``, ``flush``, ``reason``, ``took_ns``, ``send_ns`` of it until the last IPI
        was sent, ``targets``, ``slowest_cpu`` (-1: none), ``state`` in which the IPI found
        that CPU, ``idle_state`` that it had to leave, ``late_ns`` from arrival to handler.
        """
        return to_frame(self.columns["slowest"])


def simulate_cell(scenario: Scenario, *, check: bool = True) -> Cell:
    """
    Simulate a scenario and return its cell; what goes wrong is in the cell.

    Without ``check``, the run is not held against what must hold.
    """
    try:
        result = simulate(scenario, checks=ALL_CHECKS if check else None)
        columns = {name: result.columns(name) for name in FRAMES if name != "slowest"}
        columns["slowest"] = _slowest(result)
    except Exception as error:  # noqa: BLE001 - a user's kernel raises anything
        return failed_cell(
            scenario, _in_one_line(error, scenario), lost=isinstance(error, MemoryError)
        )
    return Cell(scenario, {**result.provenance, "code": code_key()}, columns)


def failed_cell(scenario: Scenario, error: str, *, lost: bool) -> Cell:
    """Return the cell of a scenario that could not be simulated."""
    return Cell(scenario, {**provenance(scenario, ()), "code": code_key()}, {}, error, lost)


def encode(cell: Cell) -> bytes:
    """Return a cell as bytes, with their checksum in front."""
    resolved = cell.scenario.resolved()
    # The source is in the key; a hundred copies of it help nobody.
    source = resolved["kernel"].pop("source")
    resolved["kernel"]["sha256"] = hashlib.sha256(source.encode()).hexdigest()
    # Engines give the same answers, and the same bytes; so does compiled code.
    resolved["engine"] = "auto"
    content = {
        "key": cell.scenario.key,
        "scenario": resolved,
        "provenance": {k: v for k, v in cell.provenance.items() if k not in ("engine", "native")},
        "error": cell.error,
        "lost": cell.lost,
        # Lists, since columns have an order and the keys of an object are sorted.
        "frames": [
            [frame, [[name, _plain(column)] for name, column in table.items()]]
            for frame, table in cell.columns.items()
        ],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    body = zlib.compress(text.encode(), level=1)
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decode(data: bytes, scenario: Scenario | None = None) -> Cell:
    """
    Return the cell that bytes hold, of `scenario` where the caller knows it.

    DamagedError, too, for the scenario of a version that described machines otherwise.
    """
    line, _, body = data.partition(b"\n")
    digest = hashlib.sha256(body).hexdigest().encode()
    if not line.startswith(_MAGIC) or line.removeprefix(_MAGIC) != digest:
        raise DamagedError("the checksum does not fit")
    content = json.loads(zlib.decompress(body))
    columns = {
        frame: {name: _column(plain) for name, plain in table} for frame, table in content["frames"]
    }
    try:
        known = restore_scenario(content["scenario"]) if scenario is None else scenario
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DamagedError("it is of another version of tlbsim") from None
    return Cell(known, content["provenance"], columns, content["error"], content["lost"])


def _plain(column: Values) -> dict[str, Any]:
    if isinstance(column, Category):
        return {"names": list(column.names), "values": column.codes.tolist()}
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f":
        # JSON has no NaN.
        values = [value if math.isfinite(value) else None for value in values]
    return {"type": _TYPES[column.dtype.kind], "values": values}


def _column(plain: Mapping[str, Any]) -> Values:
    if "names" in plain:
        codes = np.array(plain["values"], dtype=np.int64)
        return Category(codes, tuple(plain["names"]))
    values = [math.nan if value is None else value for value in plain["values"]]
    column: Values = np.array(values, dtype=plain["type"])
    return column


# One line, the same wherever it was raised: of a user's file its name, none of our lines.
def _in_one_line(error: Exception, scenario: Scenario) -> str:
    if (blamed := blame(error)) is not None:
        folder = Path(scenario.kernel_class.file_of()).parent
        return blamed.splitlines()[0].removeprefix(f"{folder}/")
    text = first_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _slowest(result: Result) -> Columns:
    flushes = result.columns("flushes")
    phase, reason = flushes["phase"], flushes["reason"]
    assert isinstance(phase, Category)  # noqa: S101 - as frames are made
    assert isinstance(reason, Category)  # noqa: S101 - as frames are made
    start, end, sent = (np.asarray(flushes[name]) for name in ("start_ns", "end_ns", "send_end_ns"))
    took = end - start
    found = [
        int(of_phase[np.argmax(took[of_phase])])
        for code in range(len(phase.names))
        if (of_phase := np.flatnonzero(phase.codes == code)).size
    ]
    cpu = np.asarray(flushes["slowest_cpu"])[found]
    met = _met(result, dict(zip(found, cpu.tolist(), strict=True)))
    return {
        "phase": Category(phase.codes[found], phase.names),
        "flush": np.asarray(flushes["flush"])[found],
        "reason": Category(reason.codes[found], reason.names),
        "took_ns": took[found],
        "send_ns": (sent - start)[found],
        "targets": np.asarray(flushes["targets"])[found],
        "slowest_cpu": cpu,
        "state": _category([of[0] for of in met]),
        "idle_state": _category([of[1] for of in met]),
        "late_ns": np.array([of[2] for of in met], dtype=np.int64),
    }


def _category(words: Sequence[str]) -> Category:
    names = sorted(set(words))
    codes = np.array([names.index(word) for word in words], dtype=np.int64)
    return Category(codes, tuple(names))


# For each flush: in which state its IPI found a CPU, which idle state that was, and how long it
# took from there to the handler.
def _met(result: Result, cpus: Mapping[int, int]) -> list[tuple[str, str, int]]:
    wanted = [flush for flush, cpu in cpus.items() if cpu >= 0]
    ipis = result.ipi_columns(wanted)
    states = ipis["state"]
    assert isinstance(states, Category)  # noqa: S101 - as frames are made
    flush_of, cpu_of, arrive, start = (
        np.asarray(ipis[name]) for name in ("flush", "cpu", "arrive_ns", "start_ns")
    )
    found = []
    for flush, cpu in cpus.items():
        row = np.flatnonzero((flush_of == flush) & (cpu_of == cpu))
        if not row.size:
            found.append(("none", "", 0))
            continue
        state = states.names[states.codes[row[0]]]
        late = max(0, int(start[row[0]] - arrive[row[0]]))
        found.append((state, _idle_state(result, late) if state == "idle" else "", late))
    return found


# The record of an IPI does not name the idle state, but what it takes to leave each is known.
def _idle_state(result: Result, late_ns: int) -> str:
    idle: Sequence[IdleState] = result.scenario.machine_model.idle_states
    return min(idle, key=lambda state: abs(float(state.exit_latency.exact_ns) - late_ns)).name
