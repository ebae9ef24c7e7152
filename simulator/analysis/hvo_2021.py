# SPDX-License-Identifier: MIT
"""
The first published figures of HVO
----------------------------------

Of February 2021, before HVO was merged: times of ``echo 10240 > nr_hugepages`` and
``echo 0``, each with HVO off and on, and what bpftrace's hist() showed of the time in
alloc_fresh_huge_page() and free_pool_huge_page().

Modelled: the same buckets for simulated folios, powers of two; K is 1024, as in
bpftrace.  The time of a folio is from its start to the end of its own work, which is
what the two functions span but for some list work under hugetlb_lock.

Not modelled: what the probes themselves cost, which the histograms contain and the
times do not.

Source: cover letter of the series, file ``published_hvo_2021.csv``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from itertools import groupby

import numpy as np

from simulator.analysis.frames import ResultFrames
from simulator.analysis.histogram import Histogram

__all__ = ("PublishedHistogram", "folio_times", "log2_histogram", "published_hvo_2021")


@dataclass(frozen=True, eq=False)
class PublishedHistogram:
    """One run on the real machine: its time and its histogram, of the time of ``function``."""

    hvo: bool
    phase: str
    function: str
    pages: int
    elapsed_ns: int
    histogram: Histogram
    source: str

    @property
    def page_ns(self) -> float:
        """The time for one page, loops and locks included."""
        return self.elapsed_ns / self.pages

    @property
    def fitted(self) -> bool:
        """Whether the profile ``server-2021`` was fitted to this time."""
        return not (self.hvo and self.phase == "free")


def published_hvo_2021() -> tuple[PublishedHistogram, ...]:
    """
    Return the four runs: alloc with HVO off and on, free with HVO off and on.

    >>> [(p.phase, p.hvo, p.elapsed_ns // 10**6) for p in published_hvo_2021()]
    [('alloc', False, 67), ('alloc', True, 166), ('free', False, 81), ('free', True, 213)]
    """
    file = resources.files("simulator.analysis") / "published_hvo_2021.csv"
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return tuple(
        _published(list(group)) for _, group in groupby(rows, lambda r: (r["phase"], r["hvo"]))
    )


def _published(rows: list[dict[str, str]]) -> PublishedHistogram:
    first = rows[0]
    return PublishedHistogram(
        hvo={"off": False, "on": True}[first["hvo"]],
        phase=first["phase"],
        function=first["function"],
        pages=int(first["n_pages"]),
        elapsed_ns=int(Decimal(first["real_s"]) * 10**9),
        histogram=Histogram.of_buckets(
            *([int(row[name]) for row in rows] for name in ("low_ns", "high_ns", "count"))
        ),
        source=first["source"],
    )


def folio_times(result: ResultFrames, phase: str) -> list[int]:
    """Return how long each folio of a phase was worked on, in nanoseconds."""
    folios = result.folios[result.folios["phase"] == phase]
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
