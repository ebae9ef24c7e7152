# SPDX-License-Identifier: MIT
"""
Two kernels under several noises
--------------------------------

The table that answers whether a conclusion survives what the other CPUs do: time
of both kernels, speed-up with its interval, and how long a flush takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.analysis.frames import ResultTotals
from simulator.report.header import (
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
    format_ratio,
    format_table,
    underlined,
    wrapped,
)
from simulator.studies.noise.numbers import NoiseCase

__all__ = ("noise_report",)

_QUANTILES = (0.5, 0.9, 0.99)

_FOOTNOTES = (
    "Mean time of {0} over the replications, divided by that of {1} under the same noise, and "
    "Fieller's interval of the ratio; none where the times vary too much. It covers what the seed "
    "varies, not the error of the model. Both patch HVO's static key, with as many broadcasts "
    "each, which noise slows down too: the fewer pages, the more that tells.",
    "From the call of a flush_tlb_*() to its return, over all replications; - where a percentile "
    "would leave no flush beyond itself.",
    "Every value of a noise is an assumption: no measurement says what the CPUs of the published "
    "runs did. tlbsim noises NAME prints values and reasons.",
)
_BARE_METAL = "Bare metal has no vCPUs to preempt: overcommitted is the same as busy."


def noise_report(
    groups: Mapping[str, Sequence[NoiseCase]], results: Sequence[ResultTotals], *, command: str
) -> str:
    """
    Return the tables as plain text, at most 72 columns wide.

    :param groups: by title, the noises of a group in every phase, as they are to be listed.
    :param results: the runs, for what all have in common and the static key.
    :param command: what to type to get the same text again.
    """
    first = results[0]
    every = [case for cases in groups.values() for case in cases]
    kernels = every[0].kernels
    runs = every[0].speed_up.n
    head = [
        underlined("Does the conclusion survive what the other CPUs do? (simulated)"),
        command_line(command, "command    "),
        wrapped(version_text(first.provenance), "version    "),
        wrapped(f"{machine_title(first)}; {request_text(first)}", "simulated  "),
        wrapped(f"{runs} replications under seed {first.scenario.seed}", "runs       "),
        wrapped(trust_text(first.provenance), "model      "),
        *static_key_lines(results),
        wrapped(_answer(every), "answer     "),
    ]
    blocks = ["\n".join(head)]
    for title, cases in groups.items():
        blocks.append(f"{underlined(title)}\n{_times(cases)}\n\n{_flushes(cases)}")
    notes = [
        wrapped(note.format(*kernels), f"[{i}] ") for i, note in enumerate(_FOOTNOTES, start=1)
    ]
    if not first.scenario.machine_model.virtual:
        notes.append(wrapped(_BARE_METAL))
    return "\n\n\n".join([*blocks, "\n".join(notes)]) + "\n"


def _answer(cases: Sequence[NoiseCase]) -> str:
    before, after = cases[0].kernels
    means = [case.speed_up.mean for case in cases]
    open_ones = [case for case in cases if not case.speed_up.excludes(1.0)]
    text = (
        f"the speed-up of {after} over {before} is {format_ratio(min(means))} to"
        f" {format_ratio(max(means))} under these noises"
    )
    if cases[0].speed_up.n == 1:
        return f"{text}; one run each, so nothing can be called significant"
    if not open_ones:
        return f"{text}; every interval excludes 1"
    named = ", ".join(f"{c.key}{'=' * bool(c.key)}{c.label} ({c.phase})" for c in open_ones)
    return f"{text}; not significant under {named}"


def _times(cases: Sequence[NoiseCase]) -> str:
    before, after = cases[0].kernels
    header = ("elapsed [3]", before, after, "speed-up [1]", "95% interval")
    rows: list[tuple[str, ...]] = []
    for phase in dict.fromkeys(case.phase for case in cases):
        rows.append((phase,))
        for case in cases:
            if case.phase == phase:
                low, high = case.speed_up.low, case.speed_up.high
                interval = "" if low is None else f"{format_ratio(low)}..{format_ratio(high)}"
                times = map(format_ns, (of.mean for of in case.elapsed_ns))
                rows.append((f"  {case.label}", *times, format_ratio(case.speed_up.mean), interval))
    return format_table(rows, header)


# Of the first phase: a flush takes the same in all of them.
def _flushes(cases: Sequence[NoiseCase]) -> str:
    phase = cases[0].phase
    rows: list[tuple[str, ...]] = []
    for i, kernel in enumerate(cases[0].kernels):
        rows.append((f"{phase}, {kernel}",))
        for case in cases:
            if case.phase == phase:
                h = case.flushes[i]
                quantiles = (format_ns(h.tail(q)) for q in _QUANTILES)
                total = format_count(h.total)
                rows.append((f"  {case.label}", total, *quantiles, format_ns(h.largest())))
    return format_table(rows, ("one flush [2]", "count", "p50", "p90", "p99", "max"))
