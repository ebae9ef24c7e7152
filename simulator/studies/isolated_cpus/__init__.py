# SPDX-License-Identifier: MIT
"""
May isolated CPUs be left alone?
--------------------------------

The posted deferral skips isolated CPUs in user mode when vmalloc flushes and when code is
patched, and has them flush at each kernel entry instead.  How many interrupts does it save,
against what was counted; and what do HVO's flushes, which it does not defer, cost such a CPU, with
and without deferring them too?

Not modelled: what else disturbs an isolated CPU (ticks, work queues, its own system calls).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.scenario import Scenario
    from simulator.studies.isolated_cpus.numbers import Disturbed
    from simulator.trace.result import Result

__all__ = ("COUNTED", "ENTRIES_PER_S", "WAYS", "IsolatedCpus", "IsolatedCpusFindings")

MACHINE = "xeon-e5-2699-2s"
PAGES, PAGES_QUICK = 8192, 256
#: V. Schneider, RFC v4, 6 hours on an E5-2699 with 26 isolated CPUs, v6.13-rc6: entries on them.
COUNTED = {"flush_all": 12818, "flush_range": 910, "sync_core": 78}
NR_ISOLATED = 26
_PER_BATCH = 3  # broadcasts of do_sync_core()
#: Kernel and share of time in user mode; a CPU that is never there is never left alone.
WAYS = {
    "not deferred": ("v6.18+defer@v8", 0),
    "deferred, as posted": ("v6.18+defer@v8", 100),
    "HVO deferred too": ("v6.18+defer@v8+hvo", 100),
}
ENTRIES_PER_S = (0, 100, 1000, 10_000)


@dataclass(frozen=True, kw_only=True)
class IsolatedCpus(Study):
    """What isolated CPUs are disturbed by, with and without deferral."""

    NAME: ClassVar = "isolated_cpus"
    QUESTION: ClassVar = "May isolated CPUs be left alone?"
    REPORT: ClassVar = "isolated-cpus.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    pages: int | None = option("number", None, f"huge pages of 2 MB (default {PAGES})")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"pages: {PAGES_QUICK}")

    def scenarios(self) -> list[Scenario]:
        """Return the fill each way, by kernel entries per second."""
        from simulator.scenario import Scenario

        pages = PAGES_QUICK if self.quick else PAGES
        pages = pages if self.pages is None else self.pages
        return [
            Scenario(
                machine=self.machine,
                kernel=kernel,
                pages=pages,
                seed=self.seed,
                tunables={
                    "nr_isolated": NR_ISOLATED,
                    "isolated_user_percent": percent,
                    # Without deferral there is nothing to make up for.
                    "isolated_entries_per_s": entries if percent else 0,
                },
            )
            for kernel, percent in WAYS.values()
            for entries in ENTRIES_PER_S
        ]

    def run(self, progress: Progress | None = None) -> IsolatedCpusFindings:
        """Run what was counted, then the fills."""
        from simulator.analysis.safety import any_unsafe
        from simulator.experiment import simulate_all
        from simulator.kernel.modules.vmalloc_storm import VmallocStorm
        from simulator.run import simulate_module
        from simulator.studies.isolated_cpus.numbers import disturbed

        found: list[Disturbed] = []
        ways = [way for way in WAYS for _ in ENTRIES_PER_S]
        scenarios = self.scenarios()
        storms = {}
        for way in list(WAYS)[:2]:
            storm = VmallocStorm(
                COUNTED["flush_all"] // NR_ISOLATED,
                COUNTED["flush_range"] // NR_ISOLATED,
                COUNTED["sync_core"] // NR_ISOLATED // _PER_BATCH,
            )
            scenario = scenarios[ways.index(way)]
            result = simulate_module(scenario, storm)
            storms[way] = {row.phase: row.interrupts for row in disturbed(result, way, 0)}
        runs: dict[str, Result] = {}
        broken = False
        entries = [entries for _ in WAYS for entries in ENTRIES_PER_S]
        for way, per_s, result in zip(
            ways, entries, simulate_all(scenarios, progress), strict=True
        ):
            broken |= any_unsafe([result])
            found += disturbed(result, way, per_s)
            runs.setdefault(result.scenario.kernel_class.name, result)
        return IsolatedCpusFindings(
            study=self, found=found, storms=storms, runs=list(runs.values()), broken=broken
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class IsolatedCpusFindings(Findings):
    """What disturbed isolated CPUs: ``storms`` as counted, by way and kind; fills."""

    study: IsolatedCpus
    found: Sequence[Disturbed]
    storms: dict[str, dict[str, int]]
    runs: Sequence[Result]
    broken: bool

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        return self.broken

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per phase of each fill."""
        return [asdict(row) for row in self.found]

    def text(self, command: str = "") -> str:
        """Return the counts beside the published ones, and the fills."""
        from simulator.studies.isolated_cpus.text import isolated_report

        return isolated_report(self.storms, self.found, self.runs, command or self.study.command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of what an isolated CPU loses."""
        from simulator.studies.isolated_cpus.plot import plot_isolated

        yield "isolated-cpus", plot_isolated(self.found, self.runs)
