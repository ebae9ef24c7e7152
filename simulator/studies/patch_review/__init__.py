# SPDX-License-Identifier: MIT
"""
Whether batching the PMD split pays, and what to mail about it
--------------------------------------------------------------

What a reviewer of "hugetlb: batch PMD split for bulk vmemmap dedup" wants beside the
patch: before and after, patch by patch, on the machines of the series' cover letter, with
what the conclusion hangs on and whether it is safe; each block of text as a file, and a
trace of a few pages before the patch and with it (extra ``perfetto``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings, Progress, Study, option
from simulator.trace.exchange.perfetto import PerfettoWriter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison
    from simulator.experiment.sweeps import Sweep
    from simulator.scenario import Scenario

__all__ = ("KERNELS", "MACHINES", "PatchReview", "PatchReviewFindings")

MACHINES = ("epyc-7j13-vm252", "xeon-e7-8895-8s")
# Before the series, before the patch, with it, and the whole series.
KERNELS = ("v6.6", "v6.6+5", "v6.6+6", "v6.6+8")
#: Before the patch, and with it.
PATCH = ("v6.6+5", "v6.6+6")
TRACED_FLUSHES = 8
NR_PAGES, NR_PAGES_QUICK = 256, 16
FORMATS = {
    "table": "txt",
    "cover-letter": "txt",
    "lkp": "txt",
    "mmtests": "txt",
    "bpftrace": "txt",
    "markdown": "md",
    "csv": "csv",
    "json": "json",
    "html": "html",
}


@dataclass(frozen=True, kw_only=True)
class PatchReview(Study):
    """The batched PMD split, patch by patch, with everything one would mail about it."""

    NAME: ClassVar = "patch_review"
    QUESTION: ClassVar = "Whether batching the PMD split pays, and what to mail about it"
    REPORT: ClassVar = "report.txt"

    machine: tuple[str, ...] = option("names", (), f"default: {', '.join(MACHINES)}")
    pages: int | None = option("number", None, f"huge pages of 2 MB (default {NR_PAGES})")
    cpus: int | None = option("number", None, "the first N CPUs of a machine (default all)")
    replications: int = option("number", 5, "runs of each scenario (default 5)")
    seed: int = option("number", 1, "seed of all draws (default 1)")
    quick: bool = option("flag", False, f"{NR_PAGES_QUICK} pages, 2 replications")

    def __post_init__(self) -> None:
        from simulator.experiment import check_replications

        check_replications(self.replications)

    @cached_property
    def base(self) -> dict[str, Any]:
        """What all scenarios share."""
        pages = NR_PAGES_QUICK if self.quick else NR_PAGES
        given = pages if self.pages is None else self.pages
        return {"pages": given, "cpus": self.cpus, "seed": self.seed}

    @property
    def axes(self) -> dict[str | tuple[str, ...], Sequence[str]]:
        """What is varied."""
        return {"machine": self.machine or MACHINES, "kernel": KERNELS}

    @property
    def runs(self) -> int:
        """How many replications of each scenario there are."""
        return min(2, self.replications) if self.quick else self.replications

    def scenarios(self) -> list[Scenario]:
        """Return every replication of each machine and kernel."""
        from simulator.scenario import Scenario

        return [
            Scenario(**self.base, machine=machine, kernel=kernel, replication=i)
            for machine in self.axes["machine"]
            for kernel in KERNELS
            for i in range(self.runs)
        ]

    def traced(self) -> list[Scenario]:
        """Return what is traced event by event: a few pages before the patch, and with it."""
        from simulator.scenario import Scenario

        base = self.base | {"pages": min(self.base["pages"], NR_PAGES_QUICK)}
        return [
            Scenario(**base, machine=machine, kernel=kernel)
            for machine in self.axes["machine"]
            for kernel in PATCH
        ]

    def run(self, progress: Progress | None = None) -> PatchReviewFindings:
        """Simulate all scenarios, each kernel against v6.6 on the same machine."""
        from simulator.experiment.sweeps import sweep

        found = sweep(self.base, self.axes, replications=self.runs, progress=progress)
        return PatchReviewFindings(study=self, found=found)


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchReviewFindings(Findings):
    """The sweep over machines and kernels."""

    study: PatchReview
    found: Sweep

    @property
    def comparison(self) -> Comparison:
        """Each kernel against v6.6 on the same machine."""
        from simulator.experiment.material import material_of

        return material_of(self.found).comparison

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        return self.comparison.unsafe

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the comparison."""
        from simulator.analysis.frames import records

        return records(self.comparison.frame)

    def text(self, command: str = "") -> str:
        """Return the block of the cover letter, why, and what is safe."""
        from simulator.experiment.material import material_of
        from simulator.studies.patch_review.text import review_text

        return review_text(self.comparison, material_of(self.found, command or self.study.command))

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield every plot there is of the comparison."""
        from simulator.report.plots.kinds import KINDS, draw

        for kind in KINDS:
            yield from draw(kind, self.comparison)

    def write(self, folder: Path, command: str) -> None:
        """Write the report in every format, and what happened before and with the patch."""
        from simulator.experiment.material import material_of
        from simulator.report.formats import render
        from simulator.run import simulate
        from simulator.traced import trace_events

        material = material_of(self.found, command)
        for name, end in FORMATS.items():
            (folder / f"{name}.{end}").write_text(render(name, material), encoding="utf-8")
        # An extra that not everyone has installed.
        if find_spec("perfetto") is not None:
            for scenario in self.study.traced():
                name = f"{scenario.machine_model.name}-{scenario.kernel_class.name}"
                with (folder / f"{name}.perfetto-trace").open("wb") as stream:
                    writer = PerfettoWriter(stream)
                    trace_events(simulate(scenario), writer.take, longest=TRACED_FLUSHES)
