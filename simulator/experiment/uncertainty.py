# SPDX-License-Identifier: MIT
"""
What the uncertainty of a machine's costs does to a conclusion
--------------------------------------------------------------

An interval over seeds says nothing about costs that nobody measured. Here each
replication has costs of its own, drawn over their plausible ranges, the same for
all scenarios that are compared: the interval of a ratio then holds what the model
does not know, and it comes out which of the costs the conclusion hangs on.

Modelled: every cost of the machine that is assumed, measured or derived, and how many
cache lines a core has outstanding. A Latin hypercube over all of them; half of the
draws of a value lie below the profile's value and half above, log-uniformly (uniformly
from 0). What a fit ties goes together: costs that were fitted to times are no draws, but
fitted again with each draw of the others (:mod:`simulator.experiment.refit`), and those
with a covariance lie about that as it says (jointly normal, cut at their ranges). Costs
that were fitted to other figures share one draw, if one fit names them, as do the
distances of one cost.

Not modelled: a new fit to figures that are no times of ``nr_hugepages``; ranges of
vendors' figures, of spells and of idle states.

Sources: McKay, Beckman and Conover (1979) for the Latin hypercube; Iman and Conover
(1982) for ranks; ranges and fits are the profile's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.errors import InputError
from simulator.experiment.refit import Refitted, refitted, refitted_costs
from simulator.experiment.runner import Runner
from simulator.fields import Between
from simulator.machine import Machine
from simulator.machine.override import leaves
from simulator.machine.values import Time
from simulator.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("Drawn", "Factor", "check_draws", "factors_of", "rank", "sampled", "tornado_values")

_KINDS = ("assumed", "measured", "derived")
_OUTSTANDING = "memory.outstanding_lines"
_FEWEST, _MOST = 2, 10_000
# By more than this a time that was fitted to is not met.
_MISSED = 0.02


@dataclass(frozen=True)
class Factor:
    """
    Values of a machine that vary together, by dotted name.

    Each has the value of the profile and the ends of its range, in nanoseconds or as
    a count.
    """

    name: str
    values: Mapping[str, tuple[float, float, float]]

    def at(self, u: float) -> dict[str, float]:
        """
        Return the values at a quantile from 0 (the low ends) to 1; 0.5 is the profile's.

        >>> Factor("costs.send", {"costs.send": (100.0, 50.0, 400.0)}).at(1.0)
        {'costs.send': 400.0}
        """
        return {name: _quantile(u, *of) for name, of in self.values.items()}


def factors_of(machine: Machine) -> tuple[Factor, ...]:
    """
    Return what is uncertain about a machine, in the order of its values.

    Costs that each draw fits again are none, but for those with a covariance.
    """
    own = {v.name for fit in machine.calibration if fit.covariance for v in fit.fitted}
    again = {key for name, of in refitted_costs(machine).items() if name not in own for key in of}
    tied: dict[str, str] = {}
    for fit in machine.calibration:
        # With a covariance, each has a draw of its own, and they are tied by that.
        for name in () if fit.covariance else fit.parameters:
            tied[name] = ",".join(fit.parameters)
    groups: dict[str, dict[str, tuple[float, float, float]]] = {}
    known = leaves(machine)
    for key in machine.keys():  # noqa: SIM118 - of a machine, not of a mapping
        leaf: Any = known[key]
        of_mechanism = key.startswith("mechanisms.") and isinstance(leaf, Time)
        if key in again or not (key.startswith("costs.") or of_mechanism or key == _OUTSTANDING):
            continue
        low, high = leaf.range
        if leaf.kind not in _KINDS or not low < high:
            continue
        # A machine's times are exact in nanoseconds; a count has no unit.
        scale = 1.0 if key == _OUTSTANDING or not leaf.value else float(leaf.exact_ns) / leaf.value
        cost = ".".join(key.split(".")[: 3 if of_mechanism else 2])
        group = tied.get(key) or tied.get(cost) or cost
        groups.setdefault(group, {})[key] = (leaf.value * scale, low * scale, high * scale)
    return tuple(Factor(name, values) for name, values in groups.items())


def check_draws(number: int) -> None:
    """Raise InputError unless there can be so many draws, 2 to 10000."""
    try:
        Between(_FEWEST, _MOST)(number)
    except InputError as error:
        raise InputError(f"uncertainty: {error}") from None


def sampled(machine: Machine, number: int, seed: int) -> pd.DataFrame:
    """
    Return draws of all uncertain values: a row each, a column for each dotted name.

    A column ``factor:NAME`` for each factor holds its quantile.  InputError for a number
    that is no whole one of 2 to 10000, or a machine of which nothing is uncertain.
    """
    import pandas as pd
    from scipy.stats import qmc

    check_draws(number)
    factors = factors_of(machine)
    if not factors:
        raise InputError(f"uncertainty: {machine.name} has no value with a range")
    cube = qmc.LatinHypercube(len(factors), rng=np.random.default_rng(seed)).random(number)
    rows = []
    for us in cube:
        row: dict[str, float] = {}
        for factor, u in zip(factors, us, strict=True):
            row |= factor.at(float(u)) | {f"factor:{factor.name}": float(u)}
        rows.append(row | _jointly(machine, row))
    frame = pd.DataFrame(rows)
    for name in frame.columns.intersection([_OUTSTANDING]):
        frame[name] = frame[name].round().astype(int)
    return frame


def tornado_values(
    machine: Machine, names: Sequence[str]
) -> list[tuple[str, str, dict[str, float]]]:
    """Return the two ends of some factors, one at a time: name, ``low`` or ``high``, values."""
    known = {factor.name: factor for factor in factors_of(machine)}
    ends = []
    for name in names:
        for end, u in (("low", 0.0), ("high", 1.0)):
            values = known[name].at(u)
            if _OUTSTANDING in values:
                values[_OUTSTANDING] = round(values[_OUTSTANDING])
            ends.append((name, end, values))
    return ends


def rank(draws: pd.DataFrame, answer: Sequence[float]) -> pd.DataFrame:
    """
    Return the factors by what the answer hangs on, the strongest first.

    ``factor``; ``correlation``: Spearman's, with the answer; ``share`` of the sum of their
    squares, an estimate of what part of the variation comes from it; ``clear``: the
    correlation differs from none at the level of 95 %, all factors considered together.
    """
    import pandas as pd
    from scipy.stats import spearmanr

    names = [name for name in draws.columns if name.startswith("factor:")]
    values = np.asarray(answer, dtype=float)
    rows: list[dict[str, Any]] = []
    for name in names:
        constant = np.ptp(values) == 0
        found = None if constant or len(values) < 3 else spearmanr(draws[name], values)
        rows.append({
            "factor": name.removeprefix("factor:"),
            "correlation": 0.0 if found is None else float(found.statistic),
            "clear": found is not None and bool(found.pvalue < 0.05 / len(names)),
        })  # fmt: skip
    frame = pd.DataFrame(rows)
    squares = frame["correlation"] ** 2
    frame.insert(2, "share", squares / squares.sum() if squares.sum() else 0.0)
    order = frame["correlation"].abs().sort_values(ascending=False, kind="stable").index
    return frame.loc[order].reset_index(drop=True)


class Drawn:
    """
    The draws of the machines of some scenarios: one table for each machine and seed.

    Costs that were fitted are fitted again with each draw, by simulating what they were
    fitted to; ``notices`` say where that cannot be reached.
    """

    def __init__(self, scenarios: Sequence[Scenario], number: int, runner: Runner) -> None:
        self.notices: list[str] = []
        self._machines = [scenario.machine_model for scenario in scenarios]
        self._keys = [
            (machine.model_dump_json(), scenario.seed)
            for machine, scenario in zip(self._machines, scenarios, strict=True)
        ]
        self._tables: dict[tuple[str, int], pd.DataFrame] = {}
        for machine, key in zip(self._machines, self._keys, strict=True):
            if key not in self._tables:
                table = sampled(machine, number, key[1])
                again = refitted(machine, [_values(row) for _, row in table.iterrows()], runner)
                self._tables[key] = _joined(machine, table, again)
                self._notice(machine, again)

    def _notice(self, machine: Machine, again: Refitted) -> None:
        missed = [share for share in again.missed if share > _MISSED]
        if missed:
            self.notices.append(
                f"uncertainty: in {len(missed)} of {len(again.missed)} draws {machine.name} misses"
                f" a time that it was fitted to by up to {100 * max(missed):.0f} %: its fitted"
                " costs are at the ends of their ranges"
            )

    def table(self, i: int) -> pd.DataFrame:
        """Return the draws of scenario `i`, as of :func:`sampled`."""
        return self._tables[self._keys[i]]

    def machine(self, i: int, nth: int) -> Machine:
        """Return the machine of scenario `i` with the costs of a draw."""
        return self._machines[i].with_values(_values(self.table(i).iloc[nth]))


def _values(row: pd.Series) -> dict[str, float]:
    return {
        str(name): int(value) if name == _OUTSTANDING else float(value)
        for name, value in row.items()
        if not str(name).startswith("factor:")
    }


# With the costs that were fitted again; about these, what a covariance has drawn.
def _joined(machine: Machine, table: pd.DataFrame, again: Refitted) -> pd.DataFrame:
    ranges = {key: of for cost in refitted_costs(machine).values() for key, of in cost.items()}
    joined = table.copy()
    for key, (value, low, high) in ranges.items():
        around = table[key] - value if key in table else 0.0
        fitted = np.array([values[key] for values in again.values])
        joined[key] = np.clip(fitted + around, low, high)
    return joined


def _quantile(u: float, value: float, low: float, high: float) -> float:
    # At an end of its range, the value cannot be the median of it.
    if not low < value < high:
        return _between(u, low, high)
    return _between(2 * u, low, value) if u < 0.5 else _between(2 * u - 1, value, high)


def _between(u: float, low: float, high: float) -> float:
    if low <= 0:
        return low + u * (high - low)
    return min(high, max(low, low * math.exp(u * math.log(high / low))))


# What a fit found with its covariance: jointly normal, at the quantiles of this row.
def _jointly(machine: Machine, row: Mapping[str, float]) -> dict[str, float]:
    from scipy.special import ndtri

    found: dict[str, float] = {}
    for fit in machine.calibration:
        known = [of for of in fit.fitted if of.standard_error is not None]
        places = [i for i, of in enumerate(known) if of.unit == "ns" and f"factor:{of.name}" in row]
        if not fit.covariance or not places:
            continue
        covariance = np.asarray(fit.covariance)[np.ix_(places, places)]
        values, vectors = np.linalg.eigh(covariance)
        # Without a quantile of exactly 0 or 1, which a normal variable has not.
        u = np.clip([row[f"factor:{known[i].name}"] for i in places], 1e-9, 1 - 1e-9)
        # The symmetric root, so that each value follows its own quantile first of all.
        root = vectors @ np.diag(np.sqrt(np.clip(values, 0, None))) @ vectors.T
        for i, shift in zip(places, root @ ndtri(u), strict=True):
            name = known[i].name
            (values_of,) = (f.values for f in factors_of(machine) if f.name == name)
            value, low, high = values_of[name]
            found[name] = min(high, max(low, value + float(shift)))
    return found
