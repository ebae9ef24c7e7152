# SPDX-License-Identifier: MIT
"""
The model held against reality, from the command line
-----------------------------------------------------

Oracles: the packaged counts and published times; the formulas of
:mod:`tests.counted`.
"""

from __future__ import annotations

from importlib import resources

import pytest

from tests.counted import Case

PACKAGED = resources.files("simulator.analysis") / "kernel_counts.csv"


def test_every_count_of_the_two_real_kernels_is_met(tlbsim):
    done = tlbsim("validate", "--counts")
    assert (done.status, done.err) == (0, "")
    # 13 columns, nothing unmeasured.
    assert done.out.splitlines()[-1] == "96 rows, 1248 cells, 0 mismatches"


@pytest.fixture
def wrong(tmp_path):
    """Return a file in which one of the packaged counts is one too many."""
    lines = PACKAGED.read_text(encoding="utf-8").splitlines()[:9]
    assert lines[6].endswith(",79,0,0,448,0,0")
    lines[6] = lines[6].replace(",79,0,0,448,0,0", ",80,0,0,448,0,0")
    path = tmp_path / "wrong.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_mismatch_is_printed_with_its_line_and_fails(tlbsim, wrong):
    done = tlbsim("validate", "--counts", wrong)
    assert (done.status, done.err) == (1, "")
    *_, header, mismatch, _, last = done.out.splitlines()
    assert header.split() == ["line", "kernel", "phase", "column", "expected", "got"]
    assert mismatch.split() == ["7", "v6.1", "free", "on_each_cpu_calls", "80", "79"]
    assert last == "8 rows, 104 cells, 1 mismatches"
    assert max(map(len, done.out.splitlines())) <= 72


def test_json_has_the_mismatches(tlbsim, wrong):
    done = tlbsim("validate", "--counts", wrong, "--json")
    assert done.status == 1
    assert done.json == {
        "rows": 8,
        "cells": 104,
        "mismatches": [
            {
                "line": 7,
                "kernel": "v6.1",
                "phase": "free",
                "column": "on_each_cpu_calls",
                "expected": 80,
                "got": 79,
            }
        ],
    }


def test_the_widest_mismatch_fits_a_mail(tlbsim, tmp_path):
    row = Case("6.12", 64, 9999, (200, 0), mode="surp").rows()[0]
    row["do_kernel_range_flush_exec_total"] += 10**9
    path = tmp_path / "wide.csv"
    path.write_text("\n".join([",".join(row), ",".join(map(str, row.values()))]))
    done = tlbsim("validate", "--counts", path, "--machine", "epyc-7j13-vm252")
    assert done.status == 1
    assert max(map(len, done.out.splitlines())) <= 78


def test_wrong_input_leaves_standard_output_empty(tlbsim, tmp_path):
    done = tlbsim("validate", "--counts", tmp_path / "absent.csv")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tlbsim: counts: cannot read ")
    done = tlbsim("validate", "--counts", "--machine", "laptop8")
    assert (done.status, done.out) == (2, "")
    assert "(did you mean 'laptop-8'?)" in done.err
