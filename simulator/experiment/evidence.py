# SPDX-License-Identifier: MIT
"""
What a conclusion hangs on
--------------------------

Beside what a sweep found: which uncertain costs its ratios follow, what each alone does
at the ends of its range, and where two scenarios break even as a number varies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.analysis.frames import records
from simulator.experiment.axes import Plan, Point
from simulator.experiment.breakeven import BreakEven, break_even
from simulator.experiment.precision import Wanted
from simulator.experiment.refit import refitted
from simulator.experiment.sweeps import Options, Sweep, elapsed_of, opened_runner
from simulator.experiment.uncertainty import tornado_values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("Evidence", "broken_even", "tornado")


@dataclass(frozen=True, eq=False)
class Evidence:
    """
    What was asked for of it; the rest is empty.

    ``ranking`` is :attr:`simulator.experiment.sweeps.Sweep.ranking`, ``ends`` are of
    :func:`tornado`, with the ``scenario`` as a comparison labels it, ``crossings`` of
    :func:`broken_even`.
    """

    ranking: pd.DataFrame | None = None
    ends: pd.DataFrame | None = None
    crossings: tuple[tuple[Point, BreakEven], ...] = ()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return all of it as rows of plain values by name, of what was asked for alone."""
        found: dict[str, list[dict[str, Any]]] = {}
        if self.ranking is not None and self.ends is not None:
            found = {"ranking": records(self.ranking), "tornado": records(self.ends)}
        if self.crossings:
            found["break_even"] = [
                {
                    "label": point.label,
                    "phase": crossing.phase,
                    "field": crossing.field,
                    "places": [list(place) for place in crossing.places],
                    "steps": [
                        {
                            "value": s.value,
                            "ratio": None if math.isnan(s.ratio) else s.ratio,
                            "significant": s.significant,
                        }
                        for s in crossing.steps
                    ],
                }
                for point, crossing in self.crossings
            ]
        return found


def tornado(found: Sweep, options: Options, most: int = 8) -> pd.DataFrame:
    """
    Return what single costs do to the ratio of elapsed times, the widest first.

    One row per point other than a baseline, phase and factor, of the `most` that rank
    highest: ``point``, ``label``, ``phase``, ``factor``; ``ratio`` with the profile's
    costs, ``low_ratio`` and ``high_ratio`` with that factor at the ends of its range
    and all else as it was, but for what is fitted again; in replication 0.
    """
    import pandas as pd

    rows = []
    with opened_runner(options, found.plan.points, []) as runner:
        by_place = found.ranking.groupby(["point", "phase"], sort=False)
        for _, ranked in by_place:
            i, phase = int(ranked["point"].iloc[0]), str(ranked["phase"].iloc[0])
            point = found.plan.points[i]
            base = found.plan.points[point.baseline].scenario
            machine = point.scenario.machine_model
            ends = tornado_values(machine, ranked["factor"].tolist()[:most])
            # The other costs are what a fit makes of that one.
            again = refitted(machine, [values for _, _, values in ends], runner).values
            changes = [fit | of for fit, (_, _, of) in zip(again, ends, strict=True)]
            machines = [machine, *map(machine.with_values, changes)]
            pairs = [s.replace(machine=m) for m in machines for s in (base, point.scenario)]
            cells = dict(runner.run(pairs))
            ratios = [
                elapsed_of(cells[2 * n + 1], phase) / elapsed_of(cells[2 * n], phase)
                for n in range(len(machines))
            ]
            for n in range(1, len(ratios), 2):
                factor = ends[n - 1][0]
                rows.append((i, point.label, phase, factor, ratios[0], ratios[n], ratios[n + 1]))
    columns = ["point", "label", "phase", "factor", "ratio", "low_ratio", "high_ratio"]
    frame = pd.DataFrame(rows, columns=columns)
    width = (frame["high_ratio"] - frame["low_ratio"]).abs()
    order = frame.assign(width=width).sort_values(
        ["point", "phase", "width"], ascending=[True, True, False], kind="stable"
    )
    return order[columns].reset_index(drop=True)


def broken_even(
    found: Plan, field: str, wanted: Wanted, options: Options, bounds: tuple[float, float] | None
) -> list[tuple[Point, BreakEven]]:
    """Return for each point other than a baseline where it breaks even with that, by phase."""
    results = []
    with opened_runner(options, found.points, []) as runner:
        for i, point in enumerate(found.points):
            if point.baseline != i:
                base = found.points[point.baseline].given
                n = wanted.replications
                crossings = break_even(base, point.given, field, runner, n, bounds)
                results += [(point, crossing) for crossing in crossings]
    return results
