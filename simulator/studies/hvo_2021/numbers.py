# SPDX-License-Identifier: MIT
"""
Times of folios in the buckets of bpftrace
------------------------------------------

What bpftrace's hist() would show of simulated folios, and which of the published
times the profile of the machine was fitted to.

Modelled: buckets of powers of two; K is 1024, as in bpftrace.  The time of a folio is
from its start to the end of its own work, which is what the two functions that were
probed span but for some list work under hugetlb_lock.

Not modelled: what the probes themselves cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.analysis.frames import ResultFrames, ResultTotals, of_phase, row_of_phase
from simulator.analysis.histogram import Histogram
from simulator.analysis.measured import fitted_to_ns
from simulator.published.hvo_2021 import PublishedRun
from simulator.published.times import Cell

__all__ = (
    "folio_times",
    "log2_histogram",
    "page_ns",
    "published_histogram",
    "time_rows",
    "was_fitted",
)


def published_histogram(run: PublishedRun) -> Histogram:
    """Return what was published of a run."""
    return Histogram.of_buckets(*zip(*run.buckets, strict=True))


def was_fitted(result: ResultTotals, run: PublishedRun) -> bool:
    """Return whether the machine of a result was fitted to the time of a published run."""
    s = result.scenario
    machine = s.machine_model
    cell: Cell = (machine.name, s.kernel_class.name, run.hvo, run.phase, run.pages, "2M")
    return run.elapsed_ns in fitted_to_ns(machine, cell)


def page_ns(result: ResultTotals, phase: str) -> float:
    """Return the time of a phase for one page, loops and locks included."""
    elapsed_ns: int = row_of_phase(result.summary, phase)["elapsed_ns"]
    return elapsed_ns / result.scenario.pages


def folio_times(result: ResultFrames, phase: str) -> list[int]:
    """Return how long each folio of a phase was worked on, in nanoseconds."""
    folios = of_phase(result.folios, phase)
    return [int(ns) for ns in folios["end_ns"] - folios["start_ns"]]


def log2_histogram(times_ns: Iterable[int]) -> Histogram:
    """
    Return the histogram of positive times with a bucket for each power of two.

    >>> h = log2_histogram([4096, 8191, 8192])
    >>> h.low.tolist(), h.count.tolist()
    ([4096, 8192], [2, 1])
    """
    octaves = np.array([ns.bit_length() - 1 for ns in times_ns], dtype=np.int64)
    found, counts = np.unique(octaves, return_counts=True)
    low = [1 << octave for octave in found.tolist()]
    return Histogram.of_buckets(low, [2 * ns for ns in low], counts.tolist())


def time_rows(
    published: Sequence[PublishedRun],
    results: Mapping[bool, ResultTotals],
    variants: Mapping[str, ResultTotals],
) -> list[dict[str, Any]]:
    """Return the times of a page, published and simulated, as rows of plain values."""
    runs = [(run, "", results[run.hvo]) for run in published]
    runs += [(run, what, r) for what, r in variants.items() for run in published if run.hvo]
    return [
        {
            "phase": run.phase,
            "hvo": run.hvo,
            "variant": what or None,
            "published_page_ns": run.page_ns,
            "simulated_page_ns": page_ns(result, run.phase),
            "error": page_ns(result, run.phase) / run.page_ns - 1,
            "fitted": was_fitted(result, run),
        }
        for run, what, result in runs
    ]
