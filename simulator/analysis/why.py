# SPDX-License-Identifier: MIT
"""
Where a difference comes from
-----------------------------

Two tables beside a comparison: the tasks' time by category before and after,
sorted by what it explains of the difference, as ``perf diff`` does; and the
slowest flush of each scenario, with what kept its slowest CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.analysis.frames import ResultTotals, rows_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("slowest_flushes", "time_explained")

_TIME_COLUMNS = ("scenario", "baseline", "phase", "category", "before_ns", "after_ns", "diff_ns")


def time_explained(
    results: Sequence[Sequence[ResultTotals]], labels: Sequence[str], against: Sequence[int]
) -> pd.DataFrame:
    """
    Return where the difference of each scenario to its baseline comes from.

    One row per scenario other than a baseline, phase and category of ``time_by``:
    ``scenario``, ``baseline``, ``phase``, ``category``, ``before_ns`` and ``after_ns``,
    the mean over replications of the time of all tasks, ``diff_ns``, and ``share`` of
    the sum of all differences of that phase (below 0 where it goes the other way; NaN
    where nothing differs).  Within a phase, what explains most stands first.
    """
    import pandas as pd

    means = [_mean_by_category(runs) for runs in results]
    rows = []
    for i, of in enumerate(against):
        if i == of:
            continue
        for phase in dict.fromkeys(phase for phase, _ in means[i]):
            found = [
                (
                    category,
                    means[of].get((phase, category), 0.0),
                    means[i].get((phase, category), 0.0),
                )
                for category in sorted(
                    {c for m in (means[of], means[i]) for p, c in m if p == phase}
                )
            ]
            for category, before, after in sorted(found, key=lambda row: -abs(row[2] - row[1])):
                rows.append((labels[i], labels[of], phase, category, before, after, after - before))
    frame = pd.DataFrame(rows, columns=list(_TIME_COLUMNS))
    total = frame.groupby(["scenario", "baseline", "phase"])["diff_ns"].transform("sum")
    frame["share"] = frame["diff_ns"] / total.where(total != 0)
    return frame


def slowest_flushes(
    results: Sequence[Sequence[ResultTotals]], labels: Sequence[str]
) -> pd.DataFrame:
    """
    Return the slowest flush of each scenario, phase and replication.

    ``scenario``, ``replication``, ``phase``, ``flush``, ``reason``; ``took_ns`` from
    call to return, ``send_ns`` of it until the last IPI was sent; ``targets``;
    ``slowest_cpu`` (-1: none), ``state`` in which the IPI found that CPU, ``idle_state``
    that it had to leave (empty: none), ``late_ns`` from the arrival of the IPI to its
    handler.  Empty for results that do not say.
    """
    import pandas as pd

    rows = [
        {"scenario": label, "replication": run.scenario.replication} | row
        for label, runs in zip(labels, results, strict=True)
        for run in runs
        for row in (rows_of(run, "slowest") if "slowest" in dir(run) else ())
    ]
    return pd.DataFrame(rows)


def _mean_by_category(runs: Sequence[ResultTotals]) -> dict[tuple[str, str], float]:
    sums: dict[tuple[str, str], float] = {}
    for run in runs:
        for row in rows_of(run, "time_by"):
            place = (str(row["phase"]), str(row["category"]))
            sums[place] = sums.get(place, 0.0) + row["ns"] / len(runs)
    return sums
