# SPDX-License-Identifier: MIT
"""
A calibration as a profile
--------------------------

The profile inherits from the machine that the fit started from and states what
was fitted: each cost with kind ``derived`` and the timings as its source, and
under ``[[calibration]]`` which times were used, what remained of them, and how
well the data decide each value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from simulator.calibration.fitting import Calibrated, FittedStep
from simulator.machine.fits import Calibration
from simulator.machine.toml import toml_text
from simulator.machine.values import CostByDistance
from simulator.published.times import Timing

__all__ = ("inherits_from", "profile_text")

_HEAD = "# A machine profile, written by tlbsim calibrate.\n\n"


def profile_text(calibrated: Calibrated, inherits: str, date: str) -> str:
    """Return the profile as TOML."""
    start = calibrated.start
    costs: dict[str, Any] = {}
    for step in calibrated.steps:
        for name, value in step.values.items():
            _, cost, *distance = name.split(".")
            table = costs.setdefault(cost, {})
            for part in distance:
                table = table.setdefault(part, {})
            table |= _cost(calibrated, step, name, value, date)
    refitted = {name for step in calibrated.steps for g in step.step.groups for name in g.costs}
    kept = (_without(fit, refitted) for fit in start.calibration)
    data = {
        "inherits": inherits,
        "title": f"{start.title}, fitted",
        "description": _description(calibrated),
        "costs": costs,
        "calibration": [
            *(fit for fit in kept if fit["parameters"]),
            *(_calibration(calibrated, step, date) for step in calibrated.steps),
        ],
    }
    return _HEAD + toml_text(data)


def inherits_from(start: str, out: Path) -> str:
    """
    Return what a profile at ``out`` says to inherit from the machine that the user named ``start``.

    >>> inherits_from("laptop-8", Path("/tmp/mine.toml"))
    'laptop-8'
    >>> inherits_from("/tmp/a/base.toml", Path("/tmp/b/mine.toml"))
    '../a/base.toml'
    """
    if "/" not in start and not start.endswith(".toml"):
        return start
    path = os.path.relpath(Path(start).expanduser().absolute(), out.expanduser().absolute().parent)
    # Without a slash or the ending it would be the name of a profile in the package.
    return path if "/" in path or path.endswith(".toml") else f"./{path}"


def _cost(
    calibrated: Calibrated, step: FittedStep, name: str, value: float, date: str
) -> dict[str, Any]:
    _, cost, *distance = name.split(".")
    old = getattr(calibrated.start.costs, cost)
    machines = ", ".join(dict.fromkeys(t.machine for t in step.timings))
    table = {"value": value, "unit": old.unit if not distance else getattr(old, distance[0]).unit}
    table |= {
        "kind": "derived",
        "source": f"fitted to {len(step.timings)} timings, see [[calibration]]; {_sources(step)}",
        "machine": machines,
        "date": date,
    }
    group = next(g for g in step.step.groups if name in g.members)
    if group.unit == "factor":
        table["note"] = f"one factor on {group.name}"
    new = getattr(calibrated.machine.costs, cost)
    if not isinstance(new, CostByDistance) and new.quantiles is not None:
        # The shape stays, the mean moves; in the unit that the value is in.
        table["quantiles"] = [list(point) for point in new.quantiles]
    return table


def _calibration(calibrated: Calibrated, step: FittedStep, date: str) -> dict[str, Any]:
    found = step.fit
    names = dict.fromkeys(name for group in step.step.groups for name in group.costs)
    errors = {cell.timing.line: cell.error for cell in calibrated.cells}
    known = [i for i, e in enumerate(found.estimated) if e.standard_error is not None]
    covariance = found.covariance or ()
    return {
        "parameters": list(names),
        "source": _sources(step),
        "date": date,
        "note": f"least squares of the relative errors, noise {calibrated.noise}, seed"
        f" {calibrated.seed}",
        "patched": True if step.patched else None,
        "degrees_of_freedom": found.degrees_of_freedom,
        "residuals": [round(errors[timing.line], 6) for timing in step.timings],
        "covariance": [[_short(covariance[i][j] or 0.0) for j in known] for i in known] or None,
        "times": [_time(timing) for timing in step.timings],
        "fitted": [
            {
                "name": group.name,
                "unit": group.unit,
                "start": _short(estimated.parameter.start),
                "value": _short(estimated.value),
                "standard_error": _maybe(estimated.standard_error),
                "interval": None
                if estimated.low is None or estimated.high is None
                else [_short(estimated.low), _short(estimated.high)],
                "note": estimated.note(found.degrees_of_freedom) or None,
            }
            for group, estimated in zip(step.step.groups, found.estimated, strict=True)
        ],
    }


def _time(timing: Timing) -> dict[str, Any]:
    return {
        "machine": timing.machine,
        "kernel": timing.kernel,
        "release": timing.release if timing.release != timing.kernel else None,
        "hvo": timing.hvo,
        "phase": timing.phase,
        "pages": timing.pages,
        "page_size": timing.page_size,
        "real_s": timing.elapsed_ns / 1e9,
    }


# A list in a profile replaces its parent's, so what still holds has to be said again.
def _without(fit: Calibration, refitted: set[str]) -> dict[str, Any]:
    data = fit.model_dump(mode="json", exclude_defaults=True)
    return data | {"parameters": [name for name in fit.parameters if name not in refitted]}


def _description(calibrated: Calibrated) -> str:
    timings = [t for step in calibrated.steps for t in step.timings]
    machines = ", ".join(dict.fromkeys(t.machine for t in timings))
    text = (
        f"{calibrated.start.name} with what was fitted to {len(timings)} timings of {machines};"
        " everything else is as it was there."
    )
    if any(step.patched for step in calibrated.steps):
        text += " Fitted to a patched kernel too, which it therefore does not predict."
    return text


def _sources(step: FittedStep) -> str:
    return ", ".join(dict.fromkeys(timing.source for timing in step.timings))


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _maybe(value: float | None) -> float | None:
    return None if value is None else _short(value)
