# SPDX-License-Identifier: MIT
"""
Comparison of scenarios over paired replications
------------------------------------------------

Replication *i* of every scenario met the same noise, so scenarios are compared
in pairs: a difference of means, and a ratio of geometric means, each with its
confidence interval. A single replication has no interval and is never called
significant. Each interval holds on its own; nothing is corrected for the
number of metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.analysis.frames import ResultFrames, fields_of, name_of, phases_of
from simulator.analysis.stats import (
    LEVEL,
    Estimate,
    mean_interval,
    paired_difference,
    paired_ratio,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("METRICS", "Comparison", "compare_results")

# Columns of the summary frame; less is better in every one of them.
METRICS = (
    "elapsed_s",
    "flushes",
    "ipis",
    "flush_share",
    "victim_lost_median_ns",
    "victim_lost_max_ns",
    "peak_held_pages",
    "ptl_held_max_ns",
    "irqs_off_max_ns",
)

# What tells replications of one scenario apart, and never a scenario from another.
_REPLICATION_FIELDS = ("seed", "replication")


@dataclass(frozen=True, eq=False)
class Comparison:
    """
    Scenarios against the first of them.

    ``frame`` has a row per phase, metric and scenario with the columns
    ``scenario``, ``phase``, ``metric``, ``mean``, ``ci_low``, ``ci_high``,
    ``ref_mean``, ``diff``, ``diff_low``, ``diff_high``, ``ratio``,
    ``ratio_low``, ``ratio_high``, ``significant``, ``n``; the reference has
    rows of its own, with the ratio 1. An interval or a ratio that does not
    exist is NaN.

    ``labels`` names the scenarios by what differs between them, the reference
    first; ``common`` holds the fields in which all agree; ``provenance`` is
    that of the first run, with the notes of all scenarios.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]
    common: Mapping[str, str]
    seeds: tuple[int, ...]
    replications: int
    provenance: Mapping[str, Any]
    level: float


def compare_results(results: Sequence[Sequence[ResultFrames]], level: float = LEVEL) -> Comparison:
    """
    Compare scenarios (outer) over their paired replications (inner) with the first scenario.

    >>> compare_results([])
    Traceback (most recent call last):
      ...
    ValueError: nothing to compare
    """
    import pandas as pd

    if not results or not results[0]:
        raise ValueError("nothing to compare")
    _check_pairs(results)
    labels, common = _labels([_described(runs[0]) for runs in results])
    values = [[_by_phase(run) for run in runs] for runs in results]
    rows = [
        _row(label, phase, metric, runs, values[0], level)
        for phase in phases_of(results[0][0])
        for metric in METRICS
        for label, runs in zip(labels, values, strict=True)
    ]
    frame = pd.DataFrame(rows)
    for column in ("scenario", "phase", "metric"):
        frame[column] = pd.Categorical(frame[column], categories=frame[column].unique())
    reference = results[0]
    notes = dict.fromkeys(n for runs in results for n in runs[0].provenance.get("notes", ()))
    return Comparison(
        frame=frame,
        labels=labels,
        common=common,
        seeds=tuple(dict.fromkeys(run.scenario.seed for run in reference)),
        replications=len(reference),
        provenance={**reference[0].provenance, "notes": list(notes)},
        level=level,
    )


# Refuse pairs that are none: such numbers would look fine and mean nothing.
def _check_pairs(results: Sequence[Sequence[ResultFrames]]) -> None:
    first = results[0]
    keys = [_replication_key(run) for run in first]
    if len(set(keys)) != len(keys):
        raise ValueError("two replications of one scenario share seed and replication number")
    for runs in results:
        if [_replication_key(run) for run in runs] != keys:
            raise ValueError("scenarios differ in their seeds or numbers of replications")
        if any(phases_of(run) != phases_of(first[0]) for run in runs):
            raise ValueError("scenarios differ in their phases")
        if len({_scenario_key(run) for run in runs}) != 1:
            raise ValueError("replications of one scenario differ in more than their seed")


def _replication_key(run: ResultFrames) -> tuple[Any, ...]:
    return tuple(getattr(run.scenario, name, None) for name in _REPLICATION_FIELDS)


def _scenario_key(run: ResultFrames) -> tuple[str, ...]:
    fields = fields_of(run.scenario)
    return tuple(name_of(fields[name]) for name in fields if name not in _REPLICATION_FIELDS)


def _described(run: ResultFrames) -> dict[str, str]:
    # A machine keeps its name when values of it are set.
    fields = fields_of(run.scenario) | {"set": run.provenance.get("set", {})}
    return {key: name_of(value) for key, value in fields.items()}


def _labels(named: Sequence[Mapping[str, str]]) -> tuple[tuple[str, ...], dict[str, str]]:
    names = [name for name in named[0] if name not in _REPLICATION_FIELDS]
    differing = [name for name in names if len({fields[name] for fields in named}) > 1]
    labels: list[str] = []
    for fields in named:
        label = " ".join(_field_text(name, fields[name]) for name in differing) or "same"
        if label in labels:
            # The same scenario twice, or two machines of one name: still two columns.
            label += f" #{len(labels) + 1}"
        labels.append(label)
    return tuple(labels), {name: named[0][name] for name in names if name not in differing}


# A kernel or a machine says by itself what it is; "on" or "8" does not.
def _field_text(name: str, text: str) -> str:
    return text if name in ("kernel", "machine") else f"{name}={text}"


def _by_phase(run: ResultFrames) -> dict[str, dict[str, float]]:
    table = run.summary
    return {
        metric: dict(zip(phases_of(run), map(float, table[metric]), strict=True))
        for metric in METRICS
    }


def _row(
    label: str,
    phase: str,
    metric: str,
    runs: Sequence[Mapping[str, Mapping[str, float]]],
    reference: Sequence[Mapping[str, Mapping[str, float]]],
    level: float,
) -> dict[str, Any]:
    values = [run[metric][phase] for run in runs]
    base = [run[metric][phase] for run in reference]
    if all(map(math.isfinite, values + base)):
        mean: Estimate | None = mean_interval(values, level)
        diff: Estimate | None = paired_difference(values, base, level)
        ratio = paired_ratio(values, base, level)
        ref_mean = mean_interval(base, level).mean
    else:
        # What the other CPUs lost has no value on a machine with one CPU.
        mean = diff = ratio = None
        ref_mean = math.nan
    # One verdict, the one that the reader can check in the interval shown.
    if ratio is not None:
        significant = ratio.excludes(1.0)
    else:
        significant = diff is not None and diff.excludes(0.0)
    return {
        "scenario": label,
        "phase": phase,
        "metric": metric,
        **_columns(mean, "mean", "ci"),
        "ref_mean": ref_mean,
        **_columns(diff, "diff", "diff"),
        **_columns(ratio, "ratio", "ratio"),
        "significant": significant,
        "n": len(values),
    }


def _columns(estimate: Estimate | None, middle: str, ends: str) -> dict[str, float]:
    mean, low, high = (
        (None, None, None) if estimate is None else (estimate.mean, estimate.low, estimate.high)
    )
    return {
        middle: math.nan if mean is None else mean,
        f"{ends}_low": math.nan if low is None else low,
        f"{ends}_high": math.nan if high is None else high,
    }
