# SPDX-License-Identifier: MIT
"""
Where should the ceiling of single-page flushes be?
---------------------------------------------------

One CPU flushes over and over, by number of pages and with the ceiling
out of the way, and misses again what the flush took from the TLB: for
several numbers of translations that are used again after a full flush,
and on several machines.

Not modelled: other CPUs; see the study shootdown_cpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.scenario import Scenario
    from simulator.trace.result import Result

__all__ = ("FlushCeiling", "FlushCeilingFindings", "cheaper_from")

MACHINE = "core-i5-3320m"
# Others to ask, bare metal and guests.
MACHINES = ("core-i5-4590", "xeon-8375c-2s", "epyc-7r13-2s", "xeon-e7-8895-8s", "epyc-7j13-vm252")
SIZES = tuple(range(1, 129))  # pages
ENTRIES = (0, 64, 128, 192, 256, 512)  # translations used again after a full flush
DRAWN = (0, 128, 192, 256, 512)
NTIMES, NTIMES_QUICK = 1000, 10


@dataclass(frozen=True, kw_only=True)
class FlushCeiling(Study):
    """INVLPG page by page against a full flush and the misses after it."""

    NAME: ClassVar = "flush_ceiling"
    QUESTION: ClassVar = "Where should the ceiling of single-page flushes be?"
    REPORT: ClassVar = "flush-ceiling.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NTIMES_QUICK} flushes of each, not {NTIMES}")

    def on(self, machine: str) -> Scenario:
        """Return one CPU of a machine, with the ceiling out of the way."""
        from simulator.machine import load_machine
        from simulator.scenario import Scenario
        from simulator.validation.benchmarks import CEILING

        return Scenario(
            machine=load_machine(machine), pages=1, cpus=1, seed=self.seed,
            tunables={CEILING: max(SIZES)},
        )  # fmt: skip

    @cached_property
    def by_entries(self) -> Mapping[int, Scenario]:
        """The machine, by how many translations are used again after a full flush."""
        whole = self.on(self.machine)
        return {n: _refilled(whole, n) for n in ENTRIES}

    @cached_property
    def by_machine(self) -> Mapping[str, Scenario]:
        """The machine and others as their profiles have them, by name."""
        found = [self.on(name) for name in dict.fromkeys((self.machine, *MACHINES))]
        return {s.machine_model.name: s for s in found}

    def scenarios(self) -> list[Scenario]:
        """Return the machine with each number of misses, then all machines."""
        return [*self.by_entries.values(), *self.by_machine.values()]

    def run(self, progress: Progress | None = None) -> FlushCeilingFindings:
        """Flush every number of pages in each scenario."""
        from simulator.kernel.modules.tlb_flush import TlbFlush
        from simulator.run import simulate_module

        module = TlbFlush((*SIZES, None), NTIMES_QUICK if self.quick else NTIMES)

        def run(wanted: Scenario) -> Result:
            if progress is not None:
                progress()
            return simulate_module(wanted, module)

        return FlushCeilingFindings(
            study=self,
            by_entries={n: run(s) for n, s in self.by_entries.items()},
            by_machine={name: run(s) for name, s in self.by_machine.items()},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FlushCeilingFindings(Findings):
    """The results by how many translations are used again, and by machine."""

    study: FlushCeiling
    by_entries: Mapping[int, Result]
    by_machine: Mapping[str, Result]

    @property
    def flushes(self) -> Result:
        """The machine as its profile has it."""
        return next(iter(self.by_machine.values()))

    @property
    def ceiling(self) -> int:
        """The kernel's, in pages."""
        from simulator.validation.benchmarks import CEILING

        default, *_ = self.flushes.scenario.kernel_class.TUNABLES[CEILING]
        return int(default)

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        from simulator.analysis.safety import any_unsafe

        return any_unsafe([*self.by_entries.values(), *self.by_machine.values()])

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per machine and number of translations used again."""
        of_machine = [(name, None, r) for name, r in self.by_machine.items()]
        of_entries = [(self.study.machine, n, r) for n, r in self.by_entries.items()]
        return [
            {"machine": name, "used_again": n, "full_flush_cheaper_from_pages": cheaper_from(r)}
            for name, n, r in [*of_machine, *of_entries]
        ]

    def text(self, command: str = "") -> str:
        """Return the times by number of pages, and where a full flush gets cheaper."""
        from simulator.published.benchmarks import published_figures
        from simulator.studies.flush_ceiling.text import ceiling_report

        return ceiling_report(
            self.flushes,
            {n: cheaper_from(result) for n, result in self.by_entries.items()},
            {name: cheaper_from(result) for name, result in self.by_machine.items()},
            published_figures("flush", self.flushes.scenario.machine_model.name),
            command=command or self.study.command,
            ceiling=self.ceiling,
        )

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of time against pages."""
        from simulator.analysis.benchmarks import call_times
        from simulator.kernel.modules.tlb_flush import ALL
        from simulator.published.benchmarks import published_figures
        from simulator.studies.flush_ceiling.plot import plot_ceiling

        published = published_figures("flush", self.flushes.scenario.machine_model.name)
        full_ns = {n: call_times(self.by_entries[n])[ALL].whole_ns for n in DRAWN}
        figure = plot_ceiling(self.flushes, full_ns, published, ceiling=self.ceiling)
        yield "flush-ceiling", figure


def cheaper_from(result: Result) -> int | None:
    """Return the least number of pages whose flush costs more than a full one."""
    from simulator.analysis.benchmarks import call_times
    from simulator.kernel.modules.tlb_flush import ALL

    times = call_times(result)
    return next((n for n in SIZES if times[str(n)].whole_ns > times[ALL].whole_ns), None)


# The scenario with so many TLB misses after a full flush.
def _refilled(whole: Scenario, entries: int) -> Scenario:
    machine = whole.machine_model
    miss_ns = float(machine.costs.refill_page.exact_ns)
    return whole.replace(machine=machine.with_values({"costs.refill_full": entries * miss_ns}))
