# SPDX-License-Identifier: MIT
"""The report of one run: its numbers are the frames', its lines fit a mail, its JSON is strict."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from simulator.report import run_report, summary_json
from simulator.report.text import MAIL_WIDTH


def line(text, start):
    return next(row for row in text.splitlines() if row.startswith(start))


def test_report_fits_a_mail_and_is_plain_ascii(result):
    text = run_report(result())
    assert max(map(len, text.splitlines())) <= MAIL_WIDTH
    assert text.isascii()
    assert text.endswith("\n")


def test_report_says_what_it_takes_to_judge_and_repeat_it(result):
    text = run_report(result(seed=42))
    head = text.split("\n\n")[0]
    assert line(head, "simulated").startswith("simulated  VM with 252 vCPUs")
    assert "epyc-7j13-vm252" in head
    assert line(head, "kernel") == "kernel     v6.6"
    assert line(head, "seed") == "seed       42, replication 0"
    assert line(head, "key").split()[1] == result().provenance["key"]
    assert line(head, "version") == "version    tlbsim 1.0.0, commit 0123456789ab"
    assert "31 of 74 values are assumed; none fitted" in head


def test_header_names_faults_tunables_and_notes_only_where_there_are_any(result):
    assert "faults" not in run_report(result())
    r = result(faults={"pte_page": (3, 7)}, tunables={"static_key_sites": 10})
    r.provenance["notes"] = ["what if: HVO on a kernel that has none"]
    text = run_report(r)
    assert line(text, "faults").split() == ["faults", "pte_page=3,7"]
    assert line(text, "tunables").split() == ["tunables", "static_key_sites=10"]
    assert "what if: HVO on a kernel that has none" in line(text, "note")


def test_header_names_what_was_set_of_the_machine(result):
    assert "\nset " not in run_report(result())
    r = result()
    r.provenance["set"] = {"costs.inject": "900 ns", "ipi.shorthand": "false"}
    text = run_report(r)
    assert line(text, "set") == "set        costs.inject=900 ns, ipi.shorthand=false"


def test_numbers_are_those_of_the_summary(result):
    r = result(kernel="v6.7")
    text = run_report(r)
    assert line(text, "flushes (broadcasts)").split()[-2:] == ["2", "1"]
    assert line(text, "IPIs for flushes").split()[-2:] == ["502", "251"]
    assert line(text, "PMD splits").split()[-2:] == ["4", "0"]
    assert line(text, "pages held").split()[-2:] == ["1,792", "1,792"]
    assert line(text, "  as memory").split()[-4:] == ["7.0", "MB", "7.0", "MB"]
    seconds = r.summary["elapsed_s"]
    assert f"{1000 * seconds[0]:.3f} ms" in line(text, "elapsed")


def test_what_a_kernel_counts_itself_comes_last_under_its_name(result):
    r = result(kernel="v6.7")
    assert "my_count" not in run_report(r)
    r.counts["my_count"] = [12345, 0]
    block = run_report(r).split("\n\n")[1]
    assert block.splitlines()[-1].split() == ["my_count", "12,345", "0"]


def test_shares_of_where_the_time_goes_sum_to_one(result):
    text = run_report(result())
    block = text.split("alloc: where the time goes")[1].split("\n\n")[0]
    shares = [float(row.split("%")[0].split()[-1]) for row in block.splitlines() if "%" in row]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(shares))
    assert len(shares) == 9
    assert "others" in block


def test_several_tasks_are_summed_and_named(result):
    r = result(phases=("alloc",))
    second = r.time_by.assign(task=1)
    r.time_by = pd.concat([r.time_by, second], ignore_index=True)
    text = run_report(r)
    assert "all 2 tasks together" in text


def test_seven_phases_still_fit(result):
    text = run_report(
        result(phases=("alloc", "free", "alloc2", "free2", "alloc3", "free3", "alloc4"))
    )
    assert max(map(len, text.splitlines())) <= MAIL_WIDTH
    assert "alloc4: where the time goes" in text


@pytest.mark.parametrize("length", [1, 20, 28, 40])
def test_bars_stand_in_the_line_of_their_category(result, length):
    r = result()
    r.time_by["category"] = [name[:length].ljust(length, "x") for name in r.time_by["category"]]
    r.time_by["category"] += r.time_by["category"].index.astype(str)
    block = run_report(r).split("alloc: where the time goes")[1].split("\n\n")[0]
    bars = block.splitlines()[2:]
    assert len(bars) == 9
    assert all("% " in row and row.count("|") == 2 and row.endswith("|") for row in bars)
    assert max(map(len, bars)) <= MAIL_WIDTH


def test_extreme_values_fit_a_mail(result):
    r = result(pages=64, phases=("alloc", "free", "alloc2"))
    # The longest simulated time, and 2 ** 24 pages with 4 flushes each on 4096 CPUs.
    for name in r.summary.select_dtypes("number"):
        largest = 518_400 * 10**9 if name.endswith("_ns") else 2**38
        r.summary[name] = largest if r.summary[name].dtype == np.int64 else float(largest)
    r.summary["flush_share"] = 1.0
    r.time_by["ns"] = 518_400 * 10**9
    r.scenario = r.scenario.__class__(machine=r.scenario.machine, kernel="my_patch_" * 12)
    r.provenance["machine_title"] = "x" * 200
    text = run_report(r)
    assert max(map(len, text.splitlines())) <= MAIL_WIDTH
    assert "518400 s" in text


def test_one_cpu_has_no_other_cpu_to_report(result):
    r = result(cpus=1, phases=("alloc",))
    r.summary[["victim_lost_median_ns", "victim_lost_max_ns"]] = np.nan
    text = run_report(r)
    assert line(text, "other CPUs lost, worst").split()[-1] == "-"
    assert summary_json(r)[0]["victim_lost_max_ns"] is None


def test_hvo_off_has_no_flush_latency(result):
    text = run_report(result(hvo=False))
    assert "one flush" not in text
    assert line(text, "share of time in flushes").split()[-1] == "0.0%"


def test_json_has_every_column_of_summary_and_the_counts(result):
    r = result(kernel="v6.7")
    objects = summary_json(r)
    assert [row["phase"] for row in objects] == ["alloc", "free"]
    assert set(objects[0]) == {*r.summary.columns, "counts", "safety"}
    assert set(objects[0]["counts"]) == set(r.counts.columns) - {"phase"}
    assert objects[0]["counts"]["flush_tlb_all_calls"] == 2
    assert objects[1]["flushes"] == 1


def test_json_is_strict_and_keeps_integers_whole(result):
    r = result()
    r.summary.loc[0, "flush_share"] = np.inf
    r.summary.loc[0, "pages_per_s"] = np.nan
    r.summary["free_pages_min"] = pd.array([2**62, pd.NA], dtype="Int64")
    objects = summary_json(r)
    assert json.loads(json.dumps(objects, allow_nan=False)) == objects
    assert objects[0]["flush_share"] is objects[0]["pages_per_s"] is None
    assert [row["free_pages_min"] for row in objects] == [2**62, None]
    assert all(type(row["elapsed_ns"]) is int for row in objects)
