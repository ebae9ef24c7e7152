# SPDX-License-Identifier: MIT
"""
Costs as integers
-----------------

Modelled: a cost is its mean in 1/1024 ns, times a drawn quantile where the
profile gives it a spread.

Not modelled: costs that depend on one another or on the load.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pydantic import InstanceOf

from simulator.draws import Uint64Array, purpose_of
from simulator.errors import InputError
from simulator.machine.distances import DISTANCES
from simulator.machine.lowered import quantiles
from simulator.machine.schema import Costs, EveryCost
from simulator.machine.values import Cost, CostByDistance, Spread

__all__ = ("FP", "LoweredCost", "LoweredCosts", "half_up", "lower_cost", "lower_costs")

Int64Array = npt.NDArray[np.int64]

#: Means are in 1/1024 ns.
FP = 1024
_DRAW_SHIFT = 26  # 1/1024 ns times 1/65536


class Multiples(dict[int, int]):
    """A cost in nanoseconds by how many of it there are, at the least distance."""

    def __init__(self, cost: LoweredCost) -> None:
        self._cost = cost

    def __missing__(self, n: int) -> int:
        ns = self[n] = self._cost.ns(n)
        return ns


@dataclass(frozen=True, eq=False)
class LoweredCost:
    """
    One cost.

    `mean_fp` holds its mean in 1/1024 ns by :class:`Distance`, the same for
    each where distance does not matter.  `spread` is the unit-mean quantile
    table, or None.  `times` has :meth:`ns` of the numbers that come again and again.
    """

    name: str
    mean_fp: tuple[int, ...]
    spread: Int64Array | None
    purpose: int
    each_ns: int = field(init=False)  # the mean of one at the least distance, rounded
    times: Multiples = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "each_ns", self.ns())
        object.__setattr__(self, "times", Multiples(self))

    def ns(self, n: int = 1, distance: int = 0) -> int:
        """Return `n` times the mean in nanoseconds, rounded half up once."""
        return (self.mean_fp[distance] * n + FP // 2) // FP

    def rounded(self, mean_fp: Int64Array) -> Int64Array:
        """Return means in nanoseconds."""
        whole: Int64Array = (mean_fp + FP // 2) // FP
        return whole

    def draws(self, mean_fp: Int64Array, x: Uint64Array) -> Int64Array:
        """Return costs in nanoseconds: the means `mean_fp` spread by the 64-bit draws `x`."""
        if self.spread is None:
            return self.rounded(mean_fp)
        product = mean_fp * quantiles.draw(self.spread, x)
        return (product + (1 << (_DRAW_SHIFT - 1))) >> _DRAW_SHIFT


class LoweredCosts(EveryCost[InstanceOf[LoweredCost], InstanceOf[LoweredCost]]):
    """Every cost of a profile as integers: the same fields, so that none can be forgotten."""

    def __getitem__(self, name: str) -> LoweredCost:
        cost: LoweredCost = getattr(self, name)
        return cost


# Replications have the same costs; what they draw has keys of its own.
@lru_cache(maxsize=64)
def lower_costs(costs: Costs) -> LoweredCosts:
    """Return the costs of a profile as integers."""
    # Checked by their names, which are those of the profile.
    return LoweredCosts.model_construct(
        None, **{name: lower_cost(name, cost) for name, cost in costs}
    )


def half_up(value: Fraction) -> int:
    """Return a number rounded to an integer, halves up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def lower_cost(name: str, cost: Cost | CostByDistance) -> LoweredCost:
    """Return one cost as integers; its draws have its name."""
    table: Int64Array | None = None
    if cost.spread is not None:
        table = _spread(cost.spread)
    elif cost.quantiles is not None:
        table = quantiles.from_quantiles(cost.quantiles)
    if isinstance(cost, CostByDistance):
        given = [half_up(time.exact_ns * FP) for time in cost.times.values()]
        # Distances that the machine has not repeat the farthest one it has.
        mean_fp = (*given, *[given[-1]] * (len(DISTANCES) - len(given)))
    else:
        mean_fp = (half_up(cost.exact_ns * FP),) * len(DISTANCES)
    if table is not None and max(mean_fp) * int(table[-1]) >= 2**62:
        raise InputError(f"costs.{name}: its spread reaches beyond what can be drawn")
    return LoweredCost(name, mean_fp, table, purpose_of(f"cost {name}"))


def _spread(spread: Spread) -> Int64Array:
    if spread.family == "lognormal":
        return quantiles.lognormal(spread.size)
    return quantiles.gamma(spread.size)
