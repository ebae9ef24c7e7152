# SPDX-License-Identifier: MIT
"""Comparison of scenarios: pairing, labels, verdicts."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pandas as pd
import pytest
from scipy import stats

from simulator import Scenario
from simulator.analysis import METRICS, compare_results, fields_of, name_of


def row(comparison, scenario, metric="elapsed_s", phase="alloc"):
    frame = comparison.frame
    rows = frame[
        (frame["scenario"] == scenario) & (frame["metric"] == metric) & (frame["phase"] == phase)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def pairs(run, before, after, **changed):
    """Two scenarios, one replication per pair of values."""
    return [
        [run(value, replication=i) for i, value in enumerate(before)],
        [
            run(value, replication=i, **(changed or {"kernel": "v6.7"}))
            for i, value in enumerate(after)
        ],
    ]


def test_ratio_is_that_of_the_pairs_with_its_interval(run):
    before, after = [10.0, 12.0, 9.0, 11.0], [5.2, 5.9, 4.4, 5.6]
    got = row(compare_results(pairs(run, before, after)), "v6.7")
    assert got["ratio"] == pytest.approx(sum(after) / sum(before))
    for end in (got["ratio_low"], got["ratio_high"]):
        rest = [a - end * b for a, b in zip(after, before, strict=True)]
        assert stats.ttest_1samp(rest, 0).pvalue == pytest.approx(0.05)
    assert got["p_value"] == pytest.approx(stats.ttest_rel(after, before).pvalue)
    assert (got["mean"], got["ref_mean"], got["n"]) == pytest.approx((5.275, 10.5, 4))
    low, high = stats.ttest_rel(after, before).confidence_interval()
    assert (got["diff_low"], got["diff_high"]) == pytest.approx((low, high))
    assert got["significant"]


def test_each_scenario_is_compared_with_its_own_baseline(run):
    points = [
        [run(value * (1 + i / 100), replication=i, cpus=cpus, kernel=kernel) for i in range(3)]
        for kernel, cpus, value in (
            ("v6.6", 8, 10.0), ("v6.6", 32, 40.0), ("v6.7", 8, 5.0), ("v6.7", 32, 10.0),
        )
    ]  # fmt: skip
    comparison = compare_results(points, baselines=[0, 1, 0, 1])
    assert comparison.baselines == ("v6.6 cpus=8", "v6.6 cpus=32") * 2
    assert row(comparison, "v6.7 cpus=8")["ratio"] == pytest.approx(0.5)
    assert row(comparison, "v6.7 cpus=32")["ratio"] == pytest.approx(0.25)
    assert row(comparison, "v6.6 cpus=32")["verdict"] == "baseline"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([10.0], [5.0], "too few replications"),
        ([10.0], [10.0], "equal"),
        ([10.0, 10.0], [5.0, 5.1], "significant"),
        ([10.0, 12.0, 11.0], [10.1, 11.8, 11.1], "not significant"),
        ([10.0, 12.0], [10.0, 12.0], "equal"),
    ],
)
def test_verdicts_say_when_a_number_would_mislead(run, before, after, verdict):
    comparison = compare_results(pairs(run, before, after))
    assert row(comparison, "v6.7")["verdict"] == verdict
    assert row(comparison, "v6.6")["verdict"] == "baseline"


def test_percentile_of_fewer_values_than_it_leaves_one_beyond_has_no_value(run):
    few, enough = ([run(), run(kernel="v6.7")] for _ in range(2))
    for runs, nr in ((few, 99), (enough, 100)):
        for r in runs:
            r.latency = pd.DataFrame(
                {
                    "phase": ["alloc"],
                    "what": ["folio"],
                    "low_ns": [7],
                    "high_ns": [8],
                    "count": [nr],
                }
            )
    p99 = [
        row(compare_results([[r] for r in runs]), "v6.7", "folio_p99_ns") for runs in (few, enough)
    ]
    assert p99[0]["verdict"] == "no value"
    assert (p99[1]["mean"], p99[1]["verdict"]) == (7.0, "equal")


def test_time_is_explained_by_category_the_largest_difference_first(run):
    before, after = run(), run(kernel="v6.7")
    for r, times in (
        (before, {"flush_wait": 90, "remap": 10}),
        (after, {"flush_wait": 30, "remap": 20}),
    ):
        r.time_by = pd.DataFrame(
            {"phase": "alloc", "category": list(times), "ns": list(times.values())}
        )
    found = compare_results([[before], [after]]).time_by
    assert found[["category", "before_ns", "after_ns", "diff_ns"]].to_numpy().tolist() == [
        ["flush_wait", 90, 30, -60],
        ["remap", 10, 20, 10],
    ]
    assert found["share"].tolist() == pytest.approx([60 / 50, -10 / 50])


def test_one_value_against_one_value_is_never_significant(run):
    # pyperf's compare_to calls it significant.
    comparison = compare_results(pairs(run, [1.0], [1000.0]))
    got = row(comparison, "v6.7")
    assert got["ratio"] == pytest.approx(1000.0)
    assert not comparison.frame["significant"].any()
    assert math.isnan(got["ratio_low"])
    assert math.isnan(got["ci_high"])


def test_two_replications_have_an_interval(run):
    got = row(compare_results(pairs(run, [10.0, 10.0], [5.0, 5.1])), "v6.7")
    assert got["ratio_low"] < got["ratio"] < got["ratio_high"] < 1.0
    assert got["significant"]


def test_scenarios_that_differ_by_noise_alone_are_not_significant(run):
    got = row(compare_results(pairs(run, [10.0, 12.0, 11.0], [10.1, 11.8, 11.1])), "v6.7")
    assert got["ratio_low"] < 1.0 < got["ratio_high"]
    assert not got["significant"]


def test_reference_has_rows_with_ratio_one(run):
    got = row(compare_results(pairs(run, [10.0, 12.0], [5.0, 6.0])), "v6.6")
    assert (got["ratio"], got["diff"], got["significant"]) == (1.0, 0.0, False)


def test_metric_that_is_zero_has_no_ratio_but_a_verdict(run):
    results = [
        [run(replication=i, metrics={"flushes": 0.0}) for i in range(3)],
        [run(replication=i, metrics={"flushes": 4.0}, hvo=False) for i in range(3)],
    ]
    got = row(compare_results(results), "hvo=off", "flushes")
    assert math.isnan(got["ratio"])
    assert (got["diff"], got["significant"]) == (4.0, True)


def test_metric_without_a_value_gives_no_numbers_and_no_error(run):
    results = [
        [
            run(replication=i, kernel=kernel, metrics={"victim_lost_max_ns": math.nan})
            for i in (0, 1)
        ]
        for kernel in ("v6.6", "v6.7")
    ]
    got = row(compare_results(results), "v6.7", "victim_lost_max_ns")
    assert math.isnan(got["mean"])
    assert not got["significant"]


def test_frame_has_a_row_per_phase_metric_and_scenario(run):
    phases = ("alloc", "free", "alloc2")
    results = [[run(2.0, phases, kernel=k)] for k in ("v6.6", "v6.6+6", "v6.7")]
    comparison = compare_results(results)
    assert len(comparison.frame) == 3 * 3 * len(METRICS)
    assert comparison.phases == phases
    assert comparison.pairs == (("v6.6+6", "v6.6"), ("v6.7", "v6.6"))
    assert not comparison.frame.duplicated(["phase", "metric", "scenario"]).any()


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ([{}, {"kernel": "v6.7"}], ("v6.6", "v6.7")),
        ([{}, {"hvo": False}], ("hvo=on", "hvo=off")),
        ([{"cpus": 2}, {"cpus": 8, "kernel": "v6.7"}], ("v6.6 cpus=2", "v6.7 cpus=8")),
        ([{}, {}], ("v6.6", "v6.6 #2")),
        (
            [{}, {"machine": SimpleNamespace(name="epyc-7j13-vm252", costs={})}],
            ("laptop-8", "epyc-7j13-vm252"),
        ),
    ],
)
def test_labels_name_just_the_fields_that_differ(run, fields, labels):
    comparison = compare_results([[run(**f)] for f in fields])
    assert comparison.labels == labels
    assert tuple(comparison.frame["scenario"].cat.categories) == labels
    assert comparison.common["pages"] == "256"
    assert "engine" not in comparison.common


def test_values_set_of_a_machine_tell_it_from_one_of_the_same_name(run):
    runs = [run(), run(), run(kernel="v6.7")]
    runs[1].provenance["set"] = {"costs.send": "90 ns"}
    assert compare_results([[r] for r in runs[:2]]).labels == ("set=none", "set=costs.send=90 ns")
    runs[2].provenance["set"] = runs[1].provenance["set"]
    comparison = compare_results([[r] for r in runs[1:]])
    assert comparison.labels == ("v6.6", "v6.7")
    assert comparison.common["set"] == "costs.send=90 ns"


def test_identical_replications_are_refused(run):
    # Mesa's batch_run gave ten identical runs for one seed and ten iterations.
    with pytest.raises(ValueError, match="share seed and replication"):
        compare_results([[run(1.0)] * 10, [run(2.0, kernel="v6.7")] * 10])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ([{"replication": 1}], "differ in their seeds"),
        ([{"seed": 2}], "differ in their seeds"),
        ([{}, {"replication": 1}], "differ in their seeds"),
        ([{"phases": ("alloc", "free")}], "differ in their phases"),
    ],
)
def test_results_that_are_no_pairs_are_refused(run, second, message):
    with pytest.raises(ValueError, match=message):
        compare_results([[run()], [run(**fields) for fields in second]])


def test_replications_of_different_scenarios_are_refused(run):
    with pytest.raises(ValueError, match="more than their seed"):
        compare_results([[run(), run(replication=1, hvo=False)]])


def test_fields_of_a_scenario_but_its_engine_and_names_of_paths():
    from pathlib import Path

    fields = fields_of(Scenario(machine="laptop-8", pages=4, engine="events"))
    assert "engine" not in fields
    assert (fields["machine"], fields["pages"], fields["kernel"]) == ("laptop-8", 4, "v6.6")
    with pytest.raises(TypeError, match="has no fields"):
        fields_of(SimpleNamespace(kernel="v6.6"))
    assert name_of(Path("patches/mine.py")) == "mine"
    assert name_of({"name": "busy", "idle_share": 0.1}) == "busy"
    assert name_of({"b": 2, "a": (1, 2)}) == "a=1,2,b=2"
