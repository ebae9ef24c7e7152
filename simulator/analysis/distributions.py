# SPDX-License-Identifier: MIT
"""
Counts and distributions of results side by side
------------------------------------------------

For results that are no replications of one another: the trace of a real machine
and a simulation of the same job.  The first is the reference.

Modelled: counts of the phases that all have in common, or of all phases where
they have none in common; histograms of latencies, and the Kolmogorov-Smirnov
distance of each to the first's.

Not modelled: whether a difference is more than chance: a trace is one run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from simulator.analysis.histogram import Histogram

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("SideBySide", "histogram_distance", "side_by_side")

_SUMS: Final = ("flushes", "ipis", "ipis_saved", "other_broadcasts", "other_ipis")
_LATENCIES: Final = ("flush", "ack", "handler")


class _Frames(Protocol):
    @property
    def summary(self) -> pd.DataFrame: ...
    @property
    def counts(self) -> pd.DataFrame: ...
    @property
    def latency(self) -> pd.DataFrame: ...


@dataclass(frozen=True, eq=False)
class SideBySide:
    """
    Results in one table.

    ``phases``: those compared; ``counts``: by name, one for each result, None where it is not
    known; ``histograms``: by what was timed, one for each result; ``distances``: of each to the
    first, None where one has no values.
    """

    names: tuple[str, ...]
    phases: tuple[str, ...]
    counts: Mapping[str, tuple[int | None, ...]]
    histograms: Mapping[str, tuple[Histogram, ...]]
    distances: Mapping[str, tuple[float | None, ...]]


def side_by_side(results: Mapping[str, _Frames]) -> SideBySide:
    """Return results by name in one table; the first is the reference."""
    of = list(results.values())
    phases = [[str(phase) for phase in result.summary["phase"]] for result in of]
    common = [phase for phase in phases[0] if all(phase in other for other in phases)]
    used = [common or own for own in phases]
    counts: dict[str, tuple[int | None, ...]] = {
        name: tuple(_sum(result.summary, name, own) for result, own in zip(of, used, strict=True))
        for name in _SUMS
    }
    for name in of[0].counts:
        if name != "phase" and all(name in result.counts for result in of):
            counts[str(name)] = tuple(
                _sum(result.counts, str(name), own) for result, own in zip(of, used, strict=True)
            )
    histograms = {
        what: tuple(
            _histogram(result.latency, what, own) for result, own in zip(of, used, strict=True)
        )
        for what in _LATENCIES
    }
    return SideBySide(
        names=tuple(results),
        phases=tuple(common or ("all",)),
        counts={name: values for name, values in counts.items() if any(values)},
        histograms=histograms,
        distances={
            what: tuple(histogram_distance(of_all[0], each) for each in of_all)
            for what, of_all in histograms.items()
        },
    )


def histogram_distance(one: Histogram, other: Histogram) -> float | None:
    """
    Return the Kolmogorov-Smirnov distance of two histograms of like buckets; None without values.

    >>> a = Histogram.of_buckets([0, 1], [1, 2], [1, 1])
    >>> histogram_distance(a, Histogram.of_buckets([1], [2], [5]))
    0.5
    """
    if not (one.total and other.total):
        return None
    edges = np.union1d(one.high, other.high)
    return float(np.abs(_below(one, edges) - _below(other, edges)).max())


def _below(histogram: Histogram, edges: np.ndarray) -> np.ndarray:
    upto = np.concatenate([[0], np.cumsum(histogram.count)]) / histogram.total
    return upto[np.searchsorted(histogram.high, edges, side="right")]


# -1 is what a trace does not tell.
def _sum(frame: pd.DataFrame, name: str, phases: Sequence[str]) -> int | None:
    values = frame[frame["phase"].isin(phases)][name]
    known = values[values >= 0]
    return int(known.sum()) if len(known) or not len(values) else None


def _histogram(latency: pd.DataFrame, what: str, phases: Sequence[str]) -> Histogram:
    rows = latency[(latency["what"] == what) & latency["phase"].isin(phases)]
    return Histogram.of_buckets(rows["low_ns"], rows["high_ns"], rows["count"])
