# SPDX-License-Identifier: MIT
"""
Per-folio against batched split and remap of the vmemmap
--------------------------------------------------------

The kernels of the series "Batch hugetlb vmemmap modification
operations" (v6.6 to v6.7), patch by patch, with HVO off and on, on the
two machines on which it was measured and with as many pages; then with
fewer CPUs and fewer pages, for the plots that need every flush.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.frames import Totals
    from simulator.published.times import Timing
    from simulator.scenario import Scenario
    from simulator.trace.result import Result

__all__ = ("KERNELS", "MACHINES", "BatchPmdSplit", "BatchPmdSplitFindings")

MACHINES = ("epyc-7j13-vm252", "xeon-e7-8895-8s")
# Before the series; lists of folios; one flush for all splits; for all remaps; for all restores.
KERNELS = ("v6.6", "v6.6+5", "v6.6+6", "v6.6+7", "v6.6+8")
NR_PAGES = 256  # huge pages of 2 MB, where no time was published and for the sweep over CPUs
NR_PAGES_QUICK = 32
NR_CPUS = (2, 8, 32, 64, 128)  # the CPU counts to try, beside all CPUs
NR_CPUS_QUICK = (2, 8)
NR_CPUS_LANES = 8  # so few CPUs that each can be followed through a flush


@dataclass(frozen=True, kw_only=True)
class BatchPmdSplit(Study):
    """The batching series patch by patch: time, flushes, and its price."""

    NAME: ClassVar = "batch_pmd_split"
    QUESTION: ClassVar = "Per-folio against batched split and remap of the vmemmap"
    REPORT: ClassVar = "report.txt"

    machine: tuple[str, ...] = option("names", (), f"default: {', '.join(MACHINES)}")
    pages: int | None = option(
        "number", None, f"huge pages of 2 MB (default: as published, else {NR_PAGES})"
    )
    cpus: int | None = option("number", None, "the first N CPUs of a machine (default all)")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NR_PAGES_QUICK} pages, fewer CPU counts")
    jobs: int | None = option("number", None, "simulations at a time (default: one per CPU)")

    def __post_init__(self) -> None:
        from simulator.experiment import check_jobs

        if self.jobs is not None:
            check_jobs(self.jobs)

    @cached_property
    def published(self) -> tuple[Timing, ...]:
        """The times that were published with the series."""
        from simulator.published.times import read_timings

        return read_timings()

    @cached_property
    def machines(self) -> list[Scenario]:
        """A scenario of each machine with the number of pages asked for or published."""
        from simulator.scenario import Scenario

        published = {t.machine: t.pages for t in self.published}
        found = []
        for machine in dict.fromkeys(self.machine or MACHINES):
            name = Scenario(machine=machine, pages=1).machine_model.name
            pages = self.pages
            if pages is None:
                pages = NR_PAGES_QUICK if self.quick else published.get(name, NR_PAGES)
            found.append(Scenario(machine=machine, pages=pages, cpus=self.cpus, seed=self.seed))
        return found

    @cached_property
    def compared(self) -> list[Scenario]:
        """What the tables compare: each machine with HVO off and on, each kernel."""
        return [
            whole.replace(kernel=kernel, hvo=hvo)
            for whole in self.machines
            for hvo in (False, True)
            for kernel in KERNELS
        ]

    @cached_property
    def swept(self) -> list[Scenario]:
        """Each machine with all CPUs and fewer of them, each kernel, HVO on, few pages."""
        return [scenario for whole in self.machines for scenario in self._sweep(whole)]

    def scenarios(self) -> list[Scenario]:
        """Return what the tables compare, then the sweep over CPUs."""
        return [*self.compared, *self.swept]

    def run(self, progress: Progress | None = None) -> BatchPmdSplitFindings:
        """Simulate all scenarios, the long ones beside each other; what is finished counts."""
        from simulator.experiment import default_jobs, simulate_all, simulate_totals

        results: list[Totals] = []
        swept: list[Result] = []
        interrupted = False
        try:
            jobs = self.jobs or default_jobs(self.compared)
            results.extend(simulate_totals(self.compared, jobs, progress))
            swept.extend(simulate_all(self.swept, progress))
        except KeyboardInterrupt:
            if not results:
                raise
            interrupted = True
        # They come as they are done.
        order = [s.key for s in self.compared]
        results.sort(key=lambda r: order.index(r.scenario.key))
        return BatchPmdSplitFindings(
            study=self, results=results, swept=swept, interrupted=interrupted
        )

    def _sweep(self, whole: Scenario) -> Iterator[Scenario]:
        small = whole.replace(pages=min(whole.pages, NR_PAGES))
        fewer = [n for n in (NR_CPUS_QUICK if self.quick else NR_CPUS) if n < small.nr_cpus]
        for cpus in (self.cpus, *fewer):
            for kernel in KERNELS:
                yield small.replace(kernel=kernel, cpus=cpus)


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchPmdSplitFindings(Findings):
    """The totals of what is compared, and the results of the sweep over CPUs."""

    study: BatchPmdSplit
    results: Sequence[Totals]
    swept: Sequence[Result]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        from simulator.analysis.safety import any_unsafe

        return any_unsafe([*self.results, *self.swept])

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per run and phase: its summary, and what was measured of the same."""
        from simulator.analysis.frames import records
        from simulator.analysis.measured import measured_for, was_fitted

        rows = []
        for r in self.results:
            s, measured = r.scenario, measured_for(r, self.study.published)
            for row in records(r.summary):
                timing = measured.get(row["phase"])
                rows.append(
                    {
                        "machine": s.machine_model.name,
                        "kernel": s.kernel_class.name,
                        "hvo": s.hvo,
                        **row,
                        "published_ns": timing and timing.elapsed_ns,
                        "fitted": timing and was_fitted(s.machine_model, timing),
                    }
                )
        return rows

    def text(self, command: str = "") -> str:
        """Return the table that a patch discussion asks for."""
        from simulator.studies.batch_pmd_split.text import batching_report

        return batching_report(
            self.results,
            command=command or self.study.command,
            reference=KERNELS[0],
            published=self.study.published,
        )

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plots of each machine."""
        from simulator.report import plots

        published = self.study.published
        for machine in dict.fromkeys(r.scenario.machine_model.name for r in self.results):
            both = [r for r in self.results if r.scenario.machine_model.name == machine]
            hvo = [r for r in both if r.scenario.hvo]
            yield f"{machine}-elapsed", plots.plot_elapsed(both, published, beside=self.results)
            yield f"{machine}-where-time-goes", plots.plot_time_by(both)
            yield f"{machine}-latency", plots.plot_latency(hvo)
            yield f"{machine}-throughput", plots.plot_throughput(hvo)
            small = [r for r in self.swept if r.scenario.machine_model.name == machine]
            yield f"{machine}-cpus", plots.plot_scaling(small, beside=self.swept)
            first, last = small[0], small[len(KERNELS) - 1]
            if first.scenario.nr_cpus == 1:
                continue  # nobody to interrupt
            yield f"{machine}-flush-per-folio", _timeline(first, "remap")
            yield f"{machine}-flush-batched", _timeline(last, "batch_remap")
            lanes = [r for r in small if r.scenario.nr_cpus <= NR_CPUS_LANES]
            most = max(lanes, key=lambda r: r.scenario.nr_cpus)
            yield f"{machine}-flush-few-cpus", _timeline(most, "remap")


# The CPUs around the middle one of the flushes made for this reason.
def _timeline(result: Result, reason: str) -> Figure:
    from simulator.report import plots

    found = result.flushes.loc[result.flushes["reason"] == reason, "flush"]
    flush = int(found.iloc[len(found) // 2])
    return plots.plot_flush_timeline(result, flush, result.ipis([flush]))
