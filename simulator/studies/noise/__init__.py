# SPDX-License-Identifier: MIT
"""
Does the conclusion survive what the other CPUs do?
---------------------------------------------------

Two kernels under every noise preset, and under the quiet one with each
value of a key. Replications of both kernels meet the same noise.

Not modelled: why the other CPUs do what they do; a noise is given,
whatever the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.errors import InputError, nearest
from simulator.studies.study import Findings, Progress, Study, checked, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.scenario import Scenario
    from simulator.studies.noise.numbers import NoiseCase
    from simulator.trace.result import Result

__all__ = ("KERNELS", "KEYS", "Noise", "NoiseFindings", "UnderNoise")

MACHINE = "epyc-7j13-vm252"
KERNELS = ("v6.6", "v6.7")
PRESET = "quiet"  # what a key is changed in
#: The keys that can be swept: their values, and what else has to be set for them.
KEYS: dict[str, tuple[tuple[float, ...], dict[str, float]]] = {
    "preempted_share": ((0, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.3), {}),
    "idle_share": ((0, 0.01, 0.05, 0.2, 0.5, 0.95), {}),
    "idle_depth_ns": ((2e3, 1e4, 1e5, 1e6, 1e7), {"idle_share": 0.5}),
    "irqs_off_share": ((0, 1e-4, 1e-3, 5e-3, 0.01, 0.018), {}),
    "irqs_off_tail_share": ((0, 1e-4, 1e-3, 0.01, 0.1), {"irqs_off_max_ns": 1e6}),
    "shootdowns_per_s": ((0, 10, 100, 1000, 5000), {}),
}
NR_PAGES, NR_PAGES_QUICK = 1024, 32  # huge pages of 2 MB
NR_RUNS, NR_RUNS_QUICK, NR_RUNS_MAX = 5, 2, 1000  # replications


@dataclass(frozen=True)
class UnderNoise:
    """A noise: a preset, or the value of a ``key`` that is swept (empty: a preset)."""

    label: str
    key: str
    scenario: Scenario


@dataclass(frozen=True, kw_only=True)
class Noise(Study):
    """v6.6 against v6.7 under every noise preset, and along one key of a noise."""

    NAME: ClassVar = "noise"
    QUESTION: ClassVar = "Does the conclusion survive what the other CPUs do?"
    REPORT: ClassVar = "noise.txt"

    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    key: str | None = option("name", None, f"key to change: {', '.join(KEYS)}", "KEY")
    pages: int | None = option("number", None, f"huge pages of 2 MB (default {NR_PAGES})")
    cpus: int | None = option("number", None, "the first N CPUs of the machine (default all)")
    replications: int | None = option("number", None, f"default {NR_RUNS}")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NR_PAGES_QUICK} pages, {NR_RUNS_QUICK} runs")

    def __post_init__(self) -> None:
        if self.replications is not None:
            checked("replications", self.replications, 1, NR_RUNS_MAX)

    @property
    def nr_runs(self) -> int:
        """How many replications there are of each kernel under each noise."""
        if self.replications is not None:
            return self.replications
        return NR_RUNS_QUICK if self.quick else NR_RUNS

    @cached_property
    def base(self) -> Scenario:
        """The request, whatever the kernel and the noise."""
        from simulator.scenario import Scenario

        pages = NR_PAGES_QUICK if self.quick else NR_PAGES
        return Scenario(
            machine=self.machine,
            pages=pages if self.pages is None else self.pages,
            cpus=self.cpus,
            seed=self.seed,
        )

    @property
    def swept_key(self) -> str:
        """The key that is swept: the one asked for, or what the machine feels most."""
        machine = self.base.machine_model
        key = self.key or ("preempted_share" if machine.virtual else "idle_share")
        if key not in KEYS:
            raise InputError(f"key: {key!r} is not one of {', '.join(KEYS)}{nearest(key, KEYS)}")
        if key == "preempted_share" and not machine.virtual:
            raise InputError(f"key: {machine.name} has no virtual CPUs; try idle_share")
        return key

    @cached_property
    def presets(self) -> list[UnderNoise]:
        """Every preset."""
        from simulator.machine import noises

        return [UnderNoise(name, "", self.base.replace(noise=name)) for name in noises()]

    @cached_property
    def sweep(self) -> list[UnderNoise]:
        """The quiet preset with each value of the key."""
        return list(_sweep(self.base, self.swept_key))

    def replications_of(self, under: UnderNoise) -> list[list[Scenario]]:
        """Return the scenarios of each kernel under a noise."""
        return [
            [under.scenario.replace(kernel=k, replication=i) for i in range(self.nr_runs)]
            for k in KERNELS
        ]

    def scenarios(self) -> list[Scenario]:
        """Return both kernels, in pairs, under each preset and along the key."""
        return [
            scenario
            for under in (*self.presets, *self.sweep)
            for of_kernel in self.replications_of(under)
            for scenario in of_kernel
        ]

    def run(self, progress: Progress | None = None) -> NoiseFindings:
        """Simulate all scenarios; the findings compare the kernels under each noise."""
        from simulator.experiment import simulate_all
        from simulator.studies.noise.numbers import noise_case

        every = (*self.presets, *self.sweep)
        runs = [
            [list(simulate_all(of_kernel, progress)) for of_kernel in self.replications_of(under)]
            for under in every
        ]
        cases = [
            noise_case(under.label, under.key, phase, found)
            for phase in self.base.phase_labels
            for under, found in zip(every, runs, strict=True)
        ]
        common = [
            r for found in runs[: len(self.presets)] for of_kernel in found for r in of_kernel
        ]
        return NoiseFindings(study=self, cases=cases, results=common)


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseFindings(Findings):
    """The kernels under each noise in each phase; ``results`` are those under the presets."""

    study: Noise
    cases: Sequence[NoiseCase]
    results: Sequence[Result]

    @property
    def changed(self) -> str:
        """What the swept noises are, in words."""
        key = self.study.swept_key
        others = "".join(f", with {name}={value:g}" for name, value in KEYS[key][1].items())
        return f"{key}, in place of that of {PRESET}{others}"

    def groups(self) -> Mapping[str, list[NoiseCase]]:
        """Return the cases by what they have in common, as the tables list them."""
        return {
            "Presets": [c for c in self.cases if not c.key],
            self.changed: [c for c in self.cases if c.key],
        }

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        return any(case.unsafe for case in self.cases)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per noise and phase."""
        return [case.row() for case in self.cases]

    def text(self, command: str = "") -> str:
        """Return the tables of times and flushes, by noise."""
        from simulator.studies.noise.text import noise_report

        return noise_report(self.groups(), self.results, command=command or self.study.command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of the first phase."""
        from simulator.studies.noise.plot import plot_noise

        first = self.cases[0].phase
        presets, swept = ([c for c in g if c.phase == first] for g in self.groups().values())
        yield "noise", plot_noise(presets, swept, self.study.swept_key, self.changed, self.results)


def _sweep(base: Scenario, key: str) -> Iterator[UnderNoise]:
    from simulator.report.text import format_ns

    values, others = KEYS[key]
    for value in values:
        noise = {"preset": PRESET, **others, key: value}
        label = format_ns(value) if key.endswith("_ns") else f"{value:g}"
        yield UnderNoise(label, key, base.replace(noise=noise))
