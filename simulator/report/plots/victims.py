# SPDX-License-Identifier: MIT
"""
What every other CPU lost
-------------------------

A strip for each socket, a cell for each CPU: the darker, the more of its own time went
into handlers and TLB misses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from simulator.analysis.frames import name_of
from simulator.report.plots.style import (
    add_caption,
    first_of,
    new_figure,
    replications_text,
)
from simulator.report.text import unit_of_ns

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from simulator.analysis.compare import Comparison
    from simulator.analysis.frames import ResultTotals

__all__ = ("plot_victims",)

_MOST = 8
_WIDE = 50
#: Its lightness falls steadily, so that grey shows the same.
_COLORS = "cividis_r"


def plot_victims(comparison: Comparison, machine: str) -> Figure | None:
    """
    Return strips of lost time by socket, of the scenarios of one machine; the first eight.

    None where no CPU lost anything.
    """
    there = [
        (label, runs)
        for label, runs in zip(comparison.labels, comparison.runs, strict=True)
        if name_of(runs[0].scenario.machine) == machine
    ]
    chosen, others = first_of(there, _MOST)
    phases = comparison.phases
    strips = {(label, phase): _strips(runs, phase) for label, runs in chosen for phase in phases}
    lost = np.concatenate([s[np.isfinite(s)] for s in strips.values() if s.size] or [np.zeros(1)])
    if lost.max(initial=0) <= 0:
        return None
    unit, unit_ns = unit_of_ns(float(lost.max()))
    least = float(lost[lost > 0].min())
    wide = lost.max() > _WIDE * least
    top = float(lost.max()) / unit_ns
    norm = LogNorm(least / unit_ns, top) if wide else Normalize(0, top)
    rows = sum(len(strips[label, phases[0]]) for label, _ in chosen)
    figure = new_figure(
        2.2 + 4.0 * len(phases), 1.9 + 0.16 * rows + 0.34 * len(chosen), "What the other CPUs lost"
    )
    grid = figure.subplots(len(chosen), len(phases), squeeze=False, sharex=True)
    image = None
    for axes, (label, _runs) in zip(grid, chosen, strict=True):
        for ax, phase in zip(axes, phases, strict=True):
            strip = strips[label, phase] / unit_ns
            shown = np.where(strip > 0, strip, np.nan) if wide else strip
            image = ax.imshow(
                shown, aspect="auto", cmap=_COLORS, norm=norm, interpolation="nearest"
            )
            ax.set_title(f"{phase}: {label}", fontsize=9)
            few = range(0, len(strip), max(1, len(strip) // 4))
            ax.set_yticks(list(few), [f"socket {i}" for i in few], fontsize=7)
            ax.tick_params(length=0)
            ax.set_facecolor("white")
    for ax in grid[-1]:
        ax.set_xlabel("CPU of its socket, by number")
    if image is not None:
        figure.colorbar(image, ax=grid.ravel().tolist(), label=f"lost ({unit})", fraction=0.04)
    add_caption(
        figure,
        [runs[0] for _, runs in chosen],
        "Time in handlers and TLB misses while a CPU had work of its own, mean over replications."
        f" White: nothing, or the CPU of a task. {replications_text(comparison)}{others}",
    )
    return figure


# A row for each socket, a column for each of its CPUs; NaN for the CPUs of tasks.
def _strips(runs: tuple[ResultTotals, ...], phase: str) -> NDArray[np.float64]:
    sums: dict[int, dict[int, float]] = {}
    for run in runs:
        table = run.cpus[run.cpus["phase"] == phase]
        for cpu, socket, role, lost in zip(
            table["cpu"], table["socket"], table["role"], table["lost_ns"], strict=True
        ):
            of = sums.setdefault(int(socket), {})
            value = np.nan if role != "target" else float(lost) / len(runs)
            of[int(cpu)] = of.get(int(cpu), 0.0) + value
    width = max((len(of) for of in sums.values()), default=0)
    found = np.full((len(sums), width), np.nan)
    for row, socket in enumerate(sorted(sums)):
        for column, cpu in enumerate(sorted(sums[socket])):
            found[row, column] = sums[socket][cpu]
    return found
