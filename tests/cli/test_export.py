# SPDX-License-Identifier: MIT
"""``tlbsim export``: files and text, and one line for what cannot be."""

from __future__ import annotations

import json

import pytest

import simulator as sim

TRACE = "tests/data/ftrace/trace-7.3-4cpu-alloc16-default.txt.gz"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "one"
    sim.simulate(sim.Scenario(machine="laptop-8", pages=3, cpus=4)).save(folder)
    return folder


def test_formats_together_say_what_was_written(tlbsim, saved, tmp_path):
    files = {"--csv": tmp_path / "c", "--parquet": tmp_path / "p", "--chrome": tmp_path / "t.json"}
    done = tlbsim("export", saved, *(part for pair in files.items() for part in pair))
    assert done.status == 0, done.err
    assert str(tmp_path / "c" / "flushes.csv") in done.out.splitlines()
    assert str(tmp_path / "p" / "flushes.parquet") in done.out.splitlines()
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    # A timeline replaces a timeline.
    assert tlbsim("export", saved, "--chrome", tmp_path / "t.json").status == 0


@pytest.mark.parametrize("what", ["folio", "flush", "ack", "handler"])
def test_histograms_are_printed_for_each_phase(tlbsim, saved, what):
    done = tlbsim("export", saved, "--histogram", what)
    assert done.status == 0
    assert done.out.startswith(f"@alloc_{what}_ns:\n[")
    assert max(map(len, done.out.splitlines())) <= 72


def test_the_trace_of_a_real_machine_is_taken_too(tlbsim, tmp_path):
    out = tmp_path / "t.json"
    done = tlbsim("export", TRACE, "--chrome", out, "--histogram", "flush", "--csv", tmp_path / "c")
    assert done.status == 0, done.err
    assert "_flush_ns:\n" in done.out
    assert any(e["ph"] == "X" for e in json.loads(out.read_text())["traceEvents"])
    assert (tmp_path / "c" / "flushes.csv").exists()


def test_what_cannot_be_is_one_line_and_changes_nothing(tlbsim, saved, tmp_path):
    mine = tmp_path / "my.toml"
    mine.write_text("precious", encoding="utf-8")
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("years", encoding="utf-8")
    for args, complaint in (
        ([saved], "export: name a format"),
        ([saved, "--chrome", mine], "holds something else"),
        ([saved, "--chrome", "/dev/null"], "is a device or a pipe"),
        ([saved, "--csv", full], "is not empty"),
        ([saved, "--chrome", tmp_path / "x", "--longest", "-1"], "longest: -1 is neither"),
        ([tmp_path / "none", "--histogram", "flush"], "none"),
    ):
        done = tlbsim("export", *args)
        assert (done.status, done.out) == (2, ""), args
        assert done.err.count("\n") == 1
        assert complaint in done.err
    assert mine.read_text(encoding="utf-8") == "precious"
    assert [p.name for p in full.iterdir()] == ["thesis.txt"]


def test_two_outputs_into_one_place_are_refused_before_anything_is_written(tlbsim, saved, tmp_path):
    for argv in (
        ("--ftrace", tmp_path / "a.txt", "--perfetto", tmp_path / "a.txt"),
        ("--csv", tmp_path / "a", "--parquet", tmp_path / "a"),
        ("--csv", tmp_path / "a", "--chrome", tmp_path / "a"),
    ):
        done = tlbsim("export", saved, *argv)
        assert done.status == 2
        assert done.err.count("\n") == 1
        assert "name another f" in done.err
        assert list(tmp_path.iterdir()) == []


def test_what_happens_event_by_event_is_written_and_printed(tlbsim, saved, tmp_path):
    files = tmp_path / "run.pftrace", tmp_path / "trace.txt"
    done = tlbsim(
        "export", saved, "--perfetto", files[0], "--ftrace", files[1], "--tracer", "function",
        "--trace", "--window", "0us:20us", "--function", "set_max_*",
    )  # fmt: skip
    assert (done.status, done.err) == (0, "")
    log, *names = done.out.split("\n" + str(files[0]))
    assert names
    assert "set_max_huge_pages" in log
    assert "alloc_buddy" not in log
    assert files[1].read_text().startswith("# tracer: function\n")
    assert all(file.stat().st_size for file in files)
    # Over what is of its own kind it is written again, over another's not.
    assert tlbsim("export", saved, "--perfetto", files[0]).status == 0
    refused = tlbsim("export", saved, "--perfetto", files[1])
    assert (refused.status, refused.out) == (2, "")
    assert "holds something else than a Perfetto trace" in refused.err


def test_what_cannot_be_shown_is_one_line(tlbsim, saved, tmp_path):
    for args, complaint in (
        (["--trace", "--window", "5"], "window: '5' is not a time"),
        (["--trace", "--window", "2ms:1ms"], "window: '2ms:1ms' is not"),
        (["--trace", "--cpu", "99"], "cpu: 99 is not 0 to"),
        (["--trace", "--cpu", "x"], "cpu: x is no number"),
        (["--histogram", "folio", "--by", "cpu"], "by CPU: flush, ack, handler"),
    ):
        done = tlbsim("export", saved, *args)
        assert (done.status, done.out) == (2, ""), args
        assert complaint in done.err
        assert done.err.count("\n") == 1
