# SPDX-License-Identifier: MIT
"""
What does the demotion of 1 GB pages cost?
------------------------------------------

A pool of 1 GB pages is filled with HVO on, then all of them are demoted to 2 MB pages by
one write to ``demote``: page by page up to v6.11, with 513 grace periods for each since
v6.11, and in one batch since v6.12; beside it what was published of both.

Not modelled: what else the split of a huge page costs beside its struct pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from simulator.studies.by_kernel import ByKernelFindings
from simulator.studies.study import Progress, Study, checked, option

if TYPE_CHECKING:
    from simulator.analysis.by_kernel import KernelPhase
    from simulator.scenario import Scenario
    from simulator.trace.result import Result

__all__ = ("KERNELS", "PUBLISHED_S", "Demotion", "DemotionFindings")

MACHINE = "epyc-7j13-vm252"
KERNELS = ("v6.1", "v6.6", "v6.7", "v6.11", "v6.12", "v6.12.117", "v6.18", "v7.3")
PAGES, PAGES_QUICK = 8, 1
#: Of 100 pages: c0f398c3b2cf ("mm/hugetlb_vmemmap: batch HVO work when demoting") (in v6.12).
PUBLISHED_PAGES = 100
PUBLISHED_S = {"v6.11": 538.0, "v6.12": 0.9}


@dataclass(frozen=True, kw_only=True)
class Demotion(Study):
    """The demotion of a pool on releases with and without batches."""

    NAME: ClassVar = "demotion"
    QUESTION: ClassVar = "What does the demotion of 1 GB pages cost?"
    REPORT: ClassVar = "demotion.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    pages: int | None = option("number", None, f"pages of 1 GB (default {PAGES})")
    cpus: int | None = option("number", None, "the first N CPUs of the machine (default all)")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"pages: {PAGES_QUICK}")

    @property
    def asked(self) -> int:
        """How many pages are demoted."""
        if self.pages is None:
            return PAGES_QUICK if self.quick else PAGES
        return checked("pages", self.pages, 1, 1 << 12)

    def scenarios(self) -> list[Scenario]:
        """Return each kernel, filling the pool and demoting all of it."""
        from simulator.scenario import Scenario

        base = Scenario(
            machine=self.machine, page_size="1G", pages=self.asked, cpus=self.cpus,
            seed=self.seed, phases=("alloc", f"demote {self.asked}"),
        )  # fmt: skip
        return [base.replace(kernel=kernel) for kernel in KERNELS]

    def run(self, progress: Progress | None = None) -> DemotionFindings:
        """Simulate all scenarios, keeping what demotion took."""
        from simulator.analysis.by_kernel import kernel_phases
        from simulator.experiment import simulate_all

        phases: list[KernelPhase] = []
        runs: list[Result] = []
        for result in simulate_all(self.scenarios(), progress):
            found = kernel_phases(result, f"{self.asked:,} x 1G", self.asked)
            phases += [phase for phase in found if phase.phase.startswith("demote")]
            runs.append(result)
        return DemotionFindings(study=self, phases=phases, runs=runs)


@dataclass(frozen=True, kw_only=True, eq=False)
class DemotionFindings(ByKernelFindings):
    """The demotion on all kernels, and a result of each."""

    HOW_TO_READ: ClassVar = (
        "Elapsed time of one write to demote, of all pages of a pool that was filled with HVO on."
    )

    study: Demotion

    def text(self, command: str = "") -> str:
        """Return the table, a row for each kernel, and what was published."""
        from simulator.studies.demotion.text import demotion_report

        return demotion_report(self.phases, self.runs, command or self.study.command)
