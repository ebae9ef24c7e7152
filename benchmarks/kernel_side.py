# SPDX-License-Identifier: MIT
"""
The kernel side
---------------

Host time of the kernel code: folios on one CPU, whose flushes interrupt nobody,
marginal between two sizes; and the whole published job as a user runs it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import Final
from unittest.mock import patch

from benchmarks.host import child
from benchmarks.in_engines import Compiled
from benchmarks.timing import interleaved, seconds
from benchmarks.work import Work
from simulator import Scenario, boot, simulate
from simulator.ordering.checker import Checks
from simulator.trace.recorder import Recorder

__all__ = (
    "CHECKED", "JOBS", "PerFolio", "checked_job", "checker_ratio", "flush_us", "full_job",
    "per_folio",
)  # fmt: skip

MACHINE = "epyc-7j13-vm252"
JOBS = ("v6.6", "v6.7")
#: By name, the runs that are made with and without the checker.
CHECKED: Final[dict[str, dict[str, object]]] = {
    "v6.6": {"kernel": "v6.6"},
    "v6.7": {"kernel": "v6.7"},
    "v6.7, 16 tasks at boot": {"kernel": "v6.7", "path": "boot", "allocators": 16},
}


class _Stamped(Recorder):
    # Notes the CPU time that phases take.

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # passed on as they are
        self.taken_ns: list[int] = []

    def begin_phase(self, *arguments: object) -> None:
        super().begin_phase(*arguments)  # type: ignore[arg-type]  # passed on as they are
        self.taken_ns.append(-time.thread_time_ns())

    def end_phase(self, end_ns: int) -> None:
        self.taken_ns[-1] += time.thread_time_ns()
        super().end_phase(end_ns)


@dataclass(frozen=True)
class PerFolio:
    """Host time for one more folio, and its flushes, in a phase."""

    kernel: str
    phase: str
    us: float
    flushes: float


def per_folio(kernels: tuple[str, ...], sizes: tuple[int, int], nr_rounds: int) -> list[PerFolio]:
    """Return the cost of a folio on one CPU by kernel and phase, HVO on."""
    found = []
    taken: dict[tuple[str, int], list[tuple[list[int], list[int]]]] = {}
    for _ in range(nr_rounds):
        for kernel in kernels:
            for pages in sizes:
                taken.setdefault((kernel, pages), []).append(_phases(kernel, pages))
    between = sizes[1] - sizes[0]
    for kernel in kernels:
        for i, phase in enumerate(("alloc", "free")):
            pairs = zip(taken[kernel, sizes[1]], taken[kernel, sizes[0]], strict=True)
            us = median((large[0][i] - small[0][i]) / between / 1e3 for large, small in pairs)
            large, small = (taken[kernel, size][0][1][i] for size in (sizes[1], sizes[0]))
            found.append(PerFolio(kernel, phase, us, (large - small) / between))
    return found


def flush_us(nr_rounds: int) -> float:
    """Return what a flush on one CPU costs."""
    nr = 20_000
    work = Work(MACHINE, 1, 1, nr)
    (taken,) = interleaved(
        nr_rounds, [lambda: seconds(Compiled().prepare(work, checked=False).run)]
    )
    return median(taken) / nr * 1e6


def checker_ratio(name: str, pages: int, nr_rounds: int) -> tuple[float, float]:
    """Return the CPU time of a run without the checker in seconds, and with it, x that."""
    scenario = Scenario(machine=MACHINE, pages=pages, **CHECKED[name])

    def run(checks: Checks | None) -> float:
        return seconds(lambda: simulate(scenario, checks=checks))

    without, checked = interleaved(nr_rounds, [lambda: run(None), lambda: run(Checks())])
    ratios = [with_s / without_s for without_s, with_s in zip(without, checked, strict=True)]
    return median(without), median(ratios)


def checked_job(name: str, pages: int, *, checked: bool) -> dict[str, float]:
    """Return CPU time and peak memory of a process that runs the job with or without checker."""
    return child("checked" if checked else "unchecked", name, str(pages))


def full_job(kernel: str, pages: int) -> dict[str, float]:
    """Return wall time, CPU time and peak memory of ``tlbsim run`` for the published job."""
    request = ("--pages", str(pages), "--phases", "alloc,free", "--seed", "1", "--json")
    return child("job", "--machine", MACHINE, "--kernel", kernel, *request)


def _phases(kernel: str, pages: int) -> tuple[list[int], list[int]]:
    # CPU time and broadcasts, by phase.
    made: list[_Stamped] = []

    def stamped(*arguments: object) -> _Stamped:
        made.append(_Stamped(*arguments))
        return made[-1]

    with patch.object(boot, "Recorder", stamped):
        simulate(Scenario(machine=MACHINE, kernel=kernel, pages=pages, cpus=1))
    (recorder,) = made
    flushes = [phase.counts["on_each_cpu_calls"] for phase in recorder.phases]
    return recorder.taken_ns, flushes
