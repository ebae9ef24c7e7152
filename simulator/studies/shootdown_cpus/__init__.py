# SPDX-License-Identifier: MIT
"""
What does one more CPU cost?
----------------------------

One CPU flushes over and over, and the first N CPUs of a machine have to
follow: the powers of two and all of them, on machines from a desktop to
8 sockets, beside what was published of madvise() by threads and of what
a peer loses.

Not modelled: which CPUs run a process; the first N stand for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.machine import Machine
    from simulator.machine.values import Time
    from simulator.published.benchmarks import PublishedFigure
    from simulator.scenario import Scenario
    from simulator.trace.result import Result

    #: Scenarios by number of CPUs.
    ByCpus = Mapping[int, Scenario]

__all__ = ("ShootdownCpus", "ShootdownCpusFindings")

MACHINES = (
    "core-i5-4590",
    "xeon-8375c-2s",
    "epyc-7r13-2s",
    "xeon-e7-8895-8s",
    "xeon-skx-vm80",
    "epyc-7j13-vm252",
    "epyc-zen4-vm2",
)
# Published, and no cost of it fitted: how far do the assumed ones carry the prediction?
PREDICTED = ("core-i5-4590",)
SIZES = (1, 8, 32)  # pages
NTIMES, NTIMES_QUICK = 10_000, 500


@dataclass(frozen=True, kw_only=True)
class ShootdownCpus(Study):
    """A flush of one page against the number of CPUs that it has to reach."""

    NAME: ClassVar = "shootdown_cpus"
    QUESTION: ClassVar = "What does one more CPU cost?"
    REPORT: ClassVar = "shootdown-cpus.txt"

    machine: tuple[str, ...] = option("names", (), "default: all that were published")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NTIMES_QUICK} flushes, not {NTIMES}")

    @cached_property
    def sweeps(self) -> Mapping[str, ByCpus]:
        """By machine, the powers of two of its CPUs and all."""
        return dict(map(self._sweep, dict.fromkeys(self.machine or MACHINES)))

    @cached_property
    def at_both_ends(self) -> Mapping[str, tuple[ByCpus, ByCpus]]:
        """By machine that is predicted, all assumed costs of a flush least, and all greatest."""
        return {name: _at_both_ends(self.sweeps[name]) for name in PREDICTED if name in self.sweeps}

    def scenarios(self) -> list[Scenario]:
        """Return the sweeps of all machines, then those with the assumed costs at their ends."""
        ends = (by_cpus for both in self.at_both_ends.values() for by_cpus in both)
        return [s for by_cpus in (*self.sweeps.values(), *ends) for s in by_cpus.values()]

    def run(self, progress: Progress | None = None) -> ShootdownCpusFindings:
        """Flush one page in each scenario, and more where that was measured: beside one peer."""
        from simulator.kernel.modules.tlb_flush import TlbFlush
        from simulator.run import simulate_module

        ntimes = NTIMES_QUICK if self.quick else NTIMES

        def run(scenario: Scenario, sizes: Sequence[int]) -> Result:
            result = simulate_module(scenario, TlbFlush(sizes, ntimes))
            if progress is not None:
                progress()
            return result

        runs = {
            name: {n: run(s, SIZES if n <= 2 else SIZES[:1]) for n, s in by_cpus.items()}
            for name, by_cpus in self.sweeps.items()
        }
        ends = {
            name: [{n: run(s, SIZES[:1]) for n, s in by_cpus.items()} for by_cpus in both]
            for name, both in self.at_both_ends.items()
        }
        return ShootdownCpusFindings(study=self, runs=runs, ends=ends)

    def _sweep(self, name: str) -> tuple[str, ByCpus]:
        from simulator.scenario import Scenario
        from simulator.validation.benchmarks import SHOOTDOWN_NOISE

        whole = Scenario(machine=name, pages=1, noise=SHOOTDOWN_NOISE, seed=self.seed)
        powers = [2**i for i in range(whole.nr_cpus.bit_length()) if 2**i < whole.nr_cpus]
        counts = [*powers, whole.nr_cpus]
        return whole.machine_model.name, {n: whole.replace(cpus=n) for n in counts}


@dataclass(frozen=True, kw_only=True, eq=False)
class ShootdownCpusFindings(Findings):
    """Results by machine and number of CPUs; ``ends`` with assumed costs least, and greatest."""

    study: ShootdownCpus
    runs: Mapping[str, Mapping[int, Result]]
    ends: Mapping[str, Sequence[Mapping[int, Result]]]

    @property
    def published(self) -> list[PublishedFigure]:
        """The calls of kernels that the model has."""
        from simulator.published.benchmarks import published_figures

        return [f for f in published_figures("madvise") if "before" not in f.case]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        from simulator.analysis.safety import any_unsafe

        return any_unsafe(r for runs in self.runs.values() for r in runs.values())

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per machine, number of CPUs and number of pages."""
        from simulator.analysis.benchmarks import call_times

        return [
            {"machine": name, "cpus": n, "pages": int(pages), "flush_ns": t.mean_ns,
             "peer_lost_ns": t.handler_ns if n > 1 else None}
            for name, by_cpus in self.runs.items()
            for n, result in by_cpus.items()
            for pages, t in call_times(result).items()
        ]  # fmt: skip

    def text(self, command: str = "") -> str:
        """Return the published calls beside the simulated ones, and each machine by CPUs."""
        from simulator.published.benchmarks import published_figures
        from simulator.studies.shootdown_cpus.text import shootdown_report

        lost, command = published_figures("victim"), command or self.study.command
        return shootdown_report(self.runs, self.published, lost, command=command, ends=self.ends)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of a flush against the number of CPUs."""
        from simulator.studies.shootdown_cpus.plot import plot_shootdowns

        yield "shootdown-cpus", plot_shootdowns(self.runs, self.published)


def _at_both_ends(by_cpus: ByCpus) -> tuple[ByCpus, ByCpus]:
    machine = by_cpus[1].machine_model
    least, most = (
        machine.with_values(
            {
                key: f"{cost.range[end]:g} {cost.unit}"
                for key, cost in _costs_of(machine)
                if cost.kind == "assumed"
            }
        )
        for end in (0, 1)
    )
    return (
        {n: s.replace(machine=least) for n, s in by_cpus.items()},
        {n: s.replace(machine=most) for n, s in by_cpus.items()},
    )


# The costs that a flush is made of, by the names that set them.
def _costs_of(machine: Machine) -> Iterator[tuple[str, Time]]:
    from simulator.machine.values import CostByDistance

    for name in ("flush_base", "enqueue", "send", "deliver", "handler_entry", "invlpg", "ack"):
        cost = getattr(machine.costs, name)
        if isinstance(cost, CostByDistance):
            for distance, time in cost.times.items():
                yield f"costs.{name}.{distance}", time
        else:
            yield f"costs.{name}", cost
