# SPDX-License-Identifier: MIT
"""
What does ordering cost a fill?
-------------------------------

smp_wmb() is a compiler barrier on x86, ``dmb ishst`` on arm64 and ``fence w,w`` on RISC-V; an
arm64 kernel also has DSB ISHST and ISB after every page-table store.  A pool is filled and
emptied with HVO on, on a machine of each architecture, with pages of 2 MB and of 1 GB, and with
smp_wmb() at the value of its machine and at both ends of its range.

No latency of these barriers in such a loop was published: values are assumed.  HVO on arm64 is a
what-if.

Not modelled: barriers that get slower the more stores are under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, checked, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.scenario import Scenario
    from simulator.studies.ordering_cost.numbers import Barriers
    from simulator.trace.result import Result

__all__ = ("KERNEL_OF", "OrderingCost", "OrderingCostFindings")

#: A machine of each architecture, and the kernel on it.
KERNEL_OF = {
    "epyc-9755-2s": "v6.12",
    "altra-q80": "v6.12+arm64-bbm2",
    "sg2042-64c": "v6.12",
}
COST = "costs.smp_wmb"
GB, GB_QUICK = 16, 2
_PER_GB = 512


@dataclass(frozen=True, kw_only=True)
class OrderingCost(Study):
    """Barriers of a fill, by architecture, page size and what one costs."""

    NAME: ClassVar = "ordering_cost"
    QUESTION: ClassVar = "What does ordering cost a fill?"
    REPORT: ClassVar = "ordering-cost.txt"

    pages: int | None = option("number", None, f"pages of 1 GB (default {GB}), and as much of 2 MB")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"pages: {GB_QUICK}")

    @property
    def asked(self) -> int:
        """How many pages of 1 GB, or as many GB of 2 MB, are filled."""
        default = GB_QUICK if self.quick else GB
        return default if self.pages is None else checked("pages", self.pages, 1, 64)

    def scenarios(self) -> list[Scenario]:
        """Return each machine and page size, with smp_wmb() as it is and at both ends."""
        from simulator.scenario import Scenario

        found = []
        for name, kernel in KERNEL_OF.items():
            gigantic = Scenario(
                machine=name, kernel=kernel, page_size="1G", pages=self.asked, seed=self.seed
            )
            for base in (gigantic.replace(page_size="2M", pages=self.asked * _PER_GB), gigantic):
                wmb = base.machine_model.costs.smp_wmb
                ends = [f"{end:g} {wmb.unit}" for end in wmb.range]
                found.append(base)
                found += [
                    base.replace(machine=base.machine_model.with_values({COST: end}))
                    for end in ends
                ]
        return found

    def run(self, progress: Progress | None = None) -> OrderingCostFindings:
        """Simulate all scenarios, keeping the barriers."""
        from simulator.analysis.safety import any_unsafe
        from simulator.experiment import simulate_all
        from simulator.studies.ordering_cost.numbers import barriers

        found: list[Barriers] = []
        runs: dict[str, Result] = {}
        broken = False
        for result in simulate_all(self.scenarios(), progress):
            broken |= any_unsafe([result])
            found += barriers(result)
            runs.setdefault(result.scenario.machine_model.name, result)
        return OrderingCostFindings(
            study=self, found=found, runs=list(runs.values()), broken=broken
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class OrderingCostFindings(Findings):
    """The barriers of all runs, and a result of each machine."""

    study: OrderingCost
    found: Sequence[Barriers]
    runs: Sequence[Result]
    broken: bool

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per phase of each run."""
        return [{**asdict(row), "share": row.share} for row in self.found]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        return self.broken

    def text(self, command: str = "") -> str:
        """Return a table of each page size."""
        from simulator.studies.ordering_cost.text import ordering_report

        return ordering_report(self.found, self.runs, command or self.study.command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of the shares."""
        from simulator.studies.ordering_cost.plot import plot_ordering

        yield "ordering-cost", plot_ordering(self.found, self.runs)
