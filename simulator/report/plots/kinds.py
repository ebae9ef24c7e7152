# SPDX-License-Identifier: MIT
"""
Kinds of plots of any results
-----------------------------

By name, what can be drawn of a comparison or of a single result, a user's own kernel
included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from simulator.analysis.frames import ResultFrames, ResultTotals, name_of
from simulator.errors import InputError, nearest
from simulator.report.plots.batch import plot_batch
from simulator.report.plots.change import plot_change
from simulator.report.plots.course import plot_course
from simulator.report.plots.cpus import plot_cpus
from simulator.report.plots.difference import plot_difference
from simulator.report.plots.tails import plot_tails
from simulator.report.plots.throughput import plot_throughput
from simulator.report.plots.time_by import plot_time_by
from simulator.report.plots.timeline import plot_flush_timeline
from simulator.report.plots.uncertainty import plot_tornado
from simulator.report.plots.victims import plot_victims

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison

__all__ = ("KINDS", "PAGE_KINDS", "draw", "draw_uncertainty")


@runtime_checkable
class Replayed(ResultFrames, Protocol):
    """A result that can give every IPI of a flush."""

    def ipis(self, flushes: Collection[int]) -> pd.DataFrame:
        """Return the IPIs of some flushes."""


Drawn = Iterator[tuple[str, "Figure"]]


def draw(kind: str, comparison: Comparison) -> list[tuple[str, Figure]]:
    """
    Return the figures of a kind with their names; none where the results have nothing of it.

    >>> draw("tmie", None)
    Traceback (most recent call last):
      ...
    simulator.errors.InputError: kind: unknown 'tmie' (did you mean 'time'?)
    """
    if kind not in KINDS:
        raise InputError(f"kind: unknown {kind!r}{nearest(kind, KINDS)}")
    return list(KINDS[kind](comparison))


def _change(comparison: Comparison) -> Drawn:
    yield from _if_any("change", plot_change(comparison))


def _scaling(comparison: Comparison) -> Drawn:
    yield from _if_any("scaling", plot_cpus(comparison))


# Of each machine its first replications.
def _time(comparison: Comparison) -> Drawn:
    for machine, runs in _by_machine(comparison).items():
        yield f"time-{machine}", plot_time_by(list(runs.values()), _without(runs, machine))


def _difference(comparison: Comparison) -> Drawn:
    yield from _if_any("difference", plot_difference(comparison))


def _latency(comparison: Comparison) -> Drawn:
    yield from _if_any("latency", plot_tails(comparison))


# One run for each kernel: of what else differs, the first.
def _course(comparison: Comparison) -> Drawn:
    for machine, runs in _by_machine(comparison).items():
        found = [run for run in _first_of_kernel(runs) if isinstance(run, ResultFrames)]
        if found:
            yield from _if_any(f"course-{machine}", plot_course(found))


# The middle one of the flushes for the reason that is most frequent.
def _flush(comparison: Comparison) -> Drawn:
    for label, runs in zip(comparison.labels, comparison.runs, strict=True):
        run = runs[0]
        if not isinstance(run, Replayed) or run.flushes.empty:
            continue
        flushes = run.flushes
        reason = flushes["reason"].value_counts().index[0]
        numbers = flushes.loc[flushes["reason"] == reason, "flush"]
        flush = int(numbers.iloc[len(numbers) // 2])
        ipis = run.ipis([flush])
        if len(ipis):
            yield f"flush-{_file_name(label)}", plot_flush_timeline(run, flush, ipis)


def _victims(comparison: Comparison) -> Drawn:
    for machine in _by_machine(comparison):
        yield from _if_any(f"victims-{machine}", plot_victims(comparison, machine))


# One run for each kernel: of what else differs, the first.
def _throughput(comparison: Comparison) -> Drawn:
    for machine, runs in _by_machine(comparison).items():
        yield f"throughput-{machine}", plot_throughput(_first_of_kernel(runs))


def _batch(comparison: Comparison) -> Drawn:
    yield from _if_any("batch", plot_batch(comparison))


def draw_uncertainty(
    comparison: Comparison, tornado: pd.DataFrame | None
) -> list[tuple[str, Figure]]:
    """Return a tornado for each scenario that has one, with the names of the figures."""
    if tornado is None:
        return []
    found = []
    for label in comparison.labels:
        figure = plot_tornado(comparison, tornado[tornado["scenario"] == label], label)
        found += [] if figure is None else [(f"uncertainty-{_file_name(label)}", figure)]
    return found


def _if_any(name: str, figure: Figure | None) -> Drawn:
    if figure is not None:
        yield name, figure


def _file_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+@=_-]+", "-", label)[:80]


# The first replication of each scenario by its label, machine by machine.
def _by_machine(comparison: Comparison) -> dict[str, dict[str, ResultTotals]]:
    found: dict[str, dict[str, ResultTotals]] = {}
    for label, runs in zip(comparison.labels, comparison.runs, strict=True):
        name = _file_name(name_of(runs[0].scenario.machine))
        found.setdefault(name, {})[label] = runs[0]
    return found


# Of each kernel its first run.
def _first_of_kernel(runs: Mapping[str, ResultTotals]) -> list[ResultTotals]:
    of_kernel: dict[str, ResultTotals] = {}
    for run in runs.values():
        of_kernel.setdefault(name_of(run.scenario.kernel), run)
    return list(of_kernel.values())


# Labels, of one machine without its name.
def _without(labels: Iterable[str], machine: str) -> list[str]:
    return [label.removeprefix(f"{machine} ") for label in labels]


#: What can be drawn, by name.
KINDS: Final[Mapping[str, Callable[[Comparison], Drawn]]] = {
    "change": _change,
    "scaling": _scaling,
    "time": _time,
    "difference": _difference,
    "latency": _latency,
    "course": _course,
    "flush": _flush,
    "victims": _victims,
    "throughput": _throughput,
    "batch": _batch,
}
#: What a page shows.
PAGE_KINDS: Final = ("change", "scaling", "difference", "time", "latency", "victims", "batch")
