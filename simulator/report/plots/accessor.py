# SPDX-License-Identifier: MIT
"""
Plots by name, for a notebook
-----------------------------
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.report.plots.kinds import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.analysis.compare import Comparison

__all__ = ("Plots",)


class Plots:
    """
    What can be drawn of a result, a comparison or a sweep; each method returns a figure.

    ValueError where there is nothing of a kind, such as a change in a single result.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def change(self) -> Figure:
        """Before and after, as ratios with intervals."""
        return self._one("change")

    def scaling(self) -> Figure:
        """Elapsed time against the number of CPUs."""
        return self._one("scaling")

    def time(self) -> Figure:
        """Where the time goes, of the first machine."""
        return self._one("time")

    def difference(self) -> Figure:
        """Where the change comes from."""
        return self._one("difference")

    def latency(self) -> Figure:
        """How many folios and flushes took longer than that."""
        return self._one("latency")

    def course(self) -> Figure:
        """How long each flush took, over time, of the first machine."""
        return self._one("course")

    def flush(self) -> Figure:
        """The CPUs around one flush of a result, of the middle of the most frequent ones."""
        return self._one("flush")

    def victims(self) -> Figure:
        """What the other CPUs lost, by socket, of the first machine."""
        return self._one("victims")

    def throughput(self) -> Figure:
        """Work done over time, of the first machine."""
        return self._one("throughput")

    def batch(self) -> Figure:
        """Folios per broadcast against stalls and pages held."""
        return self._one("batch")

    def _one(self, kind: str) -> Figure:
        figures = draw(kind, self._comparison)
        if not figures:
            raise ValueError(f"these results have nothing for a plot of {kind}")
        return figures[0][1]

    def __repr__(self) -> str:
        names = [name for name in vars(Plots) if not name.startswith("_")]
        return f"plots: {', '.join(f'{name}()' for name in names)}"
