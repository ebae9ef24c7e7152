# SPDX-License-Identifier: MIT
"""
A machine fitted to timings
---------------------------

:func:`calibrate` fits step by step: what an earlier step found is known to the
later ones.  Only timings of unmodified kernels are fitted unless the user names
other kernels; all others are predicted from the fitted machine.

Modelled: one task that writes to ``nr_hugepages`` on all CPUs of the machine,
folios from a 128 MB boundary on every node.

Not modelled: what the timings say about the costs of an earlier step once that
is done; the interval of a later step knows nothing of the earlier one's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simulator.analysis.calibrate import Fit, fit
from simulator.calibration.cells import Cells, Check
from simulator.calibration.parameters import Step
from simulator.errors import InputError, nearest
from simulator.kernel import kernel_named
from simulator.kernel.versions.v6_6 import V6_6
from simulator.machine import Machine
from simulator.machine.units import TIME_UNITS
from simulator.published.times import Timing, check_kernel

__all__ = ("Calibrated", "Cell", "FittedStep", "calibrate", "fitted_timings", "is_unmodified")

# Of a value in a profile: far finer than any interval.
_DIGITS = 5


@dataclass(frozen=True)
class FittedStep:
    """One step: what was fitted, to which timings, what came out, what the profile then holds."""

    step: Step
    timings: tuple[Timing, ...]
    fit: Fit
    values: Mapping[str, float]  # by full name, in the unit of the profile

    @property
    def patched(self) -> bool:
        """Whether a timing of a patched kernel was used."""
        return not all(is_unmodified(t.kernel) for t in self.timings)


@dataclass(frozen=True)
class Cell:
    """
    A timing, what the fitted machine takes, and whether it was used to fit it.

    ``simulated_error`` is the standard error that the draws leave, as a share; ``fitted_before``
    says that the machine to start from was fitted to the cell, and keeps a value from there.
    """

    timing: Timing
    simulated_ns: int
    simulated_error: float
    fitted: bool
    fitted_before: bool

    @property
    def error(self) -> float:
        """Simulated over measured, less 1."""
        return self.simulated_ns / self.timing.elapsed_ns - 1.0


@dataclass(frozen=True)
class Calibrated:
    """What a calibration found."""

    start: Machine
    machine: Machine
    steps: tuple[FittedStep, ...]
    cells: tuple[Cell, ...]
    checks: tuple[Check, ...]
    noise: str
    seed: int
    full: bool


def is_unmodified(kernel: str) -> bool:
    """
    Whether a kernel is a release from before the batching series.

    >>> [is_unmodified(kernel) for kernel in ("v6.1", "v6.6", "v6.6+1", "v6.7")]
    [True, True, False, False]
    """
    version = kernel_named(kernel)
    batching = issubclass(version, V6_6) and version is not V6_6
    return version.name == version.base and not batching


def fitted_timings(timings: Sequence[Timing], fit_on: Sequence[str]) -> tuple[Timing, ...]:
    """Return the timings to fit: of the kernels named, or of the unmodified ones."""
    for timing in timings:
        check_kernel(timing)
    there = dict.fromkeys(t.kernel for t in timings)
    for kernel in fit_on:
        if kernel not in there:
            raise InputError(
                f"fit-on: no timing is of {kernel!r}, only of {', '.join(there)}"
                f"{nearest(kernel, there)}"
            )
    chosen = tuple(
        t for t in timings if t.kernel in fit_on or (not fit_on and is_unmodified(t.kernel))
    )
    if not chosen:
        raise InputError(
            f"times: no row is of an unmodified kernel, only of {', '.join(there)};"
            " --fit-on fits another one, and the profile will say so"
        )
    return chosen


def calibrate(
    start: Machine,
    timings: Sequence[Timing],
    steps: Sequence[Step],
    fit_on: Sequence[str] = (),
    noise: str = "quiet",
    seed: int = 1,
    full: bool = False,
    progress: Callable[[], object] | None = None,
) -> Calibrated:
    """
    Return a machine fitted to timings, step by step, and what it predicts for the rest.

    With ``full`` the cells are simulated at their full size in the end, instead of extrapolated.
    ``progress`` is called after every simulation.
    """
    allowed = fitted_timings(timings, fit_on)
    taken = [tuple(t for t in allowed if step.takes(t)) for step in steps]
    for step, used in zip(steps, taken, strict=True):
        if not used:
            raise InputError(f"fit: {step.text}: none of the timings to fit meets that")
        for group in step.groups:
            group.parameter()
    cells = Cells(timings, noise, seed, progress)
    cells.check_possible(start)
    cells.prepare(start)
    machine = start
    done = []
    for step, used in zip(steps, taken, strict=True):
        fitted = _fitted(machine, step, used, cells)
        machine = _with(machine, fitted.values, step)
        done.append(fitted)
    used_lines = {t.line for step in done for t in step.timings}
    refitted = {name for step in done for group in step.step.groups for name in group.costs}
    kept = [fit for fit in start.calibration if not refitted.issuperset(fit.parameters)]
    before = {time.cell for fit in kept for time in fit.times}
    times_ns = (cells.full_times_ns if full else cells.times_ns)(machine, timings)
    return Calibrated(
        start=start,
        machine=machine,
        steps=tuple(done),
        cells=tuple(
            Cell(
                timing,
                round(time_ns),
                share,
                fitted=timing.line in used_lines,
                fitted_before=timing.cell in before and timing.line not in used_lines,
            )
            for timing, time_ns, share in zip(timings, times_ns, cells.errors(timings), strict=True)
        ),
        checks=tuple(cells.checks(machine)),
        noise=noise,
        seed=seed,
        full=full,
    )


def _fitted(machine: Machine, step: Step, timings: tuple[Timing, ...], cells: Cells) -> FittedStep:
    def times_ns(values: Sequence[float]) -> list[float]:
        costs: dict[str, bool | float | str] = {}
        for group, value in zip(step.groups, values, strict=True):
            costs |= group.values_ns(value)
        return cells.times_ns(machine.with_values(costs), timings)

    found = fit(
        times_ns,
        [group.parameter() for group in step.groups],
        [float(t.elapsed_ns) for t in timings],
        cells.errors(timings),
        [t.cell for t in timings],
    )
    held = {
        name: _rounded(ns / TIME_UNITS[time.unit])
        for group, estimated in zip(step.groups, found.estimated, strict=True)
        for (name, ns), time in zip(
            group.values_ns(estimated.value).items(), group.members.values(), strict=True
        )
    }
    return FittedStep(step, timings, found, held)


# What the profile will hold is what is simulated from here on.
def _with(machine: Machine, values: Mapping[str, float], step: Step) -> Machine:
    units = {name: time.unit for group in step.groups for name, time in group.members.items()}
    return machine.with_values({name: f"{value!r}{units[name]}" for name, value in values.items()})


def _rounded(value: float) -> float:
    if value == 0:
        return 0.0
    return round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))
