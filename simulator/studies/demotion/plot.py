# SPDX-License-Identifier: MIT
"""
Demotion on several releases, as bars
-------------------------------------
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.by_kernel import KernelPhase
from simulator.analysis.frames import ResultFrames
from simulator.report.plots.by_kernel import plot_by_kernel
from simulator.studies.demotion import Demotion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ("plot_demotion",)


def plot_demotion(phases: Sequence[KernelPhase], runs: Sequence[ResultFrames]) -> Figure:
    """Return the time of the demotion on each kernel."""
    return plot_by_kernel(
        Demotion.QUESTION,
        phases,
        runs,
        "Bars: elapsed time of one write to demote, of all pages of a pool that was filled with"
        " HVO on.",
    )
