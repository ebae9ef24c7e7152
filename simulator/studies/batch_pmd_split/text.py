# SPDX-License-Identifier: MIT
"""
Per-folio against batched split-and-remap
-----------------------------------------

The table that a patch discussion asks for: per machine, HVO off beside on,
each kernel's time, flushes and interrupts, what the other CPUs felt, and the
price of batching. Where the same was measured on the real machine, the time
stands beside the simulated one. The text stands alone in a mail: machine,
request, seed, command, the meaning of each column, and that it is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from simulator.analysis.frames import ResultTotals, name_of, phases_of, row_of_phase
from simulator.analysis.measured import measured_for, was_fitted
from simulator.published.times import Timing
from simulator.report.header import (
    cited_kernels,
    machine_title,
    request_text,
    static_key_lines,
    trust_text,
    version_text,
)
from simulator.report.text import (
    command_line,
    format_count,
    format_error,
    format_memory,
    format_ns,
    format_ratio,
    format_share,
    format_table,
    underlined,
    wrapped,
)

__all__ = ("batching_report",)

Row = dict[str, Any]

# What needs a footnote, in the order of the columns.
_PUBLISHED, _SPEED_UP, _FLUSHES, _LOST, _HELD = "published", "speed_up", "flushes", "lost", "held"


def batching_report(
    results: Sequence[ResultTotals],
    *,
    command: str,
    reference: str = "v6.6",
    published: Sequence[Timing] = (),
) -> str:
    """
    Return the table of kernels, one run each, as plain text, at most 72 columns wide.

    :param results: runs of one or more machines, HVO off and on, several kernels.
    :param command: what to type to get the same text again.
    :param reference: the kernel that speed-ups refer to.
    :param published: times of real machines, shown beside the runs of the same.
    """
    if not results:
        raise ValueError("no results to report")
    parts = [
        underlined("Per-folio against batched split-and-remap (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(results[0].provenance), "version    "),
        *cited_kernels(results),
        *static_key_lines(results),
    ]
    text = "\n".join(parts)
    notes = _footnotes(results, reference, published)
    numbers = {name: f"[{i}]" for i, name in enumerate(notes, start=1)}
    for _, group in groupby(_by_machine(results), lambda r: name_of(r.scenario.machine)):
        text += "\n\n\n" + _machine(list(group), reference, published, numbers)
    listed = (wrapped(note, f"{numbers[name]} ") for name, note in notes.items())
    return text + "\n\n\n" + "\n".join(listed) + "\n"


# In the order of first appearance, whatever the order of the runs.
def _by_machine(results: Sequence[ResultTotals]) -> list[ResultTotals]:
    names = list(dict.fromkeys(name_of(r.scenario.machine) for r in results))
    return sorted(results, key=lambda r: names.index(name_of(r.scenario.machine)))


def _machine(
    results: Sequence[ResultTotals],
    reference: str,
    published: Sequence[Timing],
    numbers: Mapping[str, str],
) -> str:
    first = results[0]
    s = first.scenario
    head = [
        underlined(machine_title(first)),
        wrapped(f"{_request(results)}; noise {name_of(s.noise)}; {_seeds(results)}", "simulated  "),
        wrapped(trust_text(first.provenance), "model      "),
    ]
    compared = any(measured_for(r, published) for r in results)
    if not compared:
        head += _nothing_to_compare(first, published)
    notes = dict.fromkeys(note for r in results for note in r.provenance.get("notes", ()))
    head += [wrapped(str(note), "note       ") for note in notes]
    times: list[tuple[str, ...]] = []
    prices: list[tuple[str, ...]] = []
    for phase, hvo, runs in _groups(results):
        base = next((row for r, row in runs if name_of(r.scenario.kernel) == reference), None)
        times.append((f"{phase}, HVO {name_of(hvo)}",))
        for r, row in runs:
            kernel = name_of(r.scenario.kernel)
            seen = _published_cells(r, row, measured_for(r, published).get(phase))
            times.append(_time_row(kernel, row, base, seen if compared else ()))
        # Without HVO no page is held, and page_table_lock is not taken.
        if hvo:
            prices.append((phase,))
            prices += [_price_row(name_of(r.scenario.kernel), row) for r, row in runs]
    tables = ["\n".join(head), format_table(times, _time_header(numbers, compared))]
    if prices:
        table = format_table(prices, _price_header(numbers))
        tables.append(f"What the others pay, HVO on\n{table}")
    return "\n\n".join(tables)


def _time_header(numbers: Mapping[str, str], compared: bool) -> tuple[str, ...]:
    columns = ["simulated", "elapsed"]
    if compared:
        columns += [f"published\n{numbers[_PUBLISHED]}", f"error\n{numbers[_PUBLISHED]}"]
    return (
        *columns,
        f"speed\nup {numbers[_SPEED_UP]}",
        f"flushes\n{numbers[_FLUSHES]}",
        f"IPIs\n{numbers[_FLUSHES]}",
        "flush\nshare",
    )


def _price_header(numbers: Mapping[str, str]) -> tuple[str, ...]:
    return (
        "simulated",
        f"median\nlost {numbers[_LOST]}",
        f"worst\nlost {numbers[_LOST]}",
        f"pages held\n(peak) {numbers[_HELD]}",
        "as\nmemory",
        "page_table_\nlock held",
        "irqs\noff",
    )


# Why there is nothing beside the simulated times, if there could have been.
def _nothing_to_compare(result: ResultTotals, published: Sequence[Timing]) -> list[str]:
    machine = result.scenario.machine_model.name
    sizes = dict.fromkeys(format_count(t.pages) for t in published if t.machine == machine)
    if not sizes:
        return []
    return [wrapped(f"not shown: it is of {', '.join(sizes)} pages on all CPUs", "published  ")]


# The request without what the rows of the table say themselves.
def _request(results: Sequence[ResultTotals]) -> str:
    parts = list(dict.fromkeys(p for r in results for p in request_text(r).split("; ")))
    return "; ".join(part for part in parts if not part.startswith("HVO "))


def _seeds(results: Sequence[ResultTotals]) -> str:
    seeds = dict.fromkeys(f"{r.scenario.seed}" for r in results)
    return f"seed {', '.join(seeds)}"


# Phases in their order, HVO off before on; the rows of each are the kernels as given.
def _groups(
    results: Sequence[ResultTotals],
) -> Iterator[tuple[str, bool, list[tuple[ResultTotals, Row]]]]:
    phases = dict.fromkeys(phase for r in results for phase in phases_of(r))
    for phase in phases:
        for hvo in (False, True):
            runs = [
                (r, row_of_phase(r.summary, phase))
                for r in results
                if r.scenario.hvo is hvo and phase in phases_of(r)
            ]
            if runs:
                yield phase, hvo, runs


def _published_cells(result: ResultTotals, row: Row, measured: Timing | None) -> tuple[str, str]:
    if measured is None:
        return "", ""
    error = format_error(row["elapsed_ns"] / measured.elapsed_ns - 1)
    # The blank keeps the digits of both kinds below each other.
    fitted = was_fitted(result.scenario.machine_model, measured)
    return format_ns(measured.elapsed_ns, 4), f"({error})" if fitted else f"{error} "


def _time_row(
    kernel: str, row: Row, base: Row | None, published: tuple[str, ...]
) -> tuple[str, ...]:
    elapsed_ns = row["elapsed_ns"]
    return (
        f"  {kernel}",
        format_ns(elapsed_ns, 4),
        *published,
        format_ratio(base["elapsed_ns"] / elapsed_ns if base and elapsed_ns else None),
        format_count(row["flushes"], 8),
        format_count(row["ipis"], 9),
        format_share(row["flush_share"]),
    )


def _price_row(kernel: str, row: Row) -> tuple[str, ...]:
    return (
        f"  {kernel}",
        format_ns(row["victim_lost_median_ns"]),
        format_ns(row["victim_lost_max_ns"]),
        format_count(row["peak_held_pages"], 10),
        format_memory(row["peak_held_pages"]),
        format_ns(row["ptl_held_max_ns"]),
        format_ns(row["irqs_off_max_ns"]),
    )


def _footnotes(
    results: Sequence[ResultTotals], reference: str, published: Sequence[Timing]
) -> dict[str, str]:
    measured = {
        t: was_fitted(r.scenario.machine_model, t)
        for r in results
        for t in measured_for(r, published).values()
    }
    notes = {_PUBLISHED: _published_note(measured)} if measured else {}
    return notes | {
        _SPEED_UP: f"Elapsed time of {reference} divided by this one, same machine, phase and HVO "
        "setting. One run each: no interval, so small differences mean nothing.",
        _FLUSHES: "Broadcast flush_tlb_* calls, and the CPUs that they interrupted. "
        + _apart(results),
        _LOST: "Time that each of the other CPUs spent in flush handlers and TLB refill over "
        "the whole phase, while it had work to do.",
        _HELD: "Freed vmemmap pages (4 KB) that wait for a flush before they can be reused. "
        "Locks and interrupts: the longest stretch of the phase.",
    }


# Of the timings that are shown, and whether the machine was fitted to each.
def _published_note(measured: Mapping[Timing, bool]) -> str:
    def releases(fitted: bool) -> str:
        found = dict.fromkeys(
            f"{t.kernel} ({t.release})" for t, was in measured.items() if was is fitted
        )
        return ", ".join(found)

    sources = ", ".join(dict.fromkeys(t.source for t in measured))
    text = f"Wall time on the real machine, {sources}; error of the simulated one."
    if fitted := releases(fitted=True):
        text += (
            f" In brackets: the profile was fitted to it, as to all of {fitted}; HVO off gave the"
            " base costs, HVO on the cost of a target."
        )
    if predicted := releases(fitted=False):
        text += f" Without: a prediction, as for all of {predicted}."
    return text


# What the columns of flushes leave out, and what a reader would not expect in them.
def _apart(results: Sequence[ResultTotals]) -> str:
    text = "Static-key patching is not counted"
    patching = [r.time_by.loc[r.time_by["category"] == "static_key", "ns"] for r in results]
    longest_ns = max((int(ns.max()) for ns in patching if len(ns)), default=0)
    if longest_ns:
        text += f": up to {format_ns(longest_ns)} per phase, whatever the number of pages"
    text += "."
    flushing = dict.fromkeys(
        name_of(r.scenario.kernel)
        for r in results
        if not r.scenario.hvo and r.summary["flushes"].any()
    )
    if flushing:
        text += f" With HVO off, {', '.join(flushing)} flush too, as the kernel does."
    return text
