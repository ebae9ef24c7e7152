# SPDX-License-Identifier: MIT
"""
A machine fitted to a trace, as text
------------------------------------

What each step took, the latency of flushes held out beside those simulated, and
what the trace could not tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.report.text import (
    format_count,
    format_error,
    format_ns,
    format_table,
    underlined,
    wrapped,
)
from simulator.report.trace_text import QUANTILES

if TYPE_CHECKING:
    from simulator.calibration.from_trace import TraceFit

__all__ = ("trace_fit_json", "trace_fit_report")

Values = npt.NDArray[np.float64] | npt.NDArray[np.int64]
_HEADER = ("", "count", *(f"p{100 * q:g}" for q in QUANTILES))


def trace_fit_report(fit: TraceFit, out: str | None) -> str:
    """
    Return the report as plain text of at most 72 columns.

    :param out: where the profile was written.
    """
    job = fit.job
    head = [
        underlined(f"A machine fitted to {fit.trace.path.name}"),
        wrapped(
            f"{len(job.flushes)} flushes by {job.function} to {format_count(job.targets)} CPUs"
            f" each; {fit.nr_fitted} were fitted to, {len(fit.held)} held out",
            "measured   ",
        ),
        wrapped(fit.start.name, "based on   "),
    ]
    steps = [_row(name, sample) for name, sample in fit.costs.samples.items()]
    arrival = "one after another" if fit.costs.serial else "side by side"
    parts = [
        "\n".join(head),
        f"{underlined('Time of each step')}\n{format_table(steps, _HEADER)}\n"
        + wrapped(f"Interrupts arrive {arrival}."),
    ]
    rows = [_row("held out", fit.held)] if len(fit.held) else []
    rows.append(_row("simulated", fit.simulated))
    check = f"{underlined('Latency of a flush')}\n{format_table(rows, _HEADER)}"
    if fit.ks is not None and fit.median_error is not None:
        check += "\n" + wrapped(
            f"Kolmogorov-Smirnov distance {fit.ks:.3f}; the simulated median is"
            f" {format_error(fit.median_error)} off."
        )
    parts.append(check)
    parts.append(
        f"{underlined('What the trace does not tell')}\n"
        + "\n".join(wrapped(note, "- ") for note in fit.notes)
    )
    if out is not None:
        parts.append(f"written    {out}")
    return "\n\n".join(parts) + "\n"


def trace_fit_json(fit: TraceFit, out: str | None) -> dict[str, Any]:
    """Return the same for a program: only JSON's own types, ``None`` for what is not known."""
    return {
        "file": str(fit.trace.path),
        "start": fit.start.name,
        "out": out,
        "function": fit.job.function,
        "targets": fit.job.targets,
        "flushes_fitted": fit.nr_fitted,
        "flushes_held_out": len(fit.held),
        "arrive": "serial" if fit.costs.serial else "parallel",
        "steps": {name: _quantiles(sample) for name, sample in fit.costs.samples.items()},
        "held_out": _quantiles(fit.held) if len(fit.held) else None,
        "simulated": _quantiles(fit.simulated),
        "ks": fit.ks,
        "median_error": fit.median_error,
        "notes": list(fit.notes),
    }


def _row(name: str, values: Values) -> tuple[str, ...]:
    quantiles = (format_ns(round(float(np.quantile(values, q)))) for q in QUANTILES)
    return name, format_count(len(values)), *quantiles


def _quantiles(values: Values) -> dict[str, float]:
    return {"count": len(values)} | {
        f"p{100 * q:g}_ns": float(np.quantile(values, q)) for q in QUANTILES
    }
