# SPDX-License-Identifier: MIT
"""
Does batching still pay with INVLPGB?
-------------------------------------

v7.3 and the same kernel without batching, with flushes by INVLPGB and by interrupts
(``tlbi=ipi``), by the number of CPUs; and how long TLBSYNC would have to take for batching
to double the speed.

Nobody has published HVO on such a machine, nor what TLBSYNC takes on two sockets: all of it is
extrapolated.

Not modelled: the kernels before v6.15 on such a machine, which interrupt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.errors import InputError
from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.scenario import Scenario
    from simulator.studies.does_batching_still_pay.numbers import Point
    from simulator.trace.result import Result

__all__ = ("BATCHED", "UNBATCHED", "DoesBatchingStillPay", "DoesBatchingStillPayFindings")

MACHINE = "epyc-9755-2s"
UNBATCHED, BATCHED = "v7.3+unbatched", "v7.3"
PAGES, PAGES_QUICK = 4096, 256
STEP = 4  # from one number of CPUs to the next
FEWEST_CPUS = 2


@dataclass(frozen=True, kw_only=True)
class DoesBatchingStillPay(Study):
    """Batched and not, by interrupts and by hardware, by the number of CPUs."""

    NAME: ClassVar = "does_batching_still_pay"
    QUESTION: ClassVar = "Does batching still pay with INVLPGB?"
    REPORT: ClassVar = "does-batching-still-pay.txt"

    machine: str = option("name", MACHINE, f"one with INVLPGB (default {MACHINE})")
    pages: int | None = option("number", None, f"huge pages of 2 MB (default {PAGES})")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{PAGES_QUICK} pages, and fewer numbers of CPUs")

    def scenarios(self) -> list[Scenario]:
        """Return each mechanism without and with batching, by the number of CPUs."""
        from simulator.scenario import Scenario

        pages = PAGES_QUICK if self.quick else PAGES
        base = Scenario(
            machine=self.machine,
            kernel=UNBATCHED,
            pages=pages if self.pages is None else self.pages,
            seed=self.seed,
        )
        if base.flush_mechanism != "invlpgb":
            raise InputError(f"machine: {self.machine} has no INVLPGB (nearest: {MACHINE!r})")
        return [
            base.replace(kernel=kernel, cpus=cpus, tunables={"tlbi_ipi": by_ipi})
            for cpus in _numbers(base.nr_cpus, STEP * STEP if self.quick else STEP)
            for by_ipi in (1, 0)
            for kernel in (UNBATCHED, BATCHED)
        ]

    def run(self, progress: Progress | None = None) -> DoesBatchingStillPayFindings:
        """Simulate all scenarios, keeping what was flushed how."""
        from simulator.analysis.safety import any_unsafe
        from simulator.experiment import simulate_all
        from simulator.studies.does_batching_still_pay.numbers import points

        found: list[Point] = []
        runs: list[Result] = []
        broken = False
        for result in simulate_all(self.scenarios(), progress):
            broken |= any_unsafe([result])
            found += points(result)
            runs.append(result)
        # Of the whole machine: what the report says of kernels and machine.
        return DoesBatchingStillPayFindings(study=self, points=found, runs=runs[-4:], broken=broken)


@dataclass(frozen=True, kw_only=True, eq=False)
class DoesBatchingStillPayFindings(Findings):
    """What each run took, and the results of the whole machine."""

    study: DoesBatchingStillPay
    points: Sequence[Point]
    runs: Sequence[Result]
    broken: bool

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per phase of each run."""
        return [{**asdict(point), "flush_share": point.flush_share} for point in self.points]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        return self.broken

    def text(self, command: str = "") -> str:
        """Return a table of each phase, and what TLBSYNC would have to take."""
        from simulator.studies.does_batching_still_pay.text import batching_report

        return batching_report(self.points, self.runs, command or self.study.command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of the time of a page by the number of CPUs."""
        from simulator.studies.does_batching_still_pay.plot import plot_batching

        yield "does-batching-still-pay", plot_batching(self.points, self.runs)


def _numbers(most: int, step: int) -> Iterator[int]:
    cpus = FEWEST_CPUS
    while cpus < most:
        yield cpus
        cpus *= step
    yield most
