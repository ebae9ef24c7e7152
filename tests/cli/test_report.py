# SPDX-License-Identifier: MIT
"""``--format`` and ``tlbsim report``: the same numbers from a run, a folder and a store."""

from __future__ import annotations

import json
import shlex

import pytest

RUN = ("run", "--machine", "laptop-8", "--pages", "8")


@pytest.fixture
def saved(tlbsim, tmp_path):
    for kernel in ("v6.6", "v6.7"):
        assert tlbsim(*RUN, "--kernel", kernel, "--out", tmp_path / kernel).status == 0
    return tmp_path


def test_a_saved_run_reports_the_rows_of_the_run_itself(tlbsim, saved):
    at_once = tlbsim(*RUN, "--kernel", "v6.7", "--format", "json").json
    later = tlbsim("report", saved / "v6.7", "--format", "json").json
    assert at_once["rows"] == later["rows"]
    assert at_once["header"]["command"] == shlex.join(
        ["tlbsim", *RUN, "--kernel", "v6.7", "--format", "json"]
    )


def test_the_command_of_a_report_simulates_its_rows_again(tlbsim, saved):
    report = tlbsim("report", saved / "v6.6", saved / "v6.7", "--format", "json").json
    words = shlex.split(report["header"]["command"])
    again = tlbsim(*words[1:], "--format", "json").json
    assert again["rows"] == report["rows"]


def test_a_sweep_reports_its_store(tlbsim, tmp_path):
    options = ("--machine", "laptop-8", "--pages", "4", "--cpus", "2,4", "--kernel", "v6.6,v6.7",
               "--replications", "2", "--store", tmp_path / "s")  # fmt: skip
    found = tlbsim("sweep", *options, "--format", "json").json
    stored = json.loads(tlbsim("report", tmp_path / "s", "--format", "json").out)

    def told(rows):
        return {tuple(sorted(row.items(), key=str)) for row in rows}

    assert told(found["rows"]) == told(stored["rows"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((*RUN, "--format", "lpk"), "format: unknown 'lpk' (did you mean 'lkp'?)"),
        ((*RUN, "--format", "lkp", "--json"), "format: and --json exclude each other"),
        (("report", "nowhere"), "nowhere"),
    ],
)
def test_wrong_formats_and_results_are_one_line(tlbsim, argv, message):
    done = tlbsim(*argv)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_plots_are_files_and_text_writes_none(tlbsim, saved, monkeypatch):
    monkeypatch.chdir(saved)
    both = (saved / "v6.6", saved / "v6.7")
    text = tlbsim("plot", *both, "--kind", "change", "--text")
    assert text.status == 0
    assert "v6.7 against v6.6" in text.out
    assert not (saved / "plots").exists()
    drawn = tlbsim("plot", *both, "--kind", "change,flush", "--form", "svg", "--out", "plots")
    assert drawn.status == 0
    names = [line.removeprefix("plots/") for line in drawn.out.splitlines()]
    assert names == ["change.svg", "flush-v6.6.svg", "flush-v6.7.svg"]
    assert sorted(path.name for path in (saved / "plots").iterdir()) == names


@pytest.mark.slow
def test_compare_draws_into_a_folder_beside_its_text(tlbsim, tmp_path):
    done = tlbsim("compare", *RUN[1:], "--kernel", "v6.6,v6.7", "--replications", "1",
                  "--uncertainty", "3", "--phases", "alloc", "--out", tmp_path / "o")  # fmt: skip
    assert (tmp_path / "o" / "report.txt").read_text() == done.out
    names = {path.stem for path in (tmp_path / "o").iterdir()}
    assert {"change", "difference", "victims-laptop-8", "uncertainty-v6.7"} <= names


def test_an_unknown_kind_of_plot_is_one_line(tlbsim, saved):
    done = tlbsim("plot", saved / "v6.6", "--kind", "victms")
    assert (done.status, done.out) == (2, "")
    assert "kind: unknown 'victms' (did you mean 'victims'?)" in done.err
