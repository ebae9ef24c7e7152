# SPDX-License-Identifier: MIT
"""
ipi_benchmark: what does KVM's "send IPI" hypercall save?
---------------------------------------------------------

The kernel module ipi_benchmark on one CPU: one IPI on two CPUs, and
broadcasts on all, in the four variants of Linux commit 4180bf1b655a, or
on another machine as its profile has it.

Not modelled: dry runs and self-IPIs, which send no interrupt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.errors import InputError
from simulator.studies.study import Findings, Progress, Study, checked, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.published.benchmarks import PublishedFigure
    from simulator.scenario import Scenario
    from simulator.trace.result import Result

__all__ = ("IpiBenchmarkFindings", "IpiBenchmarkStudy")

MACHINE = "xeon-skx-vm80"
NTIMES, NTIMES_QUICK = 100_000, 1000
NTIMES_MAX = 10_000_000


@dataclass(frozen=True, kw_only=True)
class IpiBenchmarkStudy(Study):
    """One IPI and broadcasts, with and without the hypercall."""

    NAME: ClassVar = "ipi_benchmark"
    QUESTION: ClassVar = 'ipi_benchmark: what does KVM\'s "send IPI" hypercall save?'
    REPORT: ClassVar = "ipi-benchmark.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    ntimes: int | None = option("number", None, f"calls of each kind (default {NTIMES})")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NTIMES_QUICK} calls")

    def __post_init__(self) -> None:
        if self.ntimes is not None:
            checked("ntimes", self.ntimes, 1, NTIMES_MAX)

    @property
    def nr_calls(self) -> int:
        """How many calls there are of each kind."""
        if self.ntimes is not None:
            return self.ntimes
        return NTIMES_QUICK if self.quick else NTIMES

    @cached_property
    def cases(self) -> Mapping[str, Scenario]:
        """The scenarios by case: the published ones, or a machine as it is."""
        from simulator.machine import load_machine
        from simulator.scenario import Scenario
        from simulator.validation.benchmarks import IPI_NOISE, ipi_scenarios

        machine = load_machine(self.machine)
        if machine.nr_cpus == 1:
            raise InputError(f"machine: {machine.name} has one CPU, and nobody to interrupt")
        if self.machine == MACHINE:
            return ipi_scenarios(machine, self.seed)
        whole = Scenario(machine=machine, pages=1, noise=IPI_NOISE, seed=self.seed)
        return {machine.title: whole}

    @property
    def published(self) -> tuple[PublishedFigure, ...]:
        """The published figures of the machine."""
        from simulator.published.benchmarks import published_figures

        return published_figures("ipi_benchmark", self.machine)

    def scenarios(self) -> list[Scenario]:
        """Return the scenario of each case; two cases may be the same to the model."""
        return list(dict.fromkeys(self.cases.values()))

    def run(self, progress: Progress | None = None) -> IpiBenchmarkFindings:
        """Run the module on two CPUs and on all of each case."""
        from simulator.kernel.modules.ipi_benchmark import NORMAL_IPI, IpiBenchmark
        from simulator.run import simulate_module

        ntimes = self.nr_calls
        done: dict[Scenario, list[Result]] = {}
        for scenario in self.scenarios():
            two = scenario.replace(cpus=2)
            done[scenario] = [
                simulate_module(two, IpiBenchmark((NORMAL_IPI,), ntimes)),
                simulate_module(scenario, IpiBenchmark(ntimes=ntimes)),
            ]
            if progress is not None:
                progress()
        runs = {case: done[scenario] for case, scenario in self.cases.items()}
        return IpiBenchmarkFindings(study=self, runs=runs)


@dataclass(frozen=True, kw_only=True, eq=False)
class IpiBenchmarkFindings(Findings):
    """By case, the results of the module on two CPUs and on all."""

    study: IpiBenchmarkStudy
    runs: Mapping[str, Sequence[Result]]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        from simulator.analysis.safety import any_unsafe

        return any_unsafe(r for runs in self.runs.values() for r in runs)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per case and line of the module."""
        from simulator.analysis.benchmarks import call_times

        return [
            {"case": case, "line": line, "calls": t.calls, "mean_ns": t.mean_ns,
             "received_ns": t.received_ns, "icr_writes": t.icr_writes}
            for case, results in self.runs.items()
            for result in results
            for line, t in call_times(result).items()
        ]  # fmt: skip

    def text(self, command: str = "") -> str:
        """Return the time of a call, published beside simulated, and as the module prints it."""
        from simulator.studies.ipi_benchmark.text import ipi_report

        command = command or self.study.command
        return ipi_report(self.runs, self.study.published, command=command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of where the time of a broadcast goes."""
        from simulator.kernel.modules.ipi_benchmark import BROADCAST_IPI
        from simulator.studies.ipi_benchmark.plot import plot_broadcasts

        broadcasts = {case: on_all for case, (_, on_all) in self.runs.items()}
        yield "ipi-benchmark", plot_broadcasts(broadcasts, BROADCAST_IPI, self.study.published)
