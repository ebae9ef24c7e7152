# SPDX-License-Identifier: MIT
"""
What does synchronize_rcu() of v6.12 cost?
------------------------------------------

v6.7 against v6.12, which waits for a grace period before it remaps or
restores struct pages, by the number of huge pages: in one batch, or
surplus pages one by one; with the grace period of the machine and with
both ends of its range.

Not modelled: grace periods that several callers share, expedited ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.kernel import Kernel
    from simulator.scenario import Scenario
    from simulator.studies.synchronize_rcu.numbers import RcuCost
    from simulator.trace.result import Result

__all__ = ("KERNELS", "SynchronizeRcu", "SynchronizeRcuFindings")

MACHINE = "epyc-7j13-vm252"
KERNELS = ("v6.7", "v6.12")
COST = "costs.synchronize_rcu"
SITES = "static_key_sites"
STEP = 8  # from one number of pages to the next
NR_PAGES, NR_PAGES_QUICK = 1 << 17, 1 << 15  # the largest batch
NR_SURPLUS, NR_SURPLUS_QUICK = 512, 64  # the most worked on one by one: all cost the same
SMALL = 0.05  # of the time of a batch: less is lost in what else varies


@dataclass(frozen=True, kw_only=True)
class SynchronizeRcu(Study):
    """Grace periods in a batch and one by one, by the number of huge pages."""

    NAME: ClassVar = "synchronize_rcu"
    QUESTION: ClassVar = "What does synchronize_rcu() of v6.12 cost?"
    REPORT: ClassVar = "synchronize-rcu.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    pages: int | None = option("number", None, f"the largest batch (default {NR_PAGES})")
    cpus: int | None = option("number", None, "the first N CPUs of the machine (default all)")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"batches of up to {NR_PAGES_QUICK} pages")

    @cached_property
    def base(self) -> Scenario:
        """One page; both kernels patch as many sites, so that they differ by grace periods."""
        from simulator.kernel import load_kernel
        from simulator.scenario import Scenario

        # As many as were counted in v6.12.
        sites = load_kernel(KERNELS[-1]).TUNABLES[SITES][0]
        return Scenario(
            machine=self.machine, pages=1, cpus=self.cpus, seed=self.seed, tunables={SITES: sites}
        )

    @property
    def largest(self) -> Mapping[str, int]:
        """The most pages of each path: as asked for, or what the machine can hold."""
        machine = self.base.machine_model
        memory = int(machine.memory.node_memory.exact_bytes // self.base.page_bytes)
        pages = min(NR_PAGES_QUICK if self.quick else NR_PAGES, memory * machine.nr_nodes)
        if self.pages is not None:
            pages = self.base.replace(pages=self.pages).pages
        surplus = NR_SURPLUS_QUICK if self.quick else NR_SURPLUS
        return {"pool": pages, "surplus": min(surplus, pages)}

    def scenarios(self) -> list[Scenario]:
        """Return both kernels, then the newer one with the least and longest grace period."""
        asked = [
            self.base.replace(path=path, pages=pages)
            for path, most in self.largest.items()
            for pages in _sizes(most)
        ]
        machine = self.base.machine_model
        grace = machine.costs.synchronize_rcu
        ends = [machine.with_values({COST: f"{end:g} {grace.unit}"}) for end in grace.range]
        return [
            *(s.replace(kernel=kernel) for kernel in KERNELS for s in asked),
            *(s.replace(kernel=KERNELS[-1], machine=end) for end in ends for s in asked),
        ]

    def run(self, progress: Progress | None = None) -> SynchronizeRcuFindings:
        """Simulate all scenarios, keeping what grace periods cost."""
        from simulator.experiment import simulate_all
        from simulator.studies.synchronize_rcu.numbers import rcu_costs

        costs: list[RcuCost] = []
        firsts: dict[type[Kernel], Result] = {}
        for result in simulate_all(self.scenarios(), progress):
            costs += rcu_costs(result)
            firsts.setdefault(result.scenario.kernel_class, result)
        return SynchronizeRcuFindings(study=self, costs=costs, runs=list(firsts.values()))


@dataclass(frozen=True, kw_only=True, eq=False)
class SynchronizeRcuFindings(Findings):
    """What grace periods cost in each run, and a result of each kernel."""

    study: SynchronizeRcu
    costs: Sequence[RcuCost]
    runs: Sequence[Result]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        return any(cost.unsafe for cost in self.costs)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per phase of each run."""
        return [{**asdict(cost), "share": cost.share} for cost in self.costs]

    def text(self, command: str = "") -> str:
        """Return the tables of both paths, and of both ends of the range."""
        from simulator.studies.synchronize_rcu.text import rcu_report

        command = command or self.study.command
        return rcu_report(self.costs, self.runs, share=SMALL, command=command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of the time of a page and of the share of grace periods."""
        from simulator.studies.synchronize_rcu.plot import plot_rcu

        yield "synchronize-rcu", plot_rcu(self.costs, self.runs[0], share=SMALL)


# The powers of the step below a number of pages, and that.
def _sizes(most: int) -> Iterator[int]:
    pages = 1
    while pages < most:
        yield pages
        pages *= STEP
    yield most
