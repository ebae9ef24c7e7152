# SPDX-License-Identifier: MIT
"""
What was fitted to what
-----------------------

A profile records which of its values were fitted, and to which figures: the only
place that says so.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from simulator.geometry import PageSize
from simulator.machine.values import Strict

__all__ = ("Calibration", "FittedTime", "FittedValue")


class FittedTime(Strict):
    """
    A time of writing to ``nr_hugepages`` that values were fitted to.

    `kernel` is its name here, `release` what the source calls it if that is something else;
    `machine` is the name of the machine in the source.
    """

    machine: str
    kernel: str
    release: str = ""
    hvo: bool
    phase: str = Field(pattern=r"^(alloc|free)([2-9]|[1-9][0-9]{1,3})?$")
    pages: int = Field(gt=0)
    page_size: PageSize
    real_s: float = Field(gt=0)

    @property
    def cell(self) -> tuple[str, str, bool, str, int, str]:
        """What was measured, as :attr:`simulator.published.times.Timing.cell` has it."""
        return (self.machine, self.kernel, self.hvo, self.phase, self.pages, self.page_size)

    @property
    def elapsed_ns(self) -> int:
        """The time in nanoseconds."""
        return round(self.real_s * 10**9)


class FittedValue(Strict):
    """
    What a fit found for one parameter.

    A parameter is a cost in nanoseconds, or a factor on several.  Without a standard error the
    data left none over to judge by, or did not decide the value; `note` says which.
    """

    name: str
    unit: Literal["ns", "factor"]
    start: float
    value: float
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    note: str = ""


class Calibration(Strict):
    """
    Which figures were used to fit which values.

    `times` are times of ``nr_hugepages``, `figures` whatever else was used, in words.
    `residuals` are simulated over measured, less 1, by time.  `covariance` has a row and a column
    for each of `fitted` that has a standard error, in their units.  `patched` says that times of
    a patched kernel were used, so that the patched kernel is no longer predicted.
    """

    parameters: tuple[str, ...]
    times: tuple[FittedTime, ...] = ()
    figures: tuple[str, ...] = ()
    source: str
    date: str = ""
    note: str = ""
    patched: bool = False
    degrees_of_freedom: int | None = None
    residuals: tuple[float, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()
    fitted: tuple[FittedValue, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Calibration:
        if not self.times and not self.figures:
            raise ValueError("missing 'times' or 'figures': what was fitted to")
        if self.residuals and len(self.residuals) != len(self.times):
            raise ValueError(f"residuals must be {len(self.times)}, one for each of times")
        known = sum(value.standard_error is not None for value in self.fitted)
        if self.covariance and any(
            len(part) != known for part in (self.covariance, *self.covariance)
        ):
            raise ValueError(
                f"covariance must have {known} rows of {known} numbers, one for each standard error"
            )
        return self
