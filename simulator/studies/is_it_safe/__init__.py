# SPDX-License-Identifier: MIT
"""
Is it safe?
-----------

Kernels that were merged, one that was posted with a mistake, and kernels
with one mistake each, on machines that order stores and on machines
that do not, and beside another CPU that writes the head struct page:
which invariant does each break?

Kernels that run, or whose mistake shows, on some machines only are on such a machine: one with
INVLPGB, or of arm64.

Not modelled: other machines that finish a flush too early than one whose TLBSYNC does.
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
    from simulator.studies.is_it_safe.numbers import Verdict
    from simulator.trace.result import Result

__all__ = ("CLASSES", "IsItSafe", "IsItSafeFindings")

MACHINE = "laptop-8"
NR_PAGES, NR_PAGES_QUICK = 48, 6
RELEASES = ("v6.1", "v6.6", "v6.7", "v6.12")
POSTED = ("v6.6+6@v3", "v6.6+7@v3")

#: What the same run is held against, by machine class: fields of
#: :class:`~simulator.ordering.checker.Checks`.
CLASSES: Mapping[str, Mapping[str, Any]] = {
    "x86-64": {"isa": "x86-64"},
    "x86-64, head written": {"isa": "x86-64", "head_writer": True},
    "weakly ordered": {"isa": "riscv64"},
    "arm64": {"isa": "arm64"},
}


@dataclass(frozen=True, kw_only=True)
class IsItSafe(Study):
    """Every kernel in situations where mistakes show, against what must hold on a machine."""

    NAME: ClassVar = "is_it_safe"
    QUESTION: ClassVar = "Is it safe?"
    REPORT: ClassVar = "is-it-safe.txt"

    kernel: tuple[str, ...] = option("names", (), "kernels, or files (default: a list)")
    machine: str = option("name", MACHINE, f"default: {MACHINE}")
    pages: int | None = option("number", None, f"huge pages of 2 MB (default {NR_PAGES})")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NR_PAGES_QUICK} pages")

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernels that are held against what must hold."""
        from simulator.kernel import mutants

        return self.kernel or (*RELEASES, *POSTED, *mutants())

    @cached_property
    def situations(self) -> tuple[Scenario, ...]:
        """A list of folios; one whose splits fail; single folios, several at a time."""
        from simulator.scenario import Scenario

        pages = NR_PAGES_QUICK if self.quick else NR_PAGES
        pages = pages if self.pages is None else self.pages
        apart = min(3, pages)
        listed = Scenario(
            machine=self.machine, pages=pages, cpus=4, placement=f"pmds={apart}", seed=self.seed
        )
        # The first failure ends the pass of splits, the second one comes where there is
        # something to give back.
        failing = listed.replace(faults={"pte_page": (2, 3)})
        single = listed.replace(path="surplus", allocators=apart)
        return listed, failing, single

    def scenarios(self) -> list[Scenario]:
        """Return each kernel on each class of machines, in each situation."""
        from simulator.kernel import load_kernel

        return [
            situation.replace(
                kernel=load_kernel(kernel),
                machine=load_kernel(kernel).example_machine or self.machine,
            )
            for kernel in self.kernels
            for _ in CLASSES
            for situation in self.situations
        ]

    def run(self, progress: Progress | None = None) -> IsItSafeFindings:
        """Simulate each kernel, and hold it against what its machine demands."""
        from simulator.ordering.checker import Checks
        from simulator.run import simulate
        from simulator.studies.is_it_safe.numbers import Verdict, expected

        verdicts = []
        first: Result | None = None
        scenarios = iter(self.scenarios())
        for _ in self.kernels:
            for name, demanded in CLASSES.items():
                checks = Checks(**demanded)
                results = []
                for _ in self.situations:
                    results.append(simulate(next(scenarios), None, checks))
                    if progress is not None:
                        progress()
                first = first or results[0]
                kernel = results[0].scenario.kernel_class
                verdicts.append(Verdict.of(name, results, expected(kernel, checks)))
        assert first is not None  # noqa: S101 - there is at least one kernel
        return IsItSafeFindings(study=self, verdicts=verdicts, first=first)


@dataclass(frozen=True, kw_only=True, eq=False)
class IsItSafeFindings(Findings):
    """A verdict for each kernel and machine class."""

    study: IsItSafe
    verdicts: Sequence[Verdict]
    first: Result

    @property
    def unsafe(self) -> bool:
        """Whether a kernel broke something else than expected; mutants are expected to."""
        return not all(verdict.as_expected for verdict in self.verdicts)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per kernel and machine class."""
        return [verdict.row() for verdict in self.verdicts]

    def text(self, command: str = "") -> str:
        """Return the table of verdicts."""
        from simulator.studies.is_it_safe.text import safety_report

        return safety_report(self.verdicts, self.first, command=command or self.study.command)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield nothing: verdicts are words."""
        yield from ()
