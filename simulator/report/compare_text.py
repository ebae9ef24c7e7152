# SPDX-License-Identifier: MIT
"""
The report of a comparison
--------------------------

What ``tlbsim compare`` prints: per phase and metric, each scenario's mean and
its ratio to its baseline, with confidence intervals, and the words ``not
significant`` and ``too few replications`` where a number alone would mislead;
then where the time went, and what the slowest flushes met.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simulator.analysis.compare import METRICS, Comparison
from simulator.analysis.frames import of_phase
from simulator.analysis.safety import UNSAFE
from simulator.analysis.stats import UNCERTAINTY
from simulator.report.header import static_key_lines, trust_text, version_text
from simulator.report.metric_words import TITLES, format_metric
from simulator.report.text import (
    MAIL_WIDTH,
    format_interval,
    format_ns,
    format_ratio,
    format_table,
    underlined,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ("comparison_text", "why_blocks")

_LONGEST_NAME = 16
_GAP = 2

_TOO_FEW = "too few replications"
# What explains less than this of a difference is not worth a line.
_LEAST_SHARE = 0.01
_MOST_CATEGORIES = 6

_FOOTNOTE = "Ratio: the mean over that of {reference}; below 1 is less."


def comparison_text(comparison: Comparison, metrics: Sequence[str] = METRICS) -> str:
    """Return a comparison as plain text, at most 72 columns wide; of some metrics alone, no why."""
    many = comparison.replications > 1
    interval = f"{100 * comparison.level:g}% interval"
    header = ("", "mean", interval, "ratio", interval) if many else ("", "mean", "ratio")
    phases = comparison.phases
    names = {label: label for label in comparison.labels}
    tables = {phase: _rows(comparison, phase, names, metrics, many) for phase in phases}
    longest = max(map(len, comparison.labels))
    widest = max(_width([header, *rows]) for rows in tables.values())
    if longest > _LONGEST_NAME or widest > MAIL_WIDTH:
        names = {label: f"[{i + 1}]" for i, label in enumerate(comparison.labels)}
        tables = {phase: _rows(comparison, phase, names, metrics, many) for phase in phases}
    blocks = ["\n".join(_head(comparison, names))]
    for phase, rows in tables.items():
        blocks.append(f"{underlined(f'{phase} (simulated)')}\n{format_table(rows, header)}")
        if metrics == METRICS:
            blocks += why_blocks(comparison, phase, names)
    if many:
        single = len(set(comparison.baselines)) == 1
        reference = names[comparison.baselines[0]] if single else "its baseline"
        footnote = _FOOTNOTE.format(reference=reference)
        blocks.append(wrapped(f"{footnote} {comparison.method.words}"))
    return "\n\n".join(blocks) + "\n"


def why_blocks(comparison: Comparison, phase: str, names: Mapping[str, str]) -> list[str]:
    """Return the blocks that say where the differences of a phase come from."""
    blocks = []
    explained = of_phase(comparison.time_by, phase)
    for (label, base), found in explained.groupby(["scenario", "baseline"], sort=False):
        told = [
            row
            for row in found.to_dict("records")
            if row["diff_ns"] and abs(row["share"]) >= _LEAST_SHARE
        ][:_MOST_CATEGORIES]
        if not told:
            continue
        rows: list[tuple[str, ...]] = [
            (str(row["category"]), format_ns(row["before_ns"]), format_ns(row["after_ns"]),
             _signed(row["diff_ns"]), f"{100 * row['share']:.0f}%")
            for row in told
        ]  # fmt: skip
        total = found["diff_ns"].sum()
        sums = (found["before_ns"].sum(), found["after_ns"].sum())
        rows.append(("all", *map(format_ns, sums), _signed(total), "100%"))
        title = f"Why, {phase}: {names[str(label)]} against {names[str(base)]}, simulated"
        header = ("time of the tasks", "before", "after", "change", "explains")
        lines = [title, format_table(rows, header), *_slowest(comparison, phase, (base, label))]
        blocks.append("\n".join(lines))
    return blocks


# What kept the CPU that answered last, in the slowest flush of all replications.
def _slowest(comparison: Comparison, phase: str, labels: Sequence[Any]) -> list[str]:
    table = comparison.slowest
    if table.empty:
        return []
    lines = []
    for word, label in zip(("before", "after"), labels, strict=True):
        found = table[(table["scenario"] == label) & (table["phase"] == phase)]
        if found.empty:
            lines.append(f"slowest broadcast, {word}: none")
            continue
        row = found.loc[found["took_ns"].idxmax()]
        met = str(row["state"])
        if row["idle_state"]:
            met += f" in {row['idle_state']}"
        text = (
            f"{row['reason']}, {format_ns(row['took_ns'])} (sending {format_ns(row['send_ns'])})"
            f" to {row['targets']} CPUs"
        )
        if row["slowest_cpu"] >= 0:
            text += (
                f"; last was CPU {row['slowest_cpu']}, found {met}, whose handler began"
                f" {format_ns(row['late_ns'])} after the IPI came"
            )
        lines.append(wrapped(text, f"slowest broadcast, {word}: "))
    rows = of_phase(comparison.frame, phase)
    held = rows[rows["metric"] == "ptl_held_max_ns"].set_index("scenario")["mean"]
    before, after = (float(held[label]) for label in labels)
    if before != after and not math.isnan(before) and not math.isnan(after):
        change = f"{format_ns(before)} before, {format_ns(after)} after"
        lines.append(f"page_table_lock held at most: {change}")
    return lines


def _signed(ns: float) -> str:
    return f"+{format_ns(ns)}" if ns > 0 else format_ns(ns)


# A baseline, and below it what is compared with it.
def _rows(
    comparison: Comparison,
    phase: str,
    names: Mapping[str, str],
    metrics: Sequence[str],
    many: bool,
) -> list[tuple[str, ...]]:
    rows_of_phase = of_phase(comparison.frame, phase)
    order = {label: i for i, label in enumerate(comparison.labels)}
    rows: list[tuple[str, ...]] = []
    for metric in metrics:
        found = rows_of_phase[rows_of_phase["metric"] == metric].to_dict("records")
        if all(record["verdict"] == "no value" for record in found):
            continue
        rows.append((TITLES[metric],))
        for record in sorted(found, key=lambda r: (order[r["baseline"]], order[r["scenario"]])):
            cells = _cells({str(k): v for k, v in record.items()}, many)
            if comparison.safety[str(record["scenario"])].unsafe:
                # In the column of the ratio, or of the mean where there is none.
                at = len(cells) // 2
                cells = (*cells[:at], f"{cells[at]} {UNSAFE}", *cells[at + 1 :])
            elif record["scenario"] == record["baseline"]:
                cells = (*cells[: len(cells) // 2], *[""] * (len(cells) // 2))
            rows.append((f"  {names[record['scenario']]}", *cells))
    return rows


# Where labels are too long they become numbers, explained at the top, so that no cell has to yield.
def _width(rows: Sequence[Sequence[str]]) -> int:
    columns = zip(*(row for row in rows if len(row) > 1), strict=True)
    return sum(max(map(len, column)) + _GAP for column in columns) - _GAP


def _head(comparison: Comparison, names: Mapping[str, str]) -> list[str]:
    n = comparison.replications
    most = int(comparison.frame["n"].max())
    runs = "1 replication" if most == 1 else f"{n} replications"
    if most > n:
        runs = f"{n} to {most} replications"
    drawn = comparison.method is UNCERTAINTY
    if drawn:
        runs = f"{n} draws of the uncertain costs"
    runs += f" under seed {', '.join(map(str, comparison.seeds))}"
    runs += (
        f": {_TOO_FEW} for an interval, and nothing can be called significant"
        if n == 1
        else f", paired: each pair met the same noise{' and had the same costs' * drawn}"
    )
    common = ", ".join(
        f"{name} {value}" for name, value in comparison.common.items() if value != "none"
    )
    bases = list(dict.fromkeys(comparison.baselines))
    against = (
        f"every scenario against {bases[0]}"
        if len(bases) == 1
        else f"each against its baseline at the same point: {'; '.join(names[b] for b in bases)}"
    )
    legend = [wrapped(label, f"{name:<11}") for label, name in names.items() if name != label]
    models = comparison.models
    return [
        wrapped(against, "simulated  "),
        wrapped(common, "same       "),
        wrapped(runs, "runs       "),
        wrapped(version_text(comparison.provenance), "version    "),
        *(
            wrapped(trust_text(p) if len(models) == 1 else f"{machine}: {trust_text(p)}", prefix)
            for prefix, (machine, p) in zip(
                ["model      ", *[" " * 11] * len(models)], models.items(), strict=False
            )
        ),
        *_safety_lines(comparison, names),
        *static_key_lines([run for runs in comparison.runs for run in runs]),
        *(wrapped(note, "note       ") for note in comparison.provenance.get("notes", ())),
        *legend,
    ]


# One line if all are safe, else one for each that is not.
def _safety_lines(comparison: Comparison, names: Mapping[str, str]) -> list[str]:
    unsafe = [
        wrapped(f"{names[label]}: {safety.text}", f"{safety.label:<11}")
        for label, safety in comparison.safety.items()
        if safety.unsafe
    ]
    verdicts = dict.fromkeys(safety.verdict for safety in comparison.safety.values())
    return unsafe or [wrapped("; ".join(verdicts), "safety     ")]


def _cells(record: Mapping[str, Any], many: bool) -> tuple[str, ...]:
    metric = str(record["metric"])

    def show(value: float) -> str:
        return format_metric(metric, value)

    mean, ratio = show(record["mean"]), _verdict(record)
    if not many:
        return (mean, ratio)
    ends = format_interval(record["ci_low"], record["ci_high"], show)
    if record["verdict"] == "equal" or math.isnan(record["ratio"]):
        return (mean, ends, ratio, "")
    if math.isnan(record["ratio_low"]):
        return (mean, ends, ratio, _TOO_FEW)
    of_ratio = format_interval(record["ratio_low"], record["ratio_high"], format_ratio)
    return (mean, ends, ratio, of_ratio)


def _verdict(record: Mapping[str, Any]) -> str:
    if record["verdict"] in ("equal", "not significant"):
        return str(record["verdict"])
    return format_ratio(record["ratio"])
