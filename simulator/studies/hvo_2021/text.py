# SPDX-License-Identifier: MIT
"""
Simulated beside the first published figures of HVO
---------------------------------------------------

The times as a table, and the histograms as bpftrace prints them, two bars to a bucket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.analysis.frames import ResultFrames, name_of
from simulator.analysis.histogram import Histogram
from simulator.published.hvo_2021 import PublishedRun
from simulator.report.header import (
    machine_title,
    request_text,
    static_key_lines,
    trust_text,
    version_text,
)
from simulator.report.text import (
    bar,
    command_line,
    format_count,
    format_error,
    format_ns,
    format_table,
    underlined,
    wrapped,
)
from simulator.studies.hvo_2021.numbers import (
    folio_times,
    log2_histogram,
    page_ns,
    published_histogram,
    was_fitted,
)

__all__ = ("hvo_2021_report",)

_BAR_WIDTH = 32
_MARKS = (("published", "@"), ("simulated", "#"))


def hvo_2021_report(
    results: Mapping[bool, ResultFrames],
    variants: Sequence[tuple[str, ResultFrames]],
    published: Sequence[PublishedRun],
    *,
    command: str,
    remark: str = "",
) -> str:
    """
    Return times and histograms as plain text, at most 72 columns wide.

    :param results: the run with HVO off and the one with HVO on.
    :param variants: further runs with HVO on, by what is different in them.
    :param command: what to type to get the same text again.
    :param remark: in what the simulated machine differs from its profile.
    """
    on = results[True]
    s = on.scenario
    request = "; ".join(p for p in request_text(on).split("; ") if not p.startswith("HVO "))
    head = [
        underlined("The HVO figures of 2021, published and simulated"),
        command_line(command, "command    "),
        wrapped(version_text(on.provenance), "version    "),
        wrapped(machine_title(on), "machine    "),
        wrapped(f"{name_of(s.kernel)}; {request}", "simulated  "),
        *([wrapped(remark, "           ")] if remark else []),
        wrapped(f"{name_of(s.noise)}; seed {s.seed}", "noise      "),
        wrapped(trust_text(on.provenance), "model      "),
        *static_key_lines(list(results.values())),
    ]
    blocks = ["\n".join(head), _times(results, variants, published)]
    blocks += [_histogram(p, results[p.hvo]) for p in published]
    blocks.append(_note(published))
    return "\n\n\n".join(blocks) + "\n"


def _times(
    results: Mapping[bool, ResultFrames],
    variants: Sequence[tuple[str, ResultFrames]],
    published: Sequence[PublishedRun],
) -> str:
    rows: list[tuple[str, ...]] = []
    for p in published:
        cells = _time_cells(p, results[p.hvo])
        role = "fitted to it" if was_fitted(results[p.hvo], p) else "not: predicted"
        rows.append((f"{p.phase}, HVO {name_of(p.hvo)}", *cells, role))
    for text, result in variants:
        rows.append((text,))
        for p in published:
            if p.hvo:
                cells = _time_cells(p, result)
                rows.append((f"  {p.phase}, HVO on", *cells, "variant"))
    header = ("", "published", "per page", "simulated", "error", "the profile was")
    title = underlined(f"Time for {published[0].pages:,} pages of 2 MB, and for one of them")
    return f"{title}\n{format_table(rows, header, 'lrrrrl')}"


def _time_cells(p: PublishedRun, result: ResultFrames) -> tuple[str, str, str, str]:
    simulated_ns = page_ns(result, p.phase)
    error = format_error(simulated_ns / p.page_ns - 1)
    return format_ns(p.elapsed_ns), format_ns(p.page_ns), format_ns(simulated_ns), error


def _histogram(p: PublishedRun, result: ResultFrames) -> str:
    simulated = log2_histogram(folio_times(result, p.phase))
    pairs = (published_histogram(p), simulated)
    rows = []
    for low, high in sorted({b for h in pairs for b in zip(h.low, h.high, strict=True)}):
        for (name, mark), h in zip(_MARKS, pairs, strict=True):
            count = _count(h, int(low))
            label = f"[{_size(int(low))}, {_size(int(high))})" if name == "published" else ""
            filled = bar(count / h.total, _BAR_WIDTH, mark)
            rows.append((label, name, format_count(count), f"|{filled}|"))
    title = underlined(f"{p.function}(), HVO {name_of(p.hvo)}: time in ns")
    return f"{title}\n{format_table(rows, align='llrl')}"


def _count(histogram: Histogram, low_ns: int) -> int:
    return int(histogram.count[histogram.low == low_ns].sum())


# As bpftrace's hist() writes it.
def _size(ns: int) -> str:
    return f"{ns // 1024}K" if ns >= 1024 else str(ns)


def _note(published: Sequence[PublishedRun]) -> str:
    sources = ", ".join(dict.fromkeys(p.source for p in published))
    return wrapped(
        f"Published: {sources}, machine not stated; K is 1024. The published histograms were"
        " taken with two probes for each folio, whose cost they hold and the times do not."
        " Simulated: one run. The spread of the huge page allocator was fitted to the"
        " histograms with HVO off; those with HVO on are predicted."
    )
