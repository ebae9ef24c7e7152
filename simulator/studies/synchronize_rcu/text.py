# SPDX-License-Identifier: MIT
"""
synchronize_rcu() in a batch and one by one
-------------------------------------------

A table for each path and phase: both kernels by the number of pages, how often the
newer one waits for a grace period, and what part of its time that is; then what this
comes to at either end of the range of a grace period.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from simulator.analysis.frames import ResultFrames
from simulator.geometry import NR_PFNS
from simulator.report.header import machine_title, study_lines
from simulator.report.text import (
    format_count,
    format_memory,
    format_ns,
    format_ns_range,
    format_ratio,
    format_share,
    format_table,
    underlined,
    wrapped,
)
from simulator.studies.synchronize_rcu.numbers import RcuCost, small_from

__all__ = ("rcu_report",)

_PATHS = {
    "pool": "As a batch: echo N > nr_hugepages",
    "surplus": "One by one: surplus pages (overcommit)",
}

_NOTES = (
    "Calls of synchronize_rcu(), of {after}; {before} makes none. Flushes: broadcast "
    "flush_tlb_*() calls, of which both make as many.",
    "Part of the time of {after} that passes in synchronize_rcu(). The task sleeps meanwhile: it "
    "costs time, and no CPU.",
    "From so many pages on in one write, the time of the rest, interpolated between the sizes "
    "above, is so long that a grace period of average length is less than {share} of all.",
    "Both kernels patch {sites} sites when HVO's static key flips, which were counted in {after}, "
    "so that their times differ by the grace periods and not by that.",
    "Not modelled: grace periods that several callers share (surplus pages of concurrent faults "
    "would), expedited ones, readers that make one longer.",
)


def rcu_report(
    costs: Sequence[RcuCost], runs: Sequence[ResultFrames], *, share: float, command: str
) -> str:
    """
    Return the tables as plain text, at most 72 columns wide.

    :param costs: of two kernels, the older first; of the newer also with grace periods of
        other lengths.
    :param runs: a result of each kernel with the machine as it is.
    :param share: what part of the time is small.
    :param command: what to type to get the same text again.
    """
    before, after = dict.fromkeys(c.kernel for c in costs)
    first = runs[0]
    grace = first.scenario.machine_model.costs.synchronize_rcu
    mean_ns = float(grace.exact_ns)
    ends = sorted({c.mean_ns for c in costs})
    title = f"What does synchronize_rcu() of {after} cost?"
    simulated = (
        f"{machine_title(first)}; huge pages of 2 MB; HVO on; one task; noise"
        f" {first.scenario.noise_model.name}; seed {first.scenario.seed}"
    )
    grace_period = wrapped(
        f"{format_ns(mean_ns)} on average, {grace.kind}, range"
        f" {format_ns_range(ends[0], ends[-1])}: {grace.source.removeprefix('assumed: ')};"
        " each call draws its own",
        "grace      ",
    )
    head = [
        *study_lines(title, command, simulated, runs, [grace_period]),
        wrapped(_answer(costs, share), "answer     "),
    ]
    blocks = ["\n".join(head)]
    for path, title in _PATHS.items():
        of_path = [c for c in costs if c.path == path and c.mean_ns == mean_ns]
        blocks.append(f"{underlined(title)}\n{_table(of_path, (before, after))}")
    blocks.append(
        f"{underlined('At both ends of the range of a grace period')}\n{_ends(costs, share)}"
    )
    values = {"before": before, "after": after, "share": _percent(share), "sites": _sites(first)}
    notes = [wrapped(note.format(**values), f"[{i}] ") for i, note in enumerate(_NOTES[:3], 1)]
    notes += [wrapped(note.format(**values)) for note in _NOTES[3:]]
    return "\n\n\n".join([*blocks, "\n".join(notes)]) + "\n"


def _answer(costs: Sequence[RcuCost], share: float) -> str:
    rows = list(_by_end(costs))
    low, high = rows[0], rows[-1]
    before, after = dict.fromkeys(c.kernel for c in costs)
    sizes = " and ".join(
        f"{_from(row['pool'], share)} pages at {format_ns(row['pool'][0].mean_ns)}"
        for row in (low, high)
    )
    most = low["surplus"][-1]
    ratios = [format_ratio(_one_by_one(costs, row["surplus"][-1])) for row in (low, high)]
    return (
        f"a batch waits once each way, whatever its size: less than {_percent(share)} of its"
        f" alloc {sizes} a grace period. One by one, each page waits:"
        f" {format_count(most.pages)} surplus pages take {after} {' to '.join(ratios)} as long"
        f" as {before}."
    )


def _table(costs: Sequence[RcuCost], kernels: tuple[str, str]) -> str:
    before, after = kernels
    header = ("pages", before, after, "ratio", "grace\nperiods [1]", "flushes\n[1]", "in rcu\n[2]")
    found = {(c.kernel, c.phase, c.pages): c for c in costs}
    rows: list[tuple[str, ...]] = []
    for phase in dict.fromkeys(c.phase for c in costs):
        rows.append((phase,))
        for pages in dict.fromkeys(c.pages for c in costs):
            old, new = found[before, phase, pages], found[after, phase, pages]
            rows.append(
                (
                    f"  {format_count(pages)}",
                    format_ns(old.elapsed_ns),
                    format_ns(new.elapsed_ns),
                    format_ratio(new.elapsed_ns / old.elapsed_ns),
                    format_count(new.grace_periods),
                    format_count(new.flushes),
                    format_share(new.share),
                )
            )
    return format_table(rows, header)


def _ends(costs: Sequence[RcuCost], share: float) -> str:
    header = (
        "a grace\nperiod takes", f"batch: below\n{_percent(share)} [3]", "memory\nof these",
        "one by one:\na page takes", f"of that\nin {costs[0].kernel}",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for phase in dict.fromkeys(c.phase for c in costs):
        rows.append((phase,))
        for row in _by_end(costs, phase):
            most, pages = row["surplus"][-1], small_from(row["pool"], share)
            rows.append(
                (
                    f"  {format_ns(most.mean_ns)}",
                    _from(row["pool"], share),
                    format_memory(None if pages is None else _rounded(pages) * NR_PFNS["2M"]),
                    format_ns(most.elapsed_ns / most.pages),
                    format_ratio(_one_by_one(costs, most)),
                )
            )
    return format_table(rows, header)


# The newer kernel in one phase, by path and rising pages, for each length of a grace period.
def _by_end(
    costs: Sequence[RcuCost], phase: str = "alloc"
) -> Iterator[Mapping[str, list[RcuCost]]]:
    after = costs[-1].kernel
    of_phase = [c for c in costs if c.kernel == after and c.phase == phase]
    for mean_ns in sorted({c.mean_ns for c in of_phase}):
        yield {
            path: sorted(
                (c for c in of_phase if (c.mean_ns, c.path) == (mean_ns, path)),
                key=lambda c: c.pages,
            )
            for path in _PATHS
        }


def _from(batches: Sequence[RcuCost], share: float) -> str:
    pages = small_from(batches, share)
    # Interpolated: more digits would say more than is known.
    if pages is None:
        return f"above {format_count(batches[-1].pages)}"
    return f"from {format_count(_rounded(pages))}"


def _rounded(pages: int) -> int:
    return int(float(f"{pages:.2g}"))


def _one_by_one(costs: Sequence[RcuCost], new: RcuCost) -> float:
    before = costs[0].kernel
    old = next(
        c
        for c in costs
        if (c.kernel, c.path, c.phase, c.pages) == (before, new.path, new.phase, new.pages)
    )
    return new.elapsed_ns / old.elapsed_ns


def _sites(result: ResultFrames) -> int:
    return int(result.scenario.tunables["static_key_sites"])


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
