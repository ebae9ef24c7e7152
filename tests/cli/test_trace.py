# SPDX-License-Identifier: MIT
"""``tlbsim trace``: what it prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[1] / "data" / "ftrace"


def test_json_has_what_a_program_asks_for(tlbsim):
    done = tlbsim("trace", DATA / "trace-7.3-4cpu-alloc64-overwrite.txt.gz", "--json")
    assert done.status == 0
    found = done.json
    assert found["flushes"] == {"flush_tlb_all": 2}
    assert found["events"]["csd_queue_cpu"] == 50
    assert (found["lost"], found["overwritten"], found["bad_lines"]) == (0, 107, 0)
    assert found["complete"] is False


def test_report_fits_a_mail(tlbsim):
    for path in sorted(DATA.glob("trace-7.3-*-[ac-z]*.gz")):
        done = tlbsim("trace", path)
        assert done.status == 0
        assert done.out.isascii()
        assert max(map(len, done.out.splitlines()), default=0) <= max(72, len(str(path)) + 7), path


def test_what_is_no_trace_is_one_line_and_status_2(tlbsim, tmp_path):
    (tmp_path / "log").write_text("hello\n")
    for argv in ((tmp_path / "log",), (tmp_path,), (tmp_path / "none",), ("x", "--tsc-hz", "fast")):
        done = tlbsim("trace", *argv)
        assert (done.status, done.out) == (2, "")
        assert len(done.err.splitlines()) == 1
