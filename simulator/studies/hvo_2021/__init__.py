# SPDX-License-Identifier: MIT
"""
The first published figures of HVO: does the model give them?
-------------------------------------------------------------

Kernel v5.14 with HVO off and on, and on with idle CPUs that stay in C1
for longer, beside the four times and the four histograms that were
published before HVO was merged. The machine is a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.published.hvo_2021 import PublishedRun
    from simulator.scenario import Scenario
    from simulator.trace.result import Result

__all__ = ("Hvo2021", "Hvo2021Findings")

MACHINE = "server-2021"
KERNEL = "v5.14"
NR_PAGES_QUICK = 1024
# Within the range of the value: intel_idle says 20 us, at which the simulated CPUs just get there.
RESIDENCY = "30us"
LATE = f"C1E after {RESIDENCY} instead of 20us"
QUICK = "with --quick, the last-level cache as much smaller as there are fewer pages"


@dataclass(frozen=True, kw_only=True)
class Hvo2021(Study):
    """The times and histograms published with HVO, v15, and the simulated ones."""

    NAME: ClassVar = "hvo_2021"
    QUESTION: ClassVar = "The first published figures of HVO: does the model give them?"
    REPORT: ClassVar = "hvo-2021.txt"

    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NR_PAGES_QUICK} pages, less cache")

    @cached_property
    def published(self) -> tuple[PublishedRun, ...]:
        """The four runs on the real machine."""
        from simulator.published.hvo_2021 import published_hvo_2021

        return published_hvo_2021()

    def scenarios(self) -> list[Scenario]:
        """Return HVO off, HVO on, and HVO on with idle CPUs that stay in C1 for longer."""
        from simulator.experiment.few_pages import with_cache_for
        from simulator.machine import load_machine
        from simulator.scenario import Scenario

        machine = load_machine(MACHINE)
        pages = self.published[0].pages
        on = Scenario(machine=machine, kernel=KERNEL, pages=pages, seed=self.seed)
        if self.quick:
            machine = with_cache_for(NR_PAGES_QUICK, on.page_size, machine, pages)
            on = on.replace(machine=machine, pages=NR_PAGES_QUICK)
        late = machine.with_values({"idle_states.C1E.residency": RESIDENCY})
        return [on.replace(hvo=False), on, on.replace(machine=late)]

    def run(self, progress: Progress | None = None) -> Hvo2021Findings:
        """Simulate the three scenarios."""
        from simulator.experiment import simulate_all

        off, on, late = simulate_all(self.scenarios(), progress)
        return Hvo2021Findings(study=self, results={False: off, True: on}, variants={LATE: late})


@dataclass(frozen=True, kw_only=True, eq=False)
class Hvo2021Findings(Findings):
    """The runs with HVO off and on, and others with HVO on, by what is different in them."""

    study: Hvo2021
    results: Mapping[bool, Result]
    variants: Mapping[str, Result]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        from simulator.analysis.safety import any_unsafe

        return any_unsafe([*self.results.values(), *self.variants.values()])

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per published run and simulated one of the same."""
        from simulator.studies.hvo_2021.numbers import time_rows

        return time_rows(self.study.published, self.results, self.variants)

    def text(self, command: str = "") -> str:
        """Return the times and the histograms, published beside simulated."""
        from simulator.studies.hvo_2021.text import hvo_2021_report

        return hvo_2021_report(
            self.results,
            list(self.variants.items()),
            self.study.published,
            command=command or self.study.command,
            remark=QUICK if self.study.quick else "",
        )

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of the histograms."""
        from simulator.studies.hvo_2021.plot import plot_hvo_2021

        yield "hvo-2021", plot_hvo_2021(self.results, self.study.published)
