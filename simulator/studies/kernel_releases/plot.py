# SPDX-License-Identifier: MIT
"""
A fill on every release, as bars
--------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.by_kernel import KernelPhase
from simulator.analysis.frames import ResultFrames
from simulator.report.plots.by_kernel import plot_by_kernel
from simulator.studies.kernel_releases import KernelReleases

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_releases",)


def plot_releases(phases: Sequence[KernelPhase], runs: Sequence[ResultFrames]) -> Figure:
    """Return the time of each phase on each release."""
    return plot_by_kernel(
        KernelReleases.QUESTION,
        phases,
        runs,
        "Bars: elapsed time of filling (alloc) and emptying (free) the pool with HVO on, of 2 MB"
        " pages and of as much memory in 1 GB pages.",
    )
