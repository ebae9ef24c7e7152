# SPDX-License-Identifier: MIT
"""
What did each release since v6.1 do to my 2 MB and 1 GB fill?
-------------------------------------------------------------

Every release that is modelled, from v6.1 to v7.3: a pool of huge pages is filled and
emptied with HVO on, once of 2 MB pages and once of 1 GB pages.

Not modelled: what else changed between releases, such as the allocation of huge pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from simulator.geometry import PER_GIGANTIC
from simulator.studies.by_kernel import ByKernelFindings
from simulator.studies.study import Progress, Study, checked, option

if TYPE_CHECKING:
    from simulator.analysis.by_kernel import KernelPhase
    from simulator.scenario import Scenario
    from simulator.trace.result import Result

__all__ = ("KERNELS", "KernelReleases", "KernelReleasesFindings")

MACHINE = "epyc-7j13-vm252"
KERNELS = (
    "v6.1", "v6.6", "v6.7", "v6.11", "v6.12", "v6.12.117", "v6.15", "v6.18", "v7.1", "v7.3",
)  # fmt: skip
PAGES, PAGES_QUICK = 8192, 512  # of 2 MB


@dataclass(frozen=True, kw_only=True)
class KernelReleases(Study):
    """The same fill on every release."""

    NAME: ClassVar = "kernel_releases"
    QUESTION: ClassVar = "What did each release since v6.1 do to my 2 MB and 1 GB fill?"
    REPORT: ClassVar = "kernel-releases.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    pages: int | None = option(
        "number", None, f"huge pages of 2 MB, or as much of 1 GB (default {PAGES})"
    )
    cpus: int | None = option("number", None, "the first N CPUs of the machine (default all)")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{PAGES_QUICK} pages")

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many pages of each size: as much memory, at least one page."""
        pages = PAGES_QUICK if self.quick else PAGES
        if self.pages is not None:
            pages = checked("pages", self.pages, 1, 1 << 24)
        return {"2M": pages, "1G": max(1, pages // PER_GIGANTIC)}

    def scenarios(self) -> list[Scenario]:
        """Return each kernel with pages of 2 MB, then with pages of 1 GB."""
        from simulator.scenario import Scenario

        base = Scenario(machine=self.machine, pages=1, cpus=self.cpus, seed=self.seed)
        return [
            base.replace(kernel=kernel, page_size=size, pages=pages)
            for size, pages in self.sizes.items()
            for kernel in KERNELS
        ]

    def run(self, progress: Progress | None = None) -> KernelReleasesFindings:
        """Simulate all scenarios, keeping what each phase took."""
        from simulator.analysis.by_kernel import kernel_phases
        from simulator.experiment import simulate_all

        phases: list[KernelPhase] = []
        runs: list[Result] = []
        for result in simulate_all(self.scenarios(), progress):
            s = result.scenario
            phases += kernel_phases(result, f"{s.pages:,} x {s.page_size}", s.pages)
            runs.append(result)
        return KernelReleasesFindings(study=self, phases=phases, runs=runs[: len(KERNELS)])


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelReleasesFindings(ByKernelFindings):
    """Phases of all kernels, and a result of each."""

    HOW_TO_READ: ClassVar = (
        "Elapsed time of filling (alloc) and emptying (free) the pool with HVO on, of 2 MB pages"
        " and of as much memory in 1 GB pages."
    )

    study: KernelReleases

    def text(self, command: str = "") -> str:
        """Return a table of each phase and size, a row for each release."""
        from simulator.studies.kernel_releases.text import releases_report

        return releases_report(self.phases, self.runs, command or self.study.command)
