# SPDX-License-Identifier: MIT
"""
Published times
---------------

Wall times of ``echo N > nr_hugepages`` (alloc) and ``echo 0 > nr_hugepages``
(free) on two real machines, before and after the batching series.

Modelled: `next-20230824` as ``v6.6``, and with the series as ``v6.6+8``.

Not modelled: the times of the patched kernel are of the first posting of the
series; ``v6.6+8`` is the series as it was merged.

Sources: cover letter of the series, file ``published_times.csv``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources

from simulator.analysis.frames import ResultTotals, name_of

__all__ = ("PublishedTime", "published_for", "published_times")

# What was measured, by the name that it has here; the profiles are fitted to the first.
_KERNELS = {"next-20230824": "v6.6", "next-20230824+batching": "v6.6+8"}
_FITTED = "v6.6"
_PAGE_SIZES = {"2048": "2M", "1048576": "1G"}


@dataclass(frozen=True, slots=True)
class PublishedTime:
    """
    How long one phase took on a real machine.

    ``kernel`` is the name of the kernel here, ``release`` the one that was
    measured; ``source`` is the Message-ID of the mail.
    """

    machine: str
    kernel: str
    release: str
    hvo: bool
    phase: str
    pages: int
    page_size: str
    elapsed_ns: int
    source: str

    @property
    def fitted(self) -> bool:
        """Whether the profile of the machine was fitted to this time; if not, it is predicted."""
        return self.kernel == _FITTED


def published_times() -> tuple[PublishedTime, ...]:
    """
    Return the published times in the order of the file.

    >>> first = published_times()[0]
    >>> first.machine, first.kernel, first.hvo, first.phase, first.pages, first.elapsed_ns
    ('xeon-e7-8895-8s', 'v6.6', False, 'alloc', 500000, 4119000000)
    """
    file = resources.files("simulator.analysis") / "published_times.csv"
    with file.open(encoding="utf-8") as lines:
        return tuple(
            PublishedTime(
                machine=row["machine"],
                kernel=_KERNELS[row["kernel"]],
                release=row["kernel"],
                hvo={"off": False, "on": True}[row["hvo"]],
                phase=row["phase"],
                pages=int(row["n_pages"]),
                page_size=_PAGE_SIZES[row["page_kb"]],
                elapsed_ns=int(Decimal(row["real_s"]) * 10**9),
                source=row["source"],
            )
            for row in csv.DictReader(lines)
        )


def published_for(result: ResultTotals, times: Iterable[PublishedTime]) -> dict[str, PublishedTime]:
    """Return, by phase, those of the times that are of what this result simulated."""
    s = result.scenario
    machine = getattr(s, "machine_model", s.machine)
    whole = s.cpus is None or s.cpus == getattr(machine, "nr_cpus", None)
    if not whole or s.path != "pool" or s.allocators != 1:
        return {}
    simulated = (name_of(machine), name_of(s.kernel), bool(s.hvo), s.pages, s.page_size)
    return {
        t.phase: t for t in times if (t.machine, t.kernel, t.hvo, t.pages, t.page_size) == simulated
    }
