# SPDX-License-Identifier: MIT
"""
How many replications a precision needs
---------------------------------------

A mean is precise enough when the half-width of its interval is at most so
much of it. Replications are added in rounds until the named metrics of all
scenarios that are compared with each other are. How many follows from the values
alone, never from who was done first.

Modelled: the half-width shrinks with the square root of the number of replications.

Not modelled: that looking at the interval between rounds makes it a little too
narrow; a first round of five keeps that below a point of its level.

Sources: Law and Kelton, "Simulation Modeling and Analysis", section 9.4.1, the
sequential procedure for a relative error.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.analysis.compare import METRICS, Comparison
from simulator.errors import InputError, nearest
from simulator.experiment.pairs import check_replications

__all__ = ("FIRST_ROUND", "Wanted")

FIRST_ROUND = 5
# One that has not become precise by then will not.
_CAP = 200


@dataclass(frozen=True)
class Wanted:
    """
    So many replications, or a precision of some metrics with a cap.

    InputError for a precision that is no fraction and a metric that does not exist.
    """

    replications: int = 10
    precision: float | None = None
    metrics: tuple[str, ...] = ("elapsed_s",)
    cap: int = _CAP

    def __post_init__(self) -> None:
        check_replications(self.replications)
        if self.precision is not None and not _is_share(self.precision):
            raise InputError(
                f"precision: must be above 0 and below 1, such as 0.02, not {self.precision!r}"
            )
        try:
            check_replications(self.cap)
        except InputError as error:
            text = str(error).removeprefix("replications")
            raise InputError(f"max replications{text}") from None
        for metric in self.metrics:
            if metric not in METRICS:
                hint = nearest(metric, METRICS) or f"; known: {', '.join(METRICS)}"
                raise InputError(f"metric: unknown {metric!r}{hint}")

    @property
    def first(self) -> int:
        """How many replications to begin with."""
        return self.replications if self.precision is None else min(FIRST_ROUND, self.cap)

    def next(self, comparison: Comparison, n: int) -> int:
        """Return how many replications scenarios that have `n` need in all: `n` if enough."""
        if self.precision is None or n >= self.cap:
            return n
        frame = comparison.frame
        rows = frame[frame["metric"].isin(self.metrics)]
        needed = max(
            (_needed(*ends, self.precision, n) for ends in _ends(rows.to_dict("records"))),
            default=n,
        )
        return n if needed <= n else min(self.cap, max(n + 1, min(needed, 2 * n)))


# Of what a user typed, which may be no number.
def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < 1


def _ends(rows: Sequence[Mapping[Hashable, Any]]) -> list[tuple[float, float]]:
    return [
        (row["mean"], (row["ci_high"] - row["ci_low"]) / 2)
        for row in rows
        if math.isfinite(row["mean"]) and math.isfinite(row["ci_low"])
    ]


def _needed(mean: float, half: float, precision: float, n: int) -> int:
    if half <= precision * abs(mean):
        return n
    if mean == 0:
        return 2 * n
    return math.ceil(n * min(4.0, (half / (precision * abs(mean))) ** 2))
