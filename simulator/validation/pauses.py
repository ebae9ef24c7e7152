# SPDX-License-Identifier: MIT
"""
What HVO adds on arm64 with all other CPUs paused
-------------------------------------------------

The kernels ``v6.12+arm64-pause@v1`` and ``@v2`` do what was timed, with HVO and without it;
the difference is what the published time without HVO is held against.

Modelled: fewer pages than were timed.  What a page adds is scaled; what a phase does once
(grace periods and patching of static keys, one for all pages of it) is counted once.

Not modelled: the allocator's part of the difference, which is none but for its draws.

Sources: :mod:`simulator.kernel.versions.arm64_hvo`.
"""

from __future__ import annotations

from typing import Final

from simulator.analysis.frames import records
from simulator.geometry import PageSize
from simulator.machine import Machine
from simulator.run import simulate
from simulator.scenario import Scenario

__all__ = ("hvo_adds_ns",)

_TIMED: Final = "timed"
#: By case: the phases, of so many pages.
_PHASES: Final = {
    "alloc 1G": ("timed: 1G write {n}",),
    "free 1G": ("1G write {n}", "timed: 1G write 0"),
    "demote 1G": ("1G write {n}", "timed: demote {n}"),
    "alloc 2M": ("timed: write {n}",),
    "free 2M": ("write {n}", "timed: write 0"),
}
_ONCE: Final = ("rcu", "static_key")
_ALLOCATOR: Final = ("huge_page_alloc", "huge_page_free")
#: How many calls of the other benchmarks are worth a page, and the fewest pages.
_CALLS_PER_PAGE: Final = {"1G": 250, "2M": 2}
_FEWEST: Final = 4


def hvo_adds_ns(
    machine: Machine, mechanism: str, case: str, pages: int, ntimes: int, seed: int
) -> float:
    """
    Return what HVO adds to a request for ``pages`` huge pages, in nanoseconds.

    ``mechanism`` is ``pause@v1`` or ``pause@v2``, ``case`` one of hvo_pause; ``ntimes`` are
    the calls that other benchmarks make, from which follows how many pages are simulated.
    Raises InputError for a machine that cannot run these kernels.
    """
    page_size: PageSize = "2M" if case.endswith("2M") else "1G"
    nr = min(pages, max(_FEWEST, ntimes // _CALLS_PER_PAGE[page_size]))
    whole = Scenario(
        machine=machine,
        kernel=f"v6.12+arm64-{mechanism}",
        pages=nr,
        page_size=page_size,
        phases=tuple(phase.format(n=nr) for phase in _PHASES[case]),
        noise="quiet",
        seed=seed,
    )
    with_hvo, without = (_time(whole.replace(hvo=hvo), pages / nr) for hvo in (True, False))
    return with_hvo - without


def _time(scenario: Scenario, scale: float) -> float:
    return sum(
        float(row["ns"]) * (1 if row["category"] in _ONCE else scale)
        for row in records(simulate(scenario, checks=None).time_by)
        if row["phase"] == _TIMED and row["category"] not in _ALLOCATOR
    )
