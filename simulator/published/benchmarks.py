# SPDX-License-Identifier: MIT
"""
Published benchmarks
--------------------

What flushes and interrupts took on real machines, each by itself: the figures
that the primitives of the model are held against.

``ipi_benchmark``
    one IPI, one broadcast, in four variants of a KVM guest;
``madvise``
    a system call whose TLB flush reaches 0, 1 or 3 other CPUs, by the number of
    threads; the call itself and a page fault are in it, so that the figure of one
    thread is given: what others add to it is simulated;
``flush``
    a flush by its number of pages, on one CPU;
``victim``
    what another CPU loses to one flush, by its number of pages.

Not modelled: the madvise times ``before v5.13``, when the initiator flushed its own
TLB first and the others' then; they are in the file for comparison.

Sources: each row of ``published_benchmarks.csv`` names its own: a commit, the
Message-ID of a mail, or a measurement made for this project.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from typing import Literal, cast

__all__ = ("PublishedFigure", "published_figures")

Role = Literal["fitted", "given", "predicted"]

# Of the Core i5-3320M.
_CYCLES_PER_NS = 2.6


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """
    One figure of a benchmark.

    ``ns`` is the time of one call, on average; ``total_ns`` that of all ``calls``,
    as it was printed; ``role`` says what it is to the model: a profile was fitted to it, it is
    given (others are simulated on top of it), or it is predicted.
    """

    benchmark: str
    machine: str
    case: str
    figure: str
    total_ns: float
    calls: int
    role: Role
    source: str

    @property
    def ns(self) -> float:
        """The time of one call."""
        return self.total_ns / self.calls


def published_figures(benchmark: str, machine: str | None = None) -> tuple[PublishedFigure, ...]:
    """
    Return the figures of a benchmark, of one machine or all, in the order of the file.

    >>> first = published_figures("ipi_benchmark")[0]
    >>> first.case, first.figure, round(first.ns)
    ('x2apic cluster mode, vanilla', 'Normal IPI received', 2239)
    """
    file = resources.files("simulator.published") / "published_benchmarks.csv"
    with file.open(encoding="utf-8") as lines:
        return tuple(
            PublishedFigure(
                benchmark=row["benchmark"],
                machine=row["machine"],
                case=row["case"],
                figure=row["figure"],
                total_ns=int(row["total"]) / {"ns": 1, "cycles": _CYCLES_PER_NS}[row["unit"]],
                calls=int(row["calls"]),
                role=cast("Role", row["role"]),
                source=row["source"],
            )
            for row in csv.DictReader(lines)
            if row["benchmark"] == benchmark and machine in (None, row["machine"])
        )
