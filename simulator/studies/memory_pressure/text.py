# SPDX-License-Identifier: MIT
"""
Memory pressure
---------------

The tables of what each answer to ENOMEM ends with when few base pages are free:
a block for every way in which the huge pages lie, a row for every number of free
pages, a column for every kernel; then what they do without a single PTE page, and v6.6
and v6.7 without head pages and without pages to restore.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.analysis.frames import ResultFrames, name_of, row_of_phase
from simulator.geometry import BASE_PAGE_BYTES
from simulator.report.header import machine_title, static_key_lines, trust_text, version_text
from simulator.report.text import (
    command_line,
    format_count,
    format_memory,
    format_ns,
    format_table,
    underlined,
    wrapped,
)
from simulator.studies.memory_pressure.numbers import AllMemory, FillOutcome, outcome_of

__all__ = ("pressure_report",)


_TABLES: tuple[tuple[str, Callable[[FillOutcome], str]], ...] = (
    ("folios optimised", lambda o: format_count(o.optimized)),
    ("PMDs split in vain [2]", lambda o: format_count(o.in_vain)),
    ("flushes", lambda o: format_count(o.flushes)),
    ("broadcasts to patch the static key [3]", lambda o: format_count(o.key_broadcasts)),
    ("elapsed", lambda o: format_ns(o.elapsed_ns)),
    ("base pages in use at the peak", lambda o: format_count(o.taken_pages)),
    ("vmemmap pages waiting for a flush at the peak", lambda o: format_count(o.held_pages)),
)

_FOOTNOTES = (
    "Free: base pages (4 KB) that are free for PTE pages and new head pages, apart from the "
    "memory for huge pages. There is no reclaim and no OOM killer: in a real kernel an order-0 "
    "GFP_KERNEL allocation hardly ever fails before those have tried, so read this as what "
    "happens once it does. The last row is enough for all at once.",
    "PMDs that were split and hold no optimised folio: their PTE pages are lost. An optimised "
    "folio gives back 8 pages for a new head page, or 7 without one: 7 net either way.",
    "HVO's static key is on while a folio is optimised, and is switched on before the attempt. "
    "With no other folio optimised, each one that fails patches it on and off again.",
    "Surplus pages stay optimised, in the pool. In the kernel the huge pages that were given "
    "back would hold the pages that the others need; here they are apart, as if somebody else "
    "took them at once, which is the worst case.",
    "All memory is asked for, huge pages and base pages being of one memory. Missed: struct pages "
    "(1.6 %), what others have (0.5 %, assumed), what is kept free, and what a batch holds until "
    "its flush. A page by page kernel gets some of it back as it goes; v7.3 goes on at boot while "
    "it gets pages.",
)


def pressure_report(
    swept: Mapping[str, Sequence[ResultFrames]],
    failures: Mapping[str, Sequence[ResultFrames]],
    prices: Sequence[AllMemory] = (),
    *,
    command: str,
) -> str:
    """
    Return the tables as plain text, at most 72 columns wide.

    :param swept: by how the pages lie, runs of each kernel with each number of free pages.
    :param failures: by what fails, runs of each kernel with alloc and free.
    :param prices: what kernels get that ask for all memory.
    :param command: what to type to get the same text again.
    """
    first = next(r for runs in swept.values() for r in runs)
    s = first.scenario
    parts = [
        underlined("Memory pressure: what each answer to ENOMEM ends with (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(first.provenance), "version    "),
        wrapped(
            f"{machine_title(first)}; {format_count(s.pages)} huge pages of {name_of(s.page_size)};"
            f" noise {name_of(s.noise)}; seed {s.seed}",
            "simulated  ",
        ),
        wrapped(trust_text(first.provenance), "model      "),
        *_kernels(swept),
        *static_key_lines([r for runs in swept.values() for r in runs]),
    ]
    text = "\n".join(parts)
    for where, runs in swept.items():
        text += "\n\n\n" + _block(where, [outcome_of(r) for r in runs])
    if failures:
        text += "\n\n\n" + _failures(failures)
    if prices:
        text += "\n\n\n" + _prices(prices)
    notes = (wrapped(note, f"[{i}] ") for i, note in enumerate(_FOOTNOTES, start=1))
    return text + "\n\n\n" + "\n".join(notes) + "\n"


# What each kernel does, and where it was proposed if it was not merged.
def _kernels(swept: Mapping[str, Sequence[ResultFrames]]) -> list[str]:
    kernels = dict.fromkeys(r.scenario.kernel_class for runs in swept.values() for r in runs)
    lines: list[str] = []
    for kernel in kernels:
        label = "kernels    " if not lines else " " * 11
        lines.append(wrapped(f"{kernel.name}: {kernel.summary}", label))
        if kernel.proposed_in:
            lines.append(wrapped(f"never merged; proposed in {kernel.proposed_in}", " " * 13))
    return lines


def _block(where: str, outcomes: Sequence[FillOutcome]) -> str:
    kernels = list(dict.fromkeys(o.kernel for o in outcomes))
    found = {(o.free_pages, o.kernel): o for o in outcomes}
    header = ("free [1]", *(name.replace("+enomem-", "+\nenomem-\n") for name in kernels))
    rows: list[tuple[str, ...]] = []
    for title, show in _TABLES:
        rows.append((title,))
        for free in dict.fromkeys(o.free_pages for o in outcomes):
            cells = (show(found[free, k]) if (free, k) in found else "-" for k in kernels)
            rows.append((f"  {format_count(free)}", *cells))
    return f"{underlined(where)}\n{format_table(rows, header)}"


def _prices(prices: Sequence[AllMemory]) -> str:
    first = {p.action: p for p in reversed(prices)}
    rows: list[tuple[str, ...]] = []
    for action in dict.fromkeys(p.action for p in prices):
        rows.append((f"{action} {first[action].asked:,}",))
        for p in (p for p in prices if p.action == action):
            fewer = first[action].got - p.got
            rows.append(
                (
                    f"  {p.kernel}",
                    format_count(p.got),
                    format_count(p.missed),
                    f"{fewer:+,}" if fewer else "0",
                    format_memory(p.held_pages),
                )
            )
    header = ("", "huge pages", "missed\n[5]", f"fewer than\n{prices[0].kernel}", "held, peak")
    title = underlined("The price of a batch: all memory asked for")
    return f"{title}\n{format_table(rows, header)}"


# Of what fails in the alloc, its result; of what fails in the free, that of the free; of neither
# and of little memory, which is felt in both, both.
def _failures(failures: Mapping[str, Sequence[ResultFrames]]) -> str:
    allocs: list[tuple[str, ...]] = []
    frees: list[tuple[str, ...]] = []
    for what, runs in failures.items():
        faults = runs[0].scenario.faults
        if "restore_page" not in faults:
            allocs += [(what,), *map(_alloc_row, runs)]
        if not faults.keys() & {"head_page", "pte_page"}:
            frees += [(what,), *map(_free_row, runs)]
    alloc_header = (
        "alloc", "optimised", "head\npages", "pages\nfreed", "net\npages", "flushes", "elapsed"
    )  # fmt: skip
    free_header = ("free", "given\nback", "surplus\n[4]", "as\nmemory", "flushes", "elapsed")
    return "\n".join(
        [
            underlined("PTE pages, head pages and restore pages that cannot be had"),
            format_table(allocs, alloc_header),
            "",
            format_table(frees, free_header),
        ]
    )


def _alloc_row(result: ResultFrames) -> tuple[str, ...]:
    row = _row(result, "alloc")
    heads, freed = row["vmemmap_head_pages_allocated"], row["vmemmap_pages_freed"]
    return (
        f"  {name_of(result.scenario.kernel)}",
        format_count(row["optimized_folios"]),
        format_count(heads),
        format_count(freed),
        format_count(freed - heads - row["pmd_splits"]),
        format_count(row["flushes"]),
        format_ns(row["elapsed_ns"]),
    )


def _free_row(result: ResultFrames) -> tuple[str, ...]:
    row = _row(result, "free")
    stay = row["failed_folios"]
    return (
        f"  {name_of(result.scenario.kernel)}",
        format_count(row["pages"] - stay),
        format_count(stay),
        format_memory(stay * result.scenario.page_bytes // BASE_PAGE_BYTES),
        format_count(row["flushes"]),
        format_ns(row["elapsed_ns"]),
    )


# Of summary and counts.
def _row(result: ResultFrames, phase: str) -> dict[str, Any]:
    return row_of_phase(result.counts, phase) | row_of_phase(result.summary, phase)
