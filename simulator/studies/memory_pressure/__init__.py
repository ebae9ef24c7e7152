# SPDX-License-Identifier: MIT
"""
When memory is short: the answers to ENOMEM at a PMD split
----------------------------------------------------------

The answer that was merged (v6.7), the ones that were debated, and v6.6,
from no free base page to enough for all, with huge pages that share
vmemmap PMDs or have one each; then what else cannot be had: one PTE
page, head pages, restore pages; and what a batch costs that asks for all
memory, since it holds its vmemmap until the flush.

Not modelled: reclaim and the OOM killer, which a real kernel tries
first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.scenario import Scenario
    from simulator.trace.result import Result

__all__ = ("KERNELS", "MemoryPressure", "MemoryPressureFindings")

MACHINE = "epyc-7j13-vm252"
# Before the series, the answer that was merged, and the others.
KERNELS = (
    "v6.6",
    "v6.7",
    "v6.7+enomem-abort",
    "v6.7+enomem-ignore",
    "v6.7+enomem-go-on",
    "v6.7+enomem-retry",
)
NR_PAGES, NR_PAGES_QUICK = 1024, 64  # huge pages of 2 MB
STEP = 2  # from one number of free pages to the next
STEP_LISTED = 16  # ... in the tables
APART = "Each huge page in a PMD of its own"
# Page by page, and batched; v7.3 retries at boot.
PRICE_KERNELS = ("v6.6", "v6.7", "v6.12", "v7.1", "v7.3")
ONE_FAILS = "the PTE page of the split in the middle, once"


@dataclass(frozen=True, kw_only=True)
class MemoryPressure(Study):
    """What a fill ends with, by kernel and by how many base pages are free."""

    NAME: ClassVar = "memory_pressure"
    QUESTION: ClassVar = "When memory is short: the answers to ENOMEM at a PMD split"
    REPORT: ClassVar = "memory-pressure.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    pages: int | None = option("number", None, f"huge pages of 2 MB (default {NR_PAGES})")
    cpus: int | None = option("number", None, "the first N CPUs of the machine (default all)")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NR_PAGES_QUICK} pages")

    @cached_property
    def placements(self) -> Mapping[str, Scenario]:
        """The scenarios to start from by how the huge pages lie."""
        from simulator.scenario import Scenario

        pages = NR_PAGES_QUICK if self.quick else NR_PAGES
        base = Scenario(
            machine=self.machine,
            pages=pages if self.pages is None else self.pages,
            cpus=self.cpus,
            seed=self.seed,
            phases=("alloc",),
        )
        return {
            APART: base.replace(placement=f"pmds={base.pages}"),
            "64 huge pages to a PMD": base,
        }

    @cached_property
    def sweeps(self) -> Mapping[str, list[Scenario]]:
        """By placement, each number of free pages, from none to enough, with each kernel."""
        return {where: _sweep(base) for where, base in self.placements.items()}

    @cached_property
    def failures(self) -> Mapping[str, list[Scenario]]:
        """What else cannot be had, and the scenarios of the kernels that it concerns."""
        base = self.placements[APART].replace(phases=("alloc", "free"))
        middle = 7 * (base.pages // 2)
        few = max(2, base.pages // 4)
        # Enough pages for all: what fails is over at once, and most answers cost nothing then.
        once = base.replace(
            phases=("alloc",), free_pages=2 * base.pages, faults={"pte_page": (base.pages // 2,)}
        )
        heads = {"head_page": tuple(range(1, base.pages + 1))}
        in_a_row = {"restore_page": (middle, middle + 1, middle + 2)}
        cases = {
            "nothing fails": base,
            "no new head page at all": base.replace(faults=heads),
            ONE_FAILS: once,
            "one restore page in the middle": base.replace(faults={"restore_page": (middle,)}),
            "three restore pages in a row": base.replace(faults=in_a_row),
            f"{few:,} base pages free before the alloc": base.replace(free_pages=few),
        }
        return {
            what: [s.replace(kernel=k) for k in (KERNELS if what == ONE_FAILS else KERNELS[:2])]
            for what, s in cases.items()
        }

    @property
    def memory_pages(self) -> int:
        """The memory of which all is asked for, in pages of 2 MB."""
        from simulator.studies.whole_memory import LEAST

        return max(LEAST, 4 * self.placements[APART].pages)

    @cached_property
    def prices(self) -> Mapping[str, list[Scenario]]:
        """All memory asked for in one write and at boot, by each kernel with a price."""
        from simulator.studies.whole_memory import whole_memory

        pages = self.memory_pages
        return {
            action: [
                whole_memory(
                    self.machine,
                    pages,
                    cpus=self.cpus,
                    seed=self.seed,
                    phases=(f"{action} {pages}",),
                    kernel=kernel,
                )
                for kernel in PRICE_KERNELS
            ]
            for action in ("write", "boot")
        }

    def scenarios(self) -> list[Scenario]:
        """Return the sweeps over free pages, what else cannot be had, and all memory."""
        found = [*self.sweeps.values(), *self.failures.values(), *self.prices.values()]
        return [scenario for scenarios in found for scenario in scenarios]

    def run(self, progress: Progress | None = None) -> MemoryPressureFindings:
        """Simulate all scenarios."""
        from simulator.experiment import simulate_all

        swept, failed, whole = (
            {what: list(simulate_all(scenarios, progress)) for what, scenarios in of.items()}
            for of in (self.sweeps, self.failures, self.prices)
        )
        return MemoryPressureFindings(study=self, swept=swept, failed=failed, whole=whole)


@dataclass(frozen=True, kw_only=True, eq=False)
class MemoryPressureFindings(Findings):
    """The results by placement, by what fails, and by how all memory is asked for."""

    study: MemoryPressure
    swept: Mapping[str, Sequence[Result]]
    failed: Mapping[str, Sequence[Result]]
    whole: Mapping[str, Sequence[Result]]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        from simulator.analysis.safety import any_unsafe

        return any_unsafe(
            r for of in (self.swept, self.failed, self.whole) for runs in of.values() for r in runs
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per placement, number of free pages and kernel."""
        from dataclasses import asdict

        from simulator.studies.memory_pressure.numbers import outcome_of

        return [
            {"placement": where, **asdict(outcome_of(r))}
            for where, results in self.swept.items()
            for r in results
        ]

    def text(self, command: str = "") -> str:
        """Return the tables, of some of the numbers of free pages."""
        from simulator.studies.memory_pressure.numbers import prices_of
        from simulator.studies.memory_pressure.text import pressure_report

        table = {
            where: [r for r in results if r.scenario.free_pages in _listed(results)]
            for where, results in self.swept.items()
        }
        prices = prices_of(self.whole, self.study.memory_pages)
        command = command or self.study.command
        return pressure_report(table, self.failed, prices, command=command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield a plot for each question, of all numbers of free pages."""
        from simulator.studies.memory_pressure.numbers import prices_of
        from simulator.studies.memory_pressure.plot import plot_pressure, plot_prices

        for name, figure in plot_pressure(self.swept, self.failed[ONE_FAILS]):
            yield f"memory-pressure-{name}", figure
        runs = [r for found in self.whole.values() for r in found]
        yield (
            "memory-pressure-price",
            plot_prices(prices_of(self.whole, self.study.memory_pages), runs),
        )


def _sweep(base: Scenario) -> list[Scenario]:
    from simulator.run import simulate

    probe = simulate(base.replace(kernel="v6.7"))
    nr_pmds = int(probe.summary["pmd_splits"].iloc[0])
    # A PTE page for each PMD, and a head page for each folio too.
    counts = [0, *_powers(STEP, nr_pmds), nr_pmds, nr_pmds + base.pages]
    return [base.replace(free_pages=n, kernel=k) for n in counts for k in KERNELS]


# The numbers of free pages that the tables list: the ends, and some between.
def _listed(results: Sequence[Result]) -> set[int]:
    free = (r.scenario.free_pages for r in results)
    counts = sorted({n for n in free if n is not None})
    return {0, *_powers(STEP_LISTED, counts[-2]), *counts[-2:]}


# The powers of a number, from 1 on, that are below another.
def _powers(base: int, below: int) -> Iterator[int]:
    power = 1
    while power < below:
        yield power
        power *= base
