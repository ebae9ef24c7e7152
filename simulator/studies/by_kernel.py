# SPDX-License-Identifier: MIT
"""
Findings with a row for each kernel
-----------------------------------

What studies share that simulate the same on several releases, phase by phase.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.studies.study import Findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.by_kernel import KernelPhase
    from simulator.trace.result import Result

__all__ = ("ByKernelFindings",)


@dataclass(frozen=True, kw_only=True, eq=False)
class ByKernelFindings(Findings):
    """Phases of all kernels, and a result of each kernel; ``HOW_TO_READ`` is for the plot."""

    HOW_TO_READ: ClassVar[str]

    phases: Sequence[KernelPhase]
    runs: Sequence[Result]

    @property
    def unsafe(self) -> bool:
        """Whether a run broke what must hold."""
        return any(phase.unsafe for phase in self.phases)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per phase of each run."""
        return [asdict(phase) for phase in self.phases]

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield the plot of the times of all kernels, named as the report."""
        from simulator.report.plots.by_kernel import plot_by_kernel

        study = self.study
        figure = plot_by_kernel(study.QUESTION, self.phases, self.runs, self.HOW_TO_READ)
        yield Path(study.REPORT).stem, figure
