# SPDX-License-Identifier: MIT
"""
The first published figures of HVO
----------------------------------

Of February 2021, before HVO was merged: times of ``echo 10240 > nr_hugepages`` and
``echo 0``, each with HVO off and on, and what bpftrace's hist() showed of the time in
alloc_fresh_huge_page() and free_pool_huge_page().  The machine is not stated.

Not modelled: what the probes themselves cost, which the histograms contain and the
times do not.

Source: cover letter of the series, file ``published_hvo_2021.csv``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from itertools import groupby

__all__ = ("PublishedRun", "published_hvo_2021")


@dataclass(frozen=True)
class PublishedRun:
    """
    One run on the real machine: its time and its histogram, of the time of ``function``.

    ``buckets`` are (low, high, count) with ``low_ns <= time < high_ns``.
    """

    hvo: bool
    phase: str
    function: str
    pages: int
    elapsed_ns: int
    buckets: tuple[tuple[int, int, int], ...]
    source: str

    @property
    def page_ns(self) -> float:
        """The time for one page, loops and locks included."""
        return self.elapsed_ns / self.pages


def published_hvo_2021() -> tuple[PublishedRun, ...]:
    """
    Return the four runs: alloc with HVO off and on, free with HVO off and on.

    >>> [(p.phase, p.hvo, p.elapsed_ns // 10**6) for p in published_hvo_2021()]
    [('alloc', False, 67), ('alloc', True, 166), ('free', False, 81), ('free', True, 213)]
    """
    file = resources.files("simulator.published") / "published_hvo_2021.csv"
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return tuple(_run(list(group)) for _, group in groupby(rows, lambda r: (r["phase"], r["hvo"])))


def _run(rows: list[dict[str, str]]) -> PublishedRun:
    first = rows[0]
    return PublishedRun(
        hvo={"off": False, "on": True}[first["hvo"]],
        phase=first["phase"],
        function=first["function"],
        pages=int(first["n_pages"]),
        elapsed_ns=int(Decimal(first["real_s"]) * 10**9),
        buckets=tuple((int(r["low_ns"]), int(r["high_ns"]), int(r["count"])) for r in rows),
        source=first["source"],
    )
