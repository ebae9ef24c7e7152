# SPDX-License-Identifier: MIT
"""
The report of a validation
--------------------------

What ``tlbsim validate`` prints, as plain text and as JSON: each count that
differs from the real one, with its line in the file, how many were compared, and
how many of these were given; each published time beside the simulated one, with
its interval, its error, and whether the profile was fitted to it or to another
time of its cell; each figure of a single flush or interrupt the same way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from simulator.analysis.frames import name_of
from simulator.geometry import page_kb
from simulator.report.benchmark_text import against
from simulator.report.header import version_text
from simulator.report.text import (
    format_count,
    format_error,
    format_interval,
    format_ns,
    format_table,
    underlined,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simulator.validation import BenchmarkCheck, CountsCheck, TimeCheck

__all__ = (
    "benchmarks_json",
    "benchmarks_text",
    "counts_json",
    "counts_text",
    "times_json",
    "times_text",
)

# The cell was fitted, but not to this time.
_OTHERWISE = "cell fitted"
_OTHERS_GIVEN = ", the pages got where fewer were there, the threads of a boot"


def counts_text(check: CountsCheck, source: str) -> str:
    """Return what differs between counts of real kernels and simulated ones, as plain text."""
    lines = [wrapped(source, "counts     "), wrapped(", ".join(check.kernels), "simulated  ")]
    if check.mismatches:
        table = [
            (str(m.line), m.kernel, m.phase, m.column, str(m.expected), str(m.got))
            for m in check.mismatches
        ]
        header = ("line", "kernel", "phase", "column", "expected", "got")
        lines += ["", format_table(table, header, align="rlllrr"), ""]
    if check.unplaced:
        lines.append(
            wrapped(
                f"Not compared: {_cells(check.unplaced)} that depend on where the pages of a fill"
                " lay, as its pmd_splits were not measured."
            )
        )
    if check.unknown:
        lines.append(
            wrapped(
                f"Not to be known: {_cells(check.unknown)} of the whole machine:"
                " csd_queued_sync_core beyond the phase's own broadcasts, the division of memmap"
                " deltas between pages of the boot and others (their sum is compared), the time"
                " of a boot."
            )
        )
    if check.given:
        lines.append(
            wrapped(
                f"Given: {_cells(check.given)}, the pmd_splits of fills, which say where the pages"
                f" lay{_OTHERS_GIVEN * bool(check.unknown)}. Predicted:"
                f" {_cells(check.cells - check.given)}."
            )
        )
    lines.append(f"{check.rows} rows, {check.cells} cells, {len(check.mismatches)} mismatches")
    return "\n".join(lines) + "\n"


def _cells(nr: int) -> str:
    return "1 cell" if nr == 1 else f"{nr} cells"


def counts_json(check: CountsCheck) -> dict[str, Any]:
    """Return the same for a program."""
    return {
        "rows": check.rows,
        "cells": check.cells,
        "given": check.given,
        "unplaced": check.unplaced,
        "unknown": check.unknown,
        "mismatches": [dataclasses.asdict(mismatch) for mismatch in check.mismatches],
    }


def times_text(
    checks: Sequence[TimeCheck], *, source: str, seed: int, provenance: Mapping[str, object]
) -> str:
    """
    Return published times beside simulated ones, as plain text of at most 72 columns.

    :param source: where the times come from.
    :param provenance: of one of the results.
    """
    parts = [
        "\n".join(
            [
                underlined("Published times and simulated ones"),
                wrapped(source, "times      "),
                wrapped(_runs(checks, seed), "simulated  "),
                wrapped(version_text(provenance), "version    "),
            ]
        )
    ]
    for _, group in groupby(checks, key=lambda c: (c.machine.name, c.timing.pages)):
        parts.append(_machine(list(group)))
    parts.append("\n".join(wrapped(text) for text in _remarks(checks)))
    return "\n\n".join(parts) + "\n"


def times_json(checks: Sequence[TimeCheck]) -> list[dict[str, Any]]:
    """Return the same for a program: the columns of the file and what stands beside them."""
    return [
        {
            "machine": c.timing.machine,
            "kernel": c.timing.release,
            "hvo": name_of(c.timing.hvo),
            "phase": c.timing.phase,
            "n_pages": c.timing.pages,
            "page_kb": page_kb(c.timing.page_size),
            "real_s": c.timing.elapsed_ns / 1e9,
            "source": c.timing.source,
            "published_s": c.timing.elapsed_ns / 1e9,
            "simulated_s": c.simulated_ns.mean / 1e9,
            "simulated_low_s": _seconds(c.simulated_ns.low),
            "simulated_high_s": _seconds(c.simulated_ns.high),
            "replications": c.simulated_ns.n,
            "simulated_pages": c.simulated_pages,
            "simulated_machine": c.machine.name,
            "simulated_kernel": c.timing.kernel,
            "error": c.error,
            "fitted": c.fitted,
            "fitted_to_s": [ns / 1e9 for ns in c.fitted_to_ns],
        }
        for c in checks
    ]


def benchmarks_text(checks: Sequence[BenchmarkCheck], *, ntimes: int, seed: int) -> str:
    """Return figures of single flushes and interrupts as plain text of at most 72 columns."""
    lines = [
        underlined("Single flushes and interrupts, published and simulated"),
        wrapped(", ".join(dict.fromkeys(c.figure.source for c in checks)), "figures    "),
        wrapped(f"{format_count(ntimes)} calls of each, seed {seed}", "simulated  "),
    ]
    rows: list[tuple[str, ...]] = []
    for (machine, benchmark, case, mechanism), group in groupby(
        checks,
        key=lambda c: (c.machine.name, c.figure.benchmark, c.figure.case, c.figure.mechanism),
    ):
        title = _BENCHMARKS[benchmark].format(case=case, mechanism=mechanism)
        rows.append((f"{machine}: {title}",))
        for c in group:
            cells = against(c.figure, c.simulated)
            rows.append((f"  {c.figure.figure}", *cells))
    table = format_table(rows, ("", "published", "simulated", "error", ""), align="lrrrl")
    return "\n".join(lines) + f"\n\n{table}\n\n{wrapped(_GIVEN)}\n"


_GIVEN = (
    "Given: the system call or the loop alone, in which more than its flush is; what other CPUs"
    " add to it is simulated, and nothing is checked. Above 36 threads of tlb_flush2 two share a"
    " core, which slows no thread here. Of HVO on arm64 the time without it is given; what it adds"
    " is simulated, of some pages, and scaled. The machine is unnamed: only the ratio to that time"
    " means something, whose error is that of the time. At boot, on unnamed machines too, the time"
    " of the fewest tasks is given; zone locks and memory bandwidth slow no task here."
)
# What the figures of a benchmark are listed by.
_BENCHMARKS = {
    "ipi_benchmark": "ipi_benchmark, {case}",
    "madvise": "{case}, by threads",
    "victim": "{case}, by pages",
    "flush": "a flush on one CPU, by pages",
    "tlb_flush2": "{case}, {mechanism}, by threads",
    "isolated_cpus": "{case}, {mechanism}",
    "hvo_pause": "HVO on arm64, {case}, {mechanism}, by pages",
    "parallel_boot": "at boot, {case}, by tasks",
}


def benchmarks_json(checks: Sequence[BenchmarkCheck]) -> list[dict[str, Any]]:
    """Return the same for a program."""
    return [
        {
            "machine": c.machine.name,
            "mechanism": c.figure.mechanism,
            "what": c.figure.benchmark,
            "case": c.figure.case,
            "number": c.figure.figure,
            "published": c.figure.value,
            "simulated": c.simulated,
            "unit": c.figure.unit,
            "error": c.error,
            "role": c.figure.role,
            "source": c.figure.source,
        }
        for c in checks
    ]


def _runs(checks: Sequence[TimeCheck], seed: int) -> str:
    numbers = sorted({c.simulated_ns.n for c in checks})
    replications = "1 replication" if numbers == [1] else f"{numbers[-1]} replications"
    return f"all CPUs, one task, noise quiet, {replications} under seed {seed}"


def _machine(checks: Sequence[TimeCheck]) -> str:
    first = checks[0]
    pages = f"{format_count(first.timing.pages)} pages of {first.timing.page_size}"
    rows: list[tuple[str, ...]] = []
    for (kernel, release, hvo), group in groupby(
        checks, key=lambda c: (c.timing.kernel, c.timing.release, c.timing.hvo)
    ):
        measured = "" if release == kernel else f" ({release})"
        rows.append((f"{kernel}{measured}, HVO {name_of(hvo)}",))
        rows += [_row(check) for check in group]
    header = ("", "published", "simulated", "95% interval", "error", "")
    table = format_table(rows, header, align="lrrrrl")
    return f"{underlined(f'{first.machine.title} ({first.machine.name}), {pages}')}\n{table}"


def _row(check: TimeCheck) -> tuple[str, ...]:
    estimate = check.simulated_ns
    return (
        f"  {check.timing.phase}",
        format_ns(check.timing.elapsed_ns, 4),
        format_ns(estimate.mean, 4),
        format_interval(estimate.low, estimate.high, lambda ns: format_ns(ns, 4)) or "-",
        format_error(check.error),
        "fitted" if check.fitted else "predicted" if check.predicted else _OTHERWISE,
    )


def _remarks(checks: Sequence[TimeCheck]) -> Iterator[str]:
    short = [c for c in checks if c.simulated_pages < c.timing.pages]
    if short:
        pages = max(c.simulated_pages for c in short)
        yield (
            f"Extrapolated: {len(short)} of {len(checks)} times come from runs of at most"
            f" {format_count(pages)} pages, by what each further page takes; what happens once in a"
            " phase, as patching of static keys, is in them once. What sets in above that size is"
            " not; without --quick all pages are simulated."
        )
    if any(c.simulated_ns.low is not None for c in checks):
        yield (
            "The interval is Student's for the mean over replications, which differ in their"
            " draws alone: costs that vary, and what the other CPUs do. It does not hold how"
            " wrong the model and its costs are, which the errors show together."
        )
    if any(c.fitted for c in checks):
        yield (
            "Fitted: costs of the machine were set so as to meet this time; that it is met says"
            " nothing. Predicted: no cost was fitted to any time of the cell."
        )
    for machine in {c.machine.name: c.machine for c in checks if c.predicted}.values():
        if machine.hindsight:
            yield f"In hindsight, {machine.name}: {machine.hindsight}"
    others = [ns for c in checks if not c.fitted for ns in c.fitted_to_ns]
    if others:
        times = ", ".join(f"{ns / 1e9:.12g} s" for ns in dict.fromkeys(others))
        yield (
            f"{_OTHERWISE.capitalize()}: costs were set so as to meet another time of the same"
            f" cell, {times}; this one is no prediction, and how far it is off says how much the"
            " two differ."
        )


def _seconds(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e9
