# SPDX-License-Identifier: MIT
"""
Flushes by what they are for
----------------------------

:func:`flush_kinds` counts the flushes of a phase and adds up their time:

``split``
    of one PMD, when it is split;
``late``
    the same after the flush of a batch of splits, which did not get to that PMD;
``batch``
    of everything, after all splits or all remaps of a list;
``remap``
    of one folio;
``other``
    whatever else: on the way back after a failure, of a restore.

What a user's kernel flushes for comes after these, under its own reasons.

Modelled: one task.  With several, a late split of one may look like an early one of
another.

Not modelled: static-key patching, which flushes no TLB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator.analysis.frames import ResultFrames, name_of, of_phase, row_of_phase
from simulator.analysis.safety import safety_of
from simulator.trace.words import REASONS, own_words

__all__ = ("FLUSH_KINDS", "FlushCase", "Flushes", "case_rows", "flush_kinds", "unflushed_pmds")

#: The kinds, in the order in which they occur.
FLUSH_KINDS: Final = ("split", "batch", "late", "remap", "other")

_KIND_OF: Final = {
    "split": "split",
    "batch_split": "batch",
    "batch_remap": "batch",
    "batch_restore": "batch",
    "remap": "remap",
}


@dataclass(frozen=True, slots=True)
class Flushes:
    """How many flushes, and how long their initiators were in them."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True, eq=False)
class FlushCase:
    """
    One situation in which kernels are compared by their flushes, one run each.

    ``formulas`` say by kernel how many flushes there should be, as text and as number.
    """

    title: str
    results: Sequence[ResultFrames]
    formulas: Mapping[str, tuple[str, int]]


def flush_kinds(result: ResultFrames, phase: str) -> dict[str, Flushes]:
    """
    Return the flushes of a phase by kind.

    Every kind of :data:`FLUSH_KINDS` once, then a kernel's own reasons where there are any.
    """
    frame = of_phase(result.flushes, phase)
    rows = frame[frame["kind"] != "none"]
    reasons = rows["reason"].astype(str)
    own = own_words(REASONS, reasons)
    kinds = reasons.map({name: _KIND_OF.get(name, "other") for name in REASONS}).fillna(reasons)
    batches = rows.loc[reasons == "batch_split", "start_ns"]
    if len(batches):
        kinds = kinds.mask((kinds == "split") & (rows["start_ns"] > batches.min()), "late")
    time_ns = rows["end_ns"] - rows["start_ns"]
    return {
        kind: Flushes(int((kinds == kind).sum()), int(time_ns[kinds == kind].sum()))
        for kind in (*FLUSH_KINDS, *own)
    }


def unflushed_pmds(result: ResultFrames) -> int:
    """Return how many PMDs were split and not flushed before PTEs of them were stored."""
    return safety_of([result]).broken.get("size-and-frame", 0)


def case_rows(case: FlushCase, phase: str) -> list[dict[str, Any]]:
    """Return a row of plain values for each kernel of a case."""
    rows = []
    for result in case.results:
        kernel = name_of(result.scenario.kernel)
        formula, value = case.formulas[kernel]
        kinds = {kind: found.count for kind, found in flush_kinds(result, phase).items()}
        rows.append(
            {
                "case": case.title,
                "kernel": kernel,
                "formula": formula,
                "formula_flushes": value,
                "flushes": sum(kinds.values()),
                **kinds,
                "unflushed_pmds": unflushed_pmds(result),
                "elapsed_ns": row_of_phase(result.summary, phase)["elapsed_ns"],
            }
        )
    return rows
