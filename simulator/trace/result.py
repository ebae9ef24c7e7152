# SPDX-License-Identifier: MIT
"""
Results
-------

A :class:`Result` offers what a run recorded as pandas frames, built on first
use, and can be saved to a folder and loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from inspect import cleandoc
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from simulator.errors import InputError, nearest
from simulator.shown import Shown
from simulator.trace.contract import FRAMES, IPIS, Frame
from simulator.trace.files import save_result
from simulator.trace.frames import Columns, ipi_columns, to_frame, to_rows
from simulator.trace.ipis import IpiLog
from simulator.trace.parquet import ipi_writer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("Phase", "Result")

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _frame(name: str) -> cached_property[pd.DataFrame]:
    # A frame of a result, built when it is asked for first.
    def frame(result: Result) -> pd.DataFrame:
        return to_frame(result.columns(name))

    frame.__doc__ = FRAMES[name].describe()
    return cached_property(frame)


def _documented(frame: Frame) -> Callable[[_Method], _Method]:
    # Let the docstring of what returns a frame end with what it holds.
    def add(method: _Method) -> _Method:
        method.__doc__ = f"{cleandoc(method.__doc__ or '')}\n\n{frame.describe()}"
        return method

    return add


def _of_phase(name: str) -> cached_property[pd.DataFrame]:
    def frame(phase: Phase) -> pd.DataFrame:
        whole: pd.DataFrame = getattr(phase.result, name)
        found: pd.DataFrame = whole[whole["phase"] == phase.name]
        return found.reset_index(drop=True)

    frame.__doc__ = FRAMES[name].describe()
    return cached_property(frame)


class Phase:
    """The frames of a result, of one phase alone."""

    def __init__(self, result: Result, name: str) -> None:
        self.result = result
        self.name = name

    summary = _of_phase("summary")
    counts = _of_phase("counts")
    folios = _of_phase("folios")
    flushes = _of_phase("flushes")
    cpus = _of_phase("cpus")
    time_by = _of_phase("time_by")
    throughput = _of_phase("throughput")
    latency = _of_phase("latency")
    violations = _of_phase("violations")

    def __repr__(self) -> str:
        return f"<Phase {self.name} of {self.result!r}>"


class Result(Shown):
    """
    A finished simulation.

    ``scenario`` is what was simulated, ``provenance`` what it takes to make the
    numbers again.  Times are integer nanoseconds of simulated time (``_ns``)
    unless the name says otherwise; ``phase`` is a category: ``alloc``, ``free``,
    ``alloc2``, ...
    """

    def __init__(
        self,
        scenario: Any,
        provenance: Mapping[str, Any],
        columns: Callable[[str], Columns],
        replay: Callable[[IpiLog], None],
        describe: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.scenario = scenario
        self.provenance = provenance
        #: The columns of a frame by its name, as arrays; needs no pandas.
        self.columns = columns
        self._replay = replay
        self._describe = describe

    summary = _frame("summary")
    counts = _frame("counts")
    folios = _frame("folios")
    flushes = _frame("flushes")
    cpus = _frame("cpus")
    time_by = _frame("time_by")
    throughput = _frame("throughput")
    latency = _frame("latency")
    violations = _frame("violations")

    def phase(self, name: str) -> Phase:
        """
        Return what the frames hold of one phase, as ``result.phase("alloc").flushes``.

        InputError for a phase that was not simulated.
        """
        phases = [row["phase"] for row in self.rows("summary")]
        if name not in phases:
            raise InputError(f"phase: unknown {name!r}{nearest(name, phases)}")
        return Phase(self, name)

    @_documented(IPIS)
    def ipis(self, flushes: Collection[int]) -> pd.DataFrame:
        """
        Return every IPI of some flushes, by replaying the scenario.

        ``flushes`` are numbers of the ``flushes`` frame.  Raises InputError for what
        is none.
        """
        return to_frame(self.ipi_columns(flushes))

    def ipi_columns(self, flushes: Collection[int]) -> Columns:
        """Return the columns of :meth:`ipis` as arrays; needs no pandas."""
        known = len(np.asarray(self.columns("flushes")["task"]))
        try:
            numbers = frozenset(index(flush) for flush in flushes)
        except TypeError:
            raise InputError(f"flushes: {flushes!r} is not a list of numbers of flushes") from None
        for flush in numbers:
            if not 0 <= flush < known:
                raise InputError(f"flushes: {flush} is not 0 to {known - 1}")
        log = IpiLog(numbers)
        self._replay(log)
        return ipi_columns(log)

    def write_ipis(self, path: str | Path) -> None:
        """
        Write every IPI of the run, as of :meth:`ipis`, to a Parquet file.

        The run is replayed, and needs no more memory for that than a batch of rows.
        Raises InputError where pyarrow is missing or the file cannot be written.
        """
        with ipi_writer(Path(path)) as write:
            log = IpiLog(range(int(self.counts["on_each_cpu_calls"].sum())), write)
            self._replay(log)
            log.flush()

    def save(self, directory: str | Path) -> None:
        """
        Write the result to a folder: a new one, or one that holds an older result.

        With the checksums of its files, as ``sha256sum -c`` reads them.  Raises InputError
        if it cannot, and then changes nothing.
        """
        save_result(
            Path(directory),
            self._describe(),
            self.provenance,
            {name: self.columns(name) for name in FRAMES},
        )

    def rows(self, frame: str, **words: Collection[str]) -> list[dict[str, Any]]:
        """
        Return the rows of a frame as mappings of plain values; needs no pandas.

        Only those that have some ``words`` in a column, as in ``what=["flush"]``, if given.
        """
        return to_rows(self.columns(frame), **words)
