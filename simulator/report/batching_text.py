# SPDX-License-Identifier: MIT
"""
Per-folio against batched split-and-remap
-----------------------------------------

The table that a patch discussion asks for: per machine, HVO off beside on,
each kernel's time, flushes and interrupts, what the other CPUs felt, and the
price of batching. It stands alone in a mail: machine, request, seed, command,
the meaning of each column, and that all of it is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from simulator.analysis.frames import ResultFrames, name_of, phases_of, records
from simulator.report.header import machine_title, request_text, trust_text, version_text
from simulator.report.text import (
    MAIL_WIDTH,
    command_line,
    format_count,
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

_TIME_HEADER = (
    "simulated",
    "elapsed",
    "speed\nup [1]",
    "flushes\n[2]",
    "IPIs\n[2]",
    "flush\nshare",
    "median\nlost [3]",
    "worst\nlost [3]",
)
_PRICE_HEADER = (
    "simulated",
    "pages held\n(peak) [4]",
    "as\nmemory",
    "page_table_lock\nheld, longest",
    "interrupts off,\nlongest",
)


def batching_report(
    results: Sequence[ResultFrames], *, command: str, reference: str = "v6.6"
) -> str:
    """
    Return the table of kernels, one run each, as plain text, at most 78 columns wide.

    :param results: runs of one or more machines, HVO off and on, several kernels.
    :param command: what to type to get the same text again.
    :param reference: the kernel that speed-ups refer to.
    """
    if not results:
        raise ValueError("no results to report")
    parts = [
        underlined("Per-folio against batched split-and-remap (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(results[0].provenance), "version    "),
        *_kernels(results),
    ]
    text = "\n".join(parts)
    for _, group in groupby(_by_machine(results), lambda r: name_of(r.scenario.machine)):
        text += "\n\n\n" + _machine(list(group), reference)
    return text + "\n\n\n" + _footnotes(results, reference) + "\n"


# What the versions stand for, as one cites a commit: who reads a mail does not know our names.
def _kernels(results: Sequence[ResultFrames]) -> list[str]:
    lines = {}
    for r in results:
        kernel = getattr(r.scenario, "kernel_class", None)
        subject = getattr(kernel, "subject", "")
        if subject:
            commit = getattr(kernel, "commit", "")
            cited = f'{commit} ("{subject}")' if commit else subject
            lines[name_of(r.scenario.kernel)] = cited
    width = max(map(len, lines), default=0)
    labels = ["kernels", *[""] * len(lines)]
    return [
        wrapped(cited, f"{label:<11}{name:<{width}}  ", MAIL_WIDTH)
        for label, (name, cited) in zip(labels, lines.items(), strict=False)
    ]


# In the order of first appearance, whatever the order of the runs.
def _by_machine(results: Sequence[ResultFrames]) -> list[ResultFrames]:
    names = list(dict.fromkeys(name_of(r.scenario.machine) for r in results))
    return sorted(results, key=lambda r: names.index(name_of(r.scenario.machine)))


def _machine(results: Sequence[ResultFrames], reference: str) -> str:
    first = results[0]
    s = first.scenario
    head = [
        underlined(machine_title(first)),
        wrapped(f"{_request(results)}; noise {name_of(s.noise)}; {_seeds(results)}", "simulated  "),
        wrapped(trust_text(first.provenance), "model      "),
    ]
    notes = dict.fromkeys(note for r in results for note in r.provenance.get("notes", ()))
    head += [wrapped(str(note), "note       ") for note in notes]
    times: list[tuple[str, ...]] = []
    prices: list[tuple[str, ...]] = []
    for phase, hvo, rows in _groups(results):
        base = next((row for kernel, row in rows if kernel == reference), None)
        times.append((f"{phase}, HVO {name_of(hvo)}",))
        times += [_time_row(kernel, row, base) for kernel, row in rows]
        # Without HVO no page is held, and page_table_lock is not taken.
        if hvo:
            prices.append((phase,))
            prices += [_price_row(kernel, row) for kernel, row in rows]
    tables = ["\n".join(head), format_table(times, _TIME_HEADER)]
    if prices:
        tables.append(f"The price of batching, HVO on\n{format_table(prices, _PRICE_HEADER)}")
    return "\n\n".join(tables)


# The request without what the rows of the table say themselves.
def _request(results: Sequence[ResultFrames]) -> str:
    parts = list(dict.fromkeys(p for r in results for p in request_text(r).split("; ")))
    return "; ".join(part for part in parts if not part.startswith("HVO "))


def _seeds(results: Sequence[ResultFrames]) -> str:
    seeds = dict.fromkeys(f"{r.scenario.seed}" for r in results)
    return f"seed {', '.join(seeds)}"


# Phases in their order, HVO off before on; the rows of each are the kernels as given.
def _groups(
    results: Sequence[ResultFrames],
) -> Iterator[tuple[str, bool, list[tuple[str, Row]]]]:
    phases = dict.fromkeys(phase for r in results for phase in phases_of(r))
    for phase in phases:
        for hvo in (False, True):
            rows = [
                (name_of(r.scenario.kernel), row)
                for r in results
                for row in records(r.summary)
                if bool(r.scenario.hvo) is hvo and row["phase"] == phase
            ]
            if rows:
                yield phase, hvo, rows


def _time_row(kernel: str, row: Row, base: Row | None) -> tuple[str, ...]:
    elapsed_ns = row["elapsed_ns"]
    return (
        f"  {kernel}",
        format_ns(elapsed_ns, 4),
        format_ratio(base["elapsed_ns"] / elapsed_ns if base and elapsed_ns else None),
        format_count(row["flushes"], 8),
        format_count(row["ipis"], 9),
        format_share(row["flush_share"]),
        format_ns(row["victim_lost_median_ns"]),
        format_ns(row["victim_lost_max_ns"]),
    )


def _price_row(kernel: str, row: Row) -> tuple[str, ...]:
    return (
        f"  {kernel}",
        format_count(row["peak_held_pages"]),
        format_memory(row["peak_held_pages"]),
        format_ns(row["ptl_held_max_ns"]),
        format_ns(row["irqs_off_max_ns"]),
    )


def _footnotes(results: Sequence[ResultFrames], reference: str) -> str:
    return "\n".join(
        wrapped(text, f"[{number}] ")
        for number, text in enumerate(
            (
                f"Elapsed time of {reference} divided by this one, same machine, phase and HVO "
                "setting. One run each: no interval, so small differences mean nothing.",
                "Broadcast flush_tlb_* calls, and the CPUs that they interrupted. "
                + _apart(results),
                "Time that each of the other CPUs spent in flush handlers and TLB refill over "
                "the whole phase, while it had work to do.",
                "Freed vmemmap pages (4 KB) that wait for a flush before they can be reused.",
            ),
            start=1,
        )
    )


# What the columns of flushes leave out, and what a reader would not expect in them.
def _apart(results: Sequence[ResultFrames]) -> str:
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
