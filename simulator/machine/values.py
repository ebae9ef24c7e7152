# SPDX-License-Identifier: MIT
"""
What one value of a profile says
--------------------------------

A value has a kind, a source and, where it is a number, a unit and a plausible
range; a cost may have a distribution, or depend on how far the other CPU is.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import copysign
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from simulator.errors import number_text
from simulator.machine.distances import DISTANCES
from simulator.machine.units import SizeUnit, TimeUnit, to_bytes, to_ns

__all__ = (
    "Cost",
    "CostByDistance",
    "Count",
    "Fact",
    "Kind",
    "Length",
    "Points",
    "Quantity",
    "Size",
    "Sourced",
    "Spread",
    "Strict",
    "Time",
)

Kind = Literal["measured", "vendor", "derived", "assumed"]
Points = tuple[tuple[float, float], ...]
T = TypeVar("T")

# A draw is mean times quantile in 64 bits; 100 s leaves no room for a tail.
_LONGEST_NS = 10**10
# How far the mean of explicit quantiles may be from the value that it restates.
_MEAN_TOLERANCE = 0.02


class Strict(BaseModel):
    """Frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True
    )


class Sourced(Strict):
    """Where a value comes from."""

    kind: Kind = Field(description="how the value was found")
    source: str = Field(description="where it comes from; for assumed ones, the reasoning")
    note: str = Field(default="", description="what else a reader has to know of it")
    machine: str = Field(default="", description="where it was measured, if not on this machine")
    date: str = Field(default="", description="when it was measured or published")

    @field_validator("source")
    @classmethod
    def _source_says_something(cls, source: str) -> str:
        if not source.strip():
            raise ValueError("is empty: say where the value comes from")
        return source


def _check_range(value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    shown = f"[{number_text(low)}, {number_text(high)}]"
    if low < 0 or low > high:
        raise ValueError(f"range is {shown}, but must be [low, high] from 0 up")
    if not low <= value <= high:
        near = low if value < low else high
        raise ValueError(
            f"value {number_text(value)} is outside its own range {shown}"
            f" (nearest: {number_text(near)})"
        )


class Fact(Sourced, Generic[T]):
    """A structural value, without a unit: a count, a choice, a matrix."""

    value: T = Field(description="the value")


class Count(Fact[int]):
    """A number of things, and its plausible range."""

    range: tuple[int, int] = Field(description="lowest and highest plausible value")

    @model_validator(mode="after")
    def _value_in_range(self) -> Count:
        if self.value < 1:
            raise ValueError(f"is {self.value}, but must be 1 or more")
        _check_range(self.value, self.range)
        return self


class Quantity(Sourced):
    """A number with a unit and a plausible range; subclasses name the units."""

    value: float = Field(description="the number, in the unit beside it; of a cost, the mean")
    range: tuple[float, float] = Field(description="lowest and highest plausible value")

    @field_validator("value")
    @classmethod
    def _not_negative(cls, value: float) -> float:
        if copysign(1, value) < 0:
            raise ValueError(f"is {value:g}, but cannot be below 0")
        return value

    @model_validator(mode="after")
    def _value_in_range(self) -> Quantity:
        _check_range(self.value, self.range)
        return self


class Time(Quantity):
    """A duration."""

    unit: TimeUnit = Field(description="unit of the value, the range and the quantiles")

    @property
    def exact_ns(self) -> Fraction:
        """The value in nanoseconds, not rounded."""
        return to_ns(self.value, self.unit)

    @model_validator(mode="after")
    def _not_absurd(self) -> Time:
        if self.exact_ns > _LONGEST_NS:
            raise ValueError(f"value {self.value:g} {self.unit} is above the limit of 10 s")
        return self


class Size(Quantity):
    """An amount of memory."""

    unit: SizeUnit = Field(description="unit of the value and the range")

    @property
    def exact_bytes(self) -> Fraction:
        """The value in bytes, not rounded."""
        return to_bytes(self.value, self.unit)


class Spread(Strict):
    """How a cost varies around its mean."""

    family: Literal["lognormal", "gamma"] = Field(description="the distribution around the mean")
    sigma: float | None = Field(
        default=None, description="of a lognormal: deviation of the logarithm, above 0 to 2"
    )
    cv: float | None = Field(
        default=None, description="of a gamma: deviation over mean, above 0 to 2"
    )
    kind: Kind = Field(default="assumed", description="how the spread was found")
    source: str = Field(default="", description="where it comes from")

    @property
    def size(self) -> float:
        """Return `sigma` or `cv`, whichever the family has."""
        return (self.sigma if self.family == "lognormal" else self.cv) or 0.0

    @model_validator(mode="after")
    def _one_parameter(self) -> Spread:
        wanted, other = ("sigma", "cv") if self.family == "lognormal" else ("cv", "sigma")
        value = self.sigma if wanted == "sigma" else self.cv
        if value is None:
            raise ValueError(f"a {self.family} spread needs {wanted!r}")
        if (self.cv if wanted == "sigma" else self.sigma) is not None:
            raise ValueError(f"a {self.family} spread has no {other!r}, only {wanted!r}")
        if not 0 < value <= 2:
            raise ValueError(f"{wanted} is {value:g}, but must be above 0 and at most 2")
        return self


def _check_quantiles(points: Points, value: float) -> None:
    if len(points) < 2 or points[0][0] != 0 or points[-1][0] != 1:
        raise ValueError("quantiles must run from probability 0 to 1, in at least two points")
    mean = 0.0
    for (p0, v0), (p1, v1) in itertools.pairwise(points):
        if p1 <= p0:
            raise ValueError(f"quantiles: probability {p1:g} after {p0:g} must increase")
        if v1 < v0:
            raise ValueError(f"quantiles: {v1:g} after {v0:g} decreases")
        mean += (p1 - p0) * (v0 + v1) / 2
    if points[0][1] < 0:
        raise ValueError(f"quantiles: {points[0][1]:g} is below 0")
    if mean <= 0 or abs(value - mean) > _MEAN_TOLERANCE * mean:
        raise ValueError(f"value {value:g} is not the mean of its quantiles, {mean:.4g}")


def _check_distribution(spread: Spread | None, quantiles: Points | None, mean: float) -> None:
    if quantiles is not None:
        if spread is not None:
            raise ValueError("give a spread or quantiles, not both")
        _check_quantiles(quantiles, mean)


class Cost(Time):
    """What one elementary step costs, and how it varies."""

    spread: Spread | None = Field(default=None, description="without one, it does not vary")
    quantiles: Points | None = Field(
        default=None, description="[probability, value] from 0 to 1, in place of a spread"
    )

    @model_validator(mode="after")
    def _one_distribution(self) -> Cost:
        _check_distribution(self.spread, self.quantiles, self.value)
        return self


class Length(Time):
    """The length of a spell: `value` is the mean, in the unit of the quantiles."""

    quantiles: Points = Field(description="[probability, value] from 0 to 1; their mean is value")

    @model_validator(mode="after")
    def _consistent(self) -> Length:
        _check_quantiles(self.quantiles, self.value)
        return self

    @property
    def longest_ns(self) -> Fraction:
        """The longest spell in nanoseconds."""
        return to_ns(self.quantiles[-1][1], self.unit)


class CostByDistance(Strict):
    """
    A cost that depends on how far the other CPU is; one spread for all distances.

    ``quantiles`` are of the ratio to the mean, which is 1.
    """

    core: Time = Field(description="to the other CPU of the core")
    socket: Time = Field(description="to another core of the socket")
    hop1: Time | None = Field(default=None, description="to a socket one link away")
    hop2: Time | None = Field(default=None, description="to a socket two links away")
    spread: Spread | None = Field(default=None, description="without one, it does not vary")
    quantiles: Points | None = Field(
        default=None, description="[probability, ratio to the mean], in place of a spread"
    )

    @property
    def times(self) -> dict[str, Time]:
        """The costs that are given, by the name of the distance, the nearest first."""
        return {d: time for d in DISTANCES if (time := getattr(self, d)) is not None}

    @model_validator(mode="after")
    def _no_gap(self) -> CostByDistance:
        if self.hop2 is not None and self.hop1 is None:
            raise ValueError("has 'hop2' but no 'hop1'")
        return self

    @model_validator(mode="after")
    def _one_distribution(self) -> CostByDistance:
        _check_distribution(self.spread, self.quantiles, 1.0)
        return self
