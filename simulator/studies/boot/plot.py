# SPDX-License-Identifier: MIT
"""
Boots on several releases, as bars
----------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.by_kernel import KernelPhase
from simulator.analysis.frames import ResultFrames
from simulator.report.plots.by_kernel import plot_by_kernel
from simulator.studies.boot import Boot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_boot",)


def plot_boot(phases: Sequence[KernelPhase], runs: Sequence[ResultFrames]) -> Figure:
    """Return the time of the boots on each kernel."""
    return plot_by_kernel(
        Boot.QUESTION,
        phases,
        runs,
        "Bars: elapsed time of the allocation at boot with HVO on, by as many tasks as each"
        " release has; left of all memory in 2 MB pages, right of half of it in 1 GB pages.",
    )
