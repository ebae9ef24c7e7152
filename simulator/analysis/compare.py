# SPDX-License-Identifier: MIT
"""
Comparison of scenarios over paired replications
------------------------------------------------

Replication *i* of every scenario met the same noise, so scenarios are compared
in pairs: a difference of means and a ratio of means, with one test behind both
of their intervals and behind the verdict. A single replication has no interval
and is never called significant. Each interval holds on its own; nothing is
corrected for the number of metrics.

A scenario is compared with its own baseline, the one at the same point of all
other axes, not with whatever happens to stand first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.analysis.frames import ResultTotals, fields_of, name_of, nr_cpus, phases_of, rows_of
from simulator.analysis.histogram import Histogram
from simulator.analysis.safety import Safety, safety_of
from simulator.analysis.stats import LEVEL, REPLICATIONS, Method
from simulator.analysis.why import slowest_flushes, time_explained
from simulator.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("METRICS", "PERCENTILES", "Comparison", "compare_results", "described", "metrics_of")

# Percentiles of a run's latencies: of what, and which fraction.
PERCENTILES: Mapping[str, tuple[str, float]] = {
    "folio_p50_ns": ("folio", 0.5),
    "folio_p99_ns": ("folio", 0.99),
    "flush_p50_ns": ("flush", 0.5),
    "flush_p99_ns": ("flush", 0.99),
}

_TIMED = {what for what, _ in PERCENTILES.values()}

# The others are columns of the summary frame; less is better in every one of them.
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
    "preempt_off_max_ns",
    *PERCENTILES,
)

# What tells replications of one scenario apart, and never a scenario from another.
_REPLICATION_FIELDS = ("seed", "replication")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown):
    """
    Scenarios against their baselines.

    ``frame`` has a row per phase, metric and scenario with the columns
    ``scenario``, ``baseline``, ``phase``, ``metric``, ``mean``, ``ci_low``,
    ``ci_high``, ``ref_mean``, ``diff``, ``diff_low``, ``diff_high``, ``ratio``,
    ``ratio_low``, ``ratio_high``, ``p_value``, ``significant``, ``verdict``, ``n``, ``safety``;
    a baseline has rows of its own, with the ratio 1.  An interval or a ratio that
    does not exist is NaN.  ``verdict`` is ``baseline``, ``equal``, ``significant``,
    ``not significant``, ``too few replications`` or ``no value``: a percentile of
    fewer values than it leaves one of beyond itself has none.

    ``time_by`` says where each difference of elapsed time comes from, see
    :func:`simulator.analysis.why.time_explained`, and ``slowest`` what the slowest
    flush of each met, see :func:`simulator.analysis.why.slowest_flushes`.

    ``labels`` names the scenarios by what differs between them, ``baselines`` the
    one that each is compared with; ``common`` holds the fields in which all agree;
    ``provenance`` is that of the first run, with the notes of all scenarios, and
    ``models`` that of the first run on each machine.
    """

    frame: pd.DataFrame
    time_by: pd.DataFrame
    slowest: pd.DataFrame
    labels: tuple[str, ...]
    baselines: tuple[str, ...]
    common: Mapping[str, str]
    seeds: tuple[int, ...]
    replications: int
    provenance: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    level: float
    method: Method
    #: By label, what was held against it and what it broke.
    safety: Mapping[str, Safety]
    #: The replications of each scenario, in the order of ``labels``.
    runs: tuple[tuple[ResultTotals, ...], ...]

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases of all scenarios, in the order in which they ran."""
        return tuple(map(str, self.frame["phase"].cat.categories))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each scenario that is no baseline, with its own one, by their labels."""
        both = zip(self.labels, self.baselines, strict=True)
        return tuple((label, base) for label, base in both if label != base)

    @property
    def unsafe(self) -> bool:
        """Whether any of the scenarios broke an invariant."""
        return any(safety.unsafe for safety in self.safety.values())


def compare_results(
    results: Sequence[Sequence[ResultTotals]],
    level: float = LEVEL,
    baselines: Sequence[int] | None = None,
    sources: Sequence[str] = (),
    method: Method = REPLICATIONS,
) -> Comparison:
    """
    Compare scenarios (outer) over their paired replications (inner) with their baselines.

    ``baselines[i]`` is the place of the scenario that scenario ``i`` is compared with;
    of all, the first where it is not given.  ``sources`` name where each was found, if
    they come from several places, and tell apart what nothing else does.  ``method`` says
    how intervals are made.

    >>> compare_results([])
    Traceback (most recent call last):
      ...
    ValueError: nothing to compare
    """
    import pandas as pd

    if not results or not results[0]:
        raise ValueError("nothing to compare")
    against = [0] * len(results) if baselines is None else list(baselines)
    for i, of in enumerate(against):
        _check_pairs([results[of], results[i]])
    named = [described(runs[0]) for runs in results]
    if len({of["cpus"] for of in named}) > 1:
        named = [_counted(of, runs[0]) for of, runs in zip(named, results, strict=True)]
    if sources and len({tuple(of.items()) for of in named}) < len(named):
        named = [of | {"from": source} for of, source in zip(named, sources, strict=True)]
    labels, common = _labels(named)
    safety = {label: safety_of(runs) for label, runs in zip(labels, results, strict=True)}
    values = [[metrics_of(run) for run in runs] for runs in results]
    rows = [
        {"scenario": labels[i], "baseline": labels[of], "phase": phase, "metric": metric}
        | _numbers(metric, phase, values[i], values[of], level, method, is_baseline=i == of)
        | {"safety": safety[labels[i]].sentence}
        for phase in _all_phases(results)
        for metric in METRICS
        for i, of in enumerate(against)
        if phase in phases_of(results[i][0])
    ]
    frame = pd.DataFrame(rows)
    for column in ("scenario", "baseline", "phase", "metric"):
        frame[column] = pd.Categorical(frame[column], categories=frame[column].unique())
    first = results[0]
    notes = dict.fromkeys(n for runs in results for n in runs[0].provenance.get("notes", ()))
    models: dict[str, Mapping[str, Any]] = {}
    for runs in results:
        models.setdefault(described(runs[0]).get("machine", ""), runs[0].provenance)
    return Comparison(
        frame=frame,
        time_by=time_explained(results, labels, against),
        slowest=slowest_flushes(results, labels),
        labels=labels,
        baselines=tuple(labels[of] for of in against),
        common=common,
        seeds=tuple(dict.fromkeys(run.scenario.seed for run in first)),
        replications=min(len(runs) for runs in results),
        provenance={**first[0].provenance, "notes": list(notes)},
        models=models,
        level=level,
        method=method,
        safety=safety,
        runs=tuple(map(tuple, results)),
    )


def _all_phases(results: Sequence[Sequence[ResultTotals]]) -> list[str]:
    return list(dict.fromkeys(phase for runs in results for phase in phases_of(runs[0])))


# Refuse pairs that are none: such numbers would look fine and mean nothing.
def _check_pairs(results: Sequence[Sequence[ResultTotals]]) -> None:
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


def _replication_key(run: ResultTotals) -> tuple[Any, ...]:
    return tuple(getattr(run.scenario, name, None) for name in _REPLICATION_FIELDS)


def _scenario_key(run: ResultTotals) -> tuple[str, ...]:
    fields = fields_of(run.scenario)
    return tuple(name_of(fields[name]) for name in fields if name not in _REPLICATION_FIELDS)


def described(run: ResultTotals) -> dict[str, str]:
    """Return the fields of a run by name as a reader knows them, and what the user set."""
    # A machine keeps its name when values of it are set.
    fields = fields_of(run.scenario) | {"set": run.provenance.get("set", {})}
    return {key: name_of(value) for key, value in fields.items()}


# Beside other numbers of CPUs, all of them are a number, too.
def _counted(fields: dict[str, str], run: ResultTotals) -> dict[str, str]:
    return fields | ({"cpus": str(nr_cpus(run))} if fields["cpus"] == name_of(None) else {})


def _labels(named: Sequence[Mapping[str, str]]) -> tuple[tuple[str, ...], dict[str, str]]:
    names = [name for name in named[0] if name not in _REPLICATION_FIELDS]
    differing = [name for name in names if len({fields[name] for fields in named}) > 1]
    labels: list[str] = []
    for fields in named:
        label = " ".join(_field_text(name, fields[name]) for name in differing)
        # What differs in nothing is called what it is.
        label = label or fields["kernel"]
        if label in labels:
            # The same scenario twice, or two machines of one name: still two columns.
            label += f" #{len(labels) + 1}"
        labels.append(label)
    return tuple(labels), {name: named[0][name] for name in names if name not in differing}


# A kernel or a machine says by itself what it is; "on" or "8" does not.
def _field_text(name: str, text: str) -> str:
    return text if name in ("kernel", "machine") else f"{name}={text}"


def metrics_of(run: ResultTotals) -> dict[str, dict[str, float]]:
    """Return the value of each metric in each phase of a run; NaN where it has none."""
    found: dict[str, dict[str, float]] = {}
    rows = {str(row["phase"]): row for row in rows_of(run, "summary")}
    buckets: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for row in rows_of(run, "latency", what=_TIMED):
        place = (str(row["phase"]), str(row["what"]))
        buckets.setdefault(place, []).append((row["low_ns"], row["high_ns"], row["count"]))
    histograms = {
        place: Histogram.of_buckets(*zip(*of, strict=True)) for place, of in buckets.items()
    }
    for metric in METRICS:
        if metric in PERCENTILES:
            what, q = PERCENTILES[metric]
            tails = {phase: histograms.get((phase, what)) for phase in rows}
            values = {phase: None if h is None else h.tail(q) for phase, h in tails.items()}
        else:
            values = {phase: row[metric] for phase, row in rows.items()}
        found[metric] = {
            phase: math.nan if value is None else float(value) for phase, value in values.items()
        }
    return found


def _numbers(
    metric: str,
    phase: str,
    runs: Sequence[Mapping[str, Mapping[str, float]]],
    reference: Sequence[Mapping[str, Mapping[str, float]]],
    level: float,
    method: Method,
    *,
    is_baseline: bool,
) -> dict[str, Any]:
    values = [run[metric][phase] for run in runs]
    base = [run[metric][phase] for run in reference]
    numbers: dict[str, Any] = dict.fromkeys(_NUMBERS, math.nan)
    if not all(map(math.isfinite, values + base)):
        # What the other CPUs lost has no value on a machine with one CPU.
        return numbers | {"significant": False, "verdict": "no value", "n": len(values)}
    pairs = method.compare(values, base, level)
    for names, estimate in (
        (_NUMBERS[0:3], method.interval(values, level)),
        (_NUMBERS[4:7], pairs.difference),
        (_NUMBERS[7:10], pairs.ratio),
    ):
        if estimate is not None:
            found = (estimate.mean, estimate.low, estimate.high)
            numbers |= {k: v for k, v in zip(names, found, strict=True) if v is not None}
    numbers["ref_mean"] = math.fsum(base) / len(base)
    if pairs.p_value is not None:
        numbers["p_value"] = pairs.p_value
    if is_baseline:
        verdict = "baseline"
    elif values == base:
        verdict = "equal"
    elif len(values) == 1:
        verdict = "too few replications"
    else:
        verdict = "significant" if pairs.significant else "not significant"
    return numbers | {"significant": pairs.significant, "verdict": verdict, "n": len(values)}


_NUMBERS = (
    "mean", "ci_low", "ci_high", "ref_mean", "diff", "diff_low", "diff_high",
    "ratio", "ratio_low", "ratio_high", "p_value",
)  # fmt: skip
