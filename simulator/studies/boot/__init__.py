# SPDX-License-Identifier: MIT
"""
What does a release do to the allocation at boot?
-------------------------------------------------

Huge pages of the kernel command line with HVO on: how many tasks and lists allocate them,
how often they flush and wait; which part of the memory they get, if they ask for all of
it and a batch holds its vmemmap until its flush; and pages of 1 GB, which are optimised
before there are struct pages since v6.15.

Not modelled: that HVO is not there yet in early boot; memory hotplug.
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

__all__ = ("KERNELS", "Boot", "BootFindings")

MACHINE = "epyc-7j13-vm252"
KERNELS = ("v6.1", "v6.6", "v6.7", "v6.12", "v6.15", "v6.18", "v7.1", "v7.3")
PAGES, PAGES_QUICK = 4096, 1024


@dataclass(frozen=True, kw_only=True)
class Boot(Study):
    """All memory in huge pages at boot, on releases with and without batches."""

    NAME: ClassVar = "boot"
    QUESTION: ClassVar = "What does a release do to the allocation at boot?"
    REPORT: ClassVar = "boot.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    pages: int | None = option(
        "number", None, f"the memory of the machine, in pages of 2 MB (default {PAGES})"
    )
    cpus: int | None = option("number", None, "the first N CPUs of the machine (default all)")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{PAGES_QUICK} pages")

    @property
    def memory_pages(self) -> int:
        """The memory of the machine, in pages of 2 MB; all of them are asked for."""
        from simulator.studies.whole_memory import LEAST

        if self.pages is None:
            return PAGES_QUICK if self.quick else PAGES
        return checked("pages", self.pages, LEAST, 1 << 24)

    @cached_property
    def base(self) -> Scenario:
        """The machine with so much memory, as full as it is at boot."""
        from simulator.studies.whole_memory import whole_memory

        pages = self.memory_pages
        return whole_memory(
            self.machine, pages, cpus=self.cpus, seed=self.seed, phases=(f"boot {pages}",)
        )

    def scenarios(self) -> list[Scenario]:
        """Return each kernel with pages of 2 MB, then with half of the memory in 1 GB pages."""
        from simulator.scenario import Scenario

        gigantic = max(1, self.memory_pages // PER_GIGANTIC // 2)
        of_1g = Scenario(
            machine=self.machine, pages=1, cpus=self.cpus, seed=self.seed,
            phases=(f"1G boot {gigantic}",),
        )  # fmt: skip
        return [base.replace(kernel=kernel) for base in (self.base, of_1g) for kernel in KERNELS]

    def run(self, progress: Progress | None = None) -> BootFindings:
        """Simulate all scenarios, keeping what each boot took and got."""
        from simulator.analysis.by_kernel import kernel_phases
        from simulator.experiment import simulate_all

        phases: list[KernelPhase] = []
        runs: list[Result] = []
        for result in simulate_all(self.scenarios(), progress):
            text = result.scenario.phases[0]
            size, number = ("1G" if "1G" in text else "2M"), int(text.split()[-1])
            phases += kernel_phases(result, f"{number:,} x {size}", number)
            runs.append(result)
        return BootFindings(study=self, phases=phases, runs=runs[: len(KERNELS)])


@dataclass(frozen=True, kw_only=True, eq=False)
class BootFindings(ByKernelFindings):
    """The boots of all kernels, and a result of each."""

    HOW_TO_READ: ClassVar = (
        "Elapsed time of the allocation at boot with HVO on, by as many tasks as each release"
        " has; left of all memory in 2 MB pages, right of half of it in 1 GB pages."
    )

    study: Boot

    def text(self, command: str = "") -> str:
        """Return the tables, a row for each kernel, and which part of the memory they got."""
        from simulator.studies.boot.text import boot_report

        return boot_report(self.phases, self.runs, command or self.study.command)
