# SPDX-License-Identifier: MIT
"""
Kernels by their flushes
------------------------

A table per situation, a row per kernel: how many flushes a formula gives, how many
were simulated and for what, and which splits no flush followed in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulator.analysis.frames import ResultFrames, name_of, row_of_phase
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
    format_ns,
    format_table,
    underlined,
    wrapped,
)
from simulator.studies.posted_forms.numbers import (
    FLUSH_KINDS,
    FlushCase,
    flush_kinds,
    unflushed_pmds,
)

__all__ = ("flush_kinds_report",)

_HEADER = (
    "kernel",
    "formula\n[1]",
    "its\nvalue",
    "flushes",
    "split\n[2]",
    "batch\n[3]",
    "late\n[4]",
    "remap\n[5]",
    "un-\nflushed\n[6]",
    "elapsed",
)


def flush_kinds_report(
    cases: Sequence[FlushCase], *, title: str, command: str, phase: str = "alloc"
) -> str:
    """
    Return the tables of all cases, as plain text, at most 72 columns wide.

    :param cases: runs on one machine.
    :param command: what to type to get the same text again.
    """
    runs = [r for case in cases for r in case.results]
    if not runs:
        raise ValueError("no results to report")
    first = runs[0]
    head = [
        underlined(f"{title} (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(first.provenance), "version    "),
        wrapped(machine_title(first), "machine    "),
        wrapped(f"{name_of(first.scenario.noise)}; seed {first.scenario.seed}", "noise      "),
        wrapped(trust_text(first.provenance), "model      "),
        *cited_kernels(runs),
        *static_key_lines(runs),
    ]
    blocks = ["\n".join(head), *(_case(case, phase) for case in cases), _NOTES]
    return "\n\n\n".join(blocks) + "\n"


def _case(case: FlushCase, phase: str) -> str:
    requests = dict.fromkeys(part for r in case.results for part in request_text(r).split("; "))
    faults = dict.fromkeys(name_of(r.scenario.faults) for r in case.results)
    failing = [f"failing {text}" for text in faults if text != "none"]
    parts = [part for part in requests if not part.startswith(("HVO ", "phases "))]
    head = [
        underlined(f"{case.title} (simulated)"),
        wrapped("; ".join([*parts, *failing])),
        "",
        format_table(list(_rows(case, phase)), _HEADER, "ll" + "r" * 8),
    ]
    return "\n".join(head)


def _rows(case: FlushCase, phase: str) -> Iterable[tuple[str, ...]]:
    for r in case.results:
        kernel = name_of(r.scenario.kernel)
        formula, value = case.formulas[kernel]
        kinds = flush_kinds(r, phase)
        others = [f"+{kinds['other'].count}"] if kinds["other"].count else []
        others += [f"+{kinds[own].count} {own}" for own in kinds if own not in FLUSH_KINDS]
        yield (
            kernel,
            formula,
            format_count(value),
            format_count(sum(kind.count for kind in kinds.values())),
            *(format_count(kinds[kind].count) for kind in ("split", "batch", "late")),
            " ".join([format_count(kinds["remap"].count), *others]),
            format_count(unflushed_pmds(r)),
            _elapsed(r, phase),
        )


def _elapsed(result: ResultFrames, phase: str) -> str:
    return format_ns(row_of_phase(result.summary, phase)["elapsed_ns"])


_NOTES = "\n".join(
    wrapped(text, f"[{i}] ")
    for i, text in enumerate(
        (
            "N folios; S vmemmap PMDs that they lie in; L of them are split late. Each flush is a"
            " broadcast to every other CPU. Static-key patching is not counted.",
            "flush_tlb_kernel_range() of 512 pages inside split_vmemmap_huge_pmd(), with"
            " page_table_lock held; x86 makes it a full flush, as it is above 33 pages.",
            "One for all splits, one for all remaps: flush_tlb_all(), in @v1"
            " flush_tlb_kernel_range(0, TLB_FLUSH_ALL), which is one on x86 and does not build"
            " elsewhere. Full flushes.",
            "As [2], but after the flush of the batch: the split pass did not get to this PMD, or"
            " ran out of memory there.",
            "flush_tlb_kernel_range() of the 8 vmemmap pages of a 2 MB folio, by INVLPG; 4096 pages"
            " of a 1 GB folio, a full flush.",
            "PMDs that were split and not flushed before PTEs of them were stored: page size and"
            " frame of an address change together (size-and-frame), and another CPU may use either"
            " translation. No page is given back too early.",
        ),
        start=1,
    )
)
