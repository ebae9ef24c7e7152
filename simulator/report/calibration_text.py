# SPDX-License-Identifier: MIT
"""
The report of a calibration
---------------------------

What ``tlbsim calibrate --times`` prints, as text for a mail and as JSON for a
program: what was fitted to what, how well the data decide it, and each timing
beside the simulated time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from simulator.analysis.calibrate import Estimated
from simulator.analysis.frames import name_of
from simulator.geometry import page_kb
from simulator.report.text import (
    format_count,
    format_error,
    format_ns,
    format_table,
    underlined,
    unit_of_ns,
    wrapped,
)

if TYPE_CHECKING:
    from simulator.calibration import Calibrated, Cell, FittedStep

__all__ = ("calibration_json", "calibration_report")


def calibration_report(calibrated: Calibrated, out: str | None) -> str:
    """
    Return the report as plain text of at most 72 columns.

    :param out: where the profile was written.
    """
    head = [
        underlined(f"Calibration of {calibrated.start.name} (simulated)"),
        *(wrapped(text, f"{name:<11}") for name, text in _head(calibrated)),
    ]
    parts = ["\n".join(head)]
    parts += [_step(nth, step) for nth, step in enumerate(calibrated.steps, start=1)]
    parts.append(_cells(calibrated.cells))
    parts.append("\n".join(wrapped(text) for text in _remarks(calibrated)))
    if out is not None:
        parts.append(f"written    {out}")
    return "\n\n".join(parts) + "\n"


def calibration_json(calibrated: Calibrated, out: str | None) -> dict[str, Any]:
    """Return the same for a program: only JSON's own types, ``None`` for what is not known."""
    return {
        "start": calibrated.start.name,
        "noise": calibrated.noise,
        "seed": calibrated.seed,
        "out": out,
        "steps": [_step_json(step) for step in calibrated.steps],
        "cells": [_cell_json(cell) for cell in calibrated.cells],
        "checks": [
            {
                "simulated_kernel": check.setting.kernel,
                "hvo": name_of(check.setting.hvo),
                "phase": check.phase,
                "n_pages": check.pages,
                "extrapolated_s": check.extrapolated_ns / 1e9,
                "simulated_s": check.simulated_ns / 1e9,
            }
            for check in calibrated.checks
        ],
    }


def _head(calibrated: Calibrated) -> Iterator[tuple[str, str]]:
    cells = calibrated.cells
    fitted, before = sum(c.fitted for c in cells), sum(c.fitted_before for c in cells)
    machines = ", ".join(dict.fromkeys(cell.timing.machine for cell in cells))
    words = [f"{fitted} fitted", *[f"{before} fitted before"] * bool(before)]
    words.append(f"{len(cells) - fitted - before} predicted")
    yield "times", f"{len(cells)} of {machines}: {', '.join(words)}"
    yield "sources", ", ".join(dict.fromkeys(cell.timing.source for cell in cells))
    yield (
        "fitted",
        (
            "least squares of the relative errors; a later step takes what an earlier one found as"
            " known"
        ),
    )
    yield "simulated", f"noise {calibrated.noise}; seed {calibrated.seed}; all CPUs; one task"
    if any(step.patched for step in calibrated.steps):
        yield "warning", "a patched kernel was fitted too: its times are not predictions"


def _step(nth: int, step: FittedStep) -> str:
    found = step.fit
    conditions = ", ".join(step.step.conditions) or "all"
    title = f"Step {nth}: {len(found.estimated)} from {len(step.timings)} timings ({conditions})"
    rows: list[tuple[str, ...]] = []
    for group, estimated in zip(step.step.groups, found.estimated, strict=True):
        rows.append((group.name, *_shown(estimated, group.unit)))
    header = ("", "start", "fitted", "95% interval", "plausible range")
    lines = [underlined(title), format_table(rows, header)]
    notes = (
        (group.name, estimated.note(found.degrees_of_freedom))
        for group, estimated in zip(step.step.groups, found.estimated, strict=True)
    )
    lines += [wrapped(f"{name}: {note}") for name, note in notes if note]
    values = ", ".join(f"{value:.2g}" for value in found.singular_values)
    lines.append(
        wrapped(
            f"The timings decide {found.decided} of {len(found.estimated)} (singular values over"
            f" the plausible ranges: {values}); {found.degrees_of_freedom} left over to judge by."
        )
    )
    if not found.converged:
        lines.append(wrapped("The search ended before it converged: the values are not the best."))
    return "\n".join(lines)


def _shown(estimated: Estimated, unit: str) -> tuple[str, str, str, str]:
    p = estimated.parameter
    # One unit to a row: values and ranges are there to be compared.
    name, size = ("", 1) if unit == "factor" else unit_of_ns(max(p.high, estimated.value))

    def shown(*values: float, digits: int = 4) -> str:
        text = "..".join(f"{value / size:.{digits}g}" for value in values)
        return f"{text} {name}" if name else f"x {text}"

    interval = "-"
    if estimated.low is not None and estimated.high is not None:
        interval = shown(estimated.low, estimated.high, digits=3 if unit == "factor" else 4)
    return (
        shown(p.start),
        shown(estimated.value),
        interval,
        shown(p.low, p.high, digits=3 if unit == "factor" else 4),
    )


def _cells(cells: Sequence[Cell]) -> str:
    rows = []
    for cell in cells:
        t = cell.timing
        error = format_error(cell.error)
        rows.append(
            (
                t.kernel,
                name_of(t.hvo),
                t.phase,
                format_count(t.pages),
                t.page_size,
                format_ns(t.elapsed_ns, 4),
                format_ns(cell.simulated_ns, 4),
                # The blank keeps the digits of both kinds below each other.
                f"({error})" if cell.fitted else f"{error} ",
                "fitted" if cell.fitted else "before" if cell.fitted_before else "predicted",
            )
        )
    header = ("kernel", "HVO", "phase", "pages", "size", "measured", "simulated", "error", "")
    return format_table(rows, header, align="lllrlrrrl")


def _remarks(calibrated: Calibrated) -> Iterator[str]:
    if calibrated.full:
        yield "Simulated at the full number of pages."
    if calibrated.checks:
        longest = max(check.pages for check in calibrated.checks)
        worst = max(abs(check.error) for check in calibrated.checks)
        yield (
            "Fitted with short runs, extrapolated by the time that each further PMD's worth of"
            " pages takes, with what happens once in a phase added once; runs of up to"
            f" {format_count(longest)} pages differ from that by at"
            f" most {100 * worst:.2g}%."
        )
    largest = max(cell.simulated_error for cell in calibrated.cells)
    yield (
        f"The draws leave a standard error of up to {100 * largest:.2g}% in a simulated time,"
        " which the intervals contain."
    )
    if any(cell.fitted_before for cell in calibrated.cells):
        yield (
            f"Before: {calibrated.start.name} was fitted to times of these cells and keeps values"
            " from there, so that they are no predictions."
        )
    if any(e.bound for step in calibrated.steps for e in step.fit.estimated):
        yield (
            "A value at the end of its range: the machine differs more from the one to start from"
            " than that profile holds plausible, or the model lacks something. A profile of your"
            " own may state a wider range."
        )
    if any(step.fit.degrees_of_freedom == 0 for step in calibrated.steps):
        yield (
            "Where as many values are fitted as there are timings, these are met exactly whether"
            " the model is right or not, and nothing says how far the values can be trusted:"
            " measure each several times."
        )


def _step_json(step: FittedStep) -> dict[str, Any]:
    found = step.fit
    return {
        "fit": step.step.text,
        "patched": step.patched,
        "timings": len(step.timings),
        "parameters": [
            {
                "name": group.name,
                "members": list(group.members),
                "unit": group.unit,
                "start": e.parameter.start,
                "value": e.value,
                "standard_error": e.standard_error,
                "interval": None if e.low is None else [e.low, e.high],
                "range": [e.parameter.low, e.parameter.high],
                "identified": e.identified,
                "at_bound": e.bound,
                "note": e.note(found.degrees_of_freedom),
            }
            for group, e in zip(step.step.groups, found.estimated, strict=True)
        ],
        "singular_values": list(found.singular_values),
        "rank": found.rank,
        "decided": found.decided,
        "degrees_of_freedom": found.degrees_of_freedom,
        "covariance": None if found.covariance is None else [list(r) for r in found.covariance],
        "converged": found.converged,
        "evaluations": found.evaluations,
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    t = cell.timing
    return {
        "machine": t.machine,
        "kernel": t.release,
        "hvo": name_of(t.hvo),
        "phase": t.phase,
        "n_pages": t.pages,
        "page_kb": page_kb(t.page_size),
        "real_s": t.elapsed_ns / 1e9,
        "source": t.source,
        "simulated_kernel": t.kernel,
        "simulated_s": cell.simulated_ns / 1e9,
        "simulated_error": cell.simulated_error,
        "error": cell.error,
        "fitted": cell.fitted,
        "fitted_before": cell.fitted_before,
    }
