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

from simulator.published.times import read_timings
from tests.counted import Case

PACKAGED = resources.files("simulator.published") / "kernel_counts.csv"


def test_every_count_of_the_two_real_kernels_is_met(tlbsim):
    done = tlbsim("validate", "--counts")
    assert (done.status, done.err) == (0, "")
    # 13 columns, nothing unmeasured.
    assert done.out.splitlines()[-1] == "96 rows, 1248 cells, 0 mismatches"
    # 48 fills, whose splits are where the pages lay.
    given = " ".join(done.out.splitlines()[-3:-1])
    assert given.startswith("Given: 48 cells, the pmd_splits of fills, ")
    assert given.endswith("Predicted: 1200 cells.")


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
    *_, header, mismatch, _, _, _, last = done.out.splitlines()
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
        "given": 4,
        "unplaced": 0,
        "unknown": 0,
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
    assert max(map(len, done.out.splitlines())) <= 72


def test_wrong_input_leaves_standard_output_empty(tlbsim, tmp_path):
    done = tlbsim("validate", "--counts", tmp_path / "absent.csv")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tlbsim: counts: ")
    done = tlbsim("validate", "--counts", "--machine", "laptop8")
    assert (done.status, done.out) == (2, "")
    assert "(did you mean 'laptop-8'?)" in done.err


# --- times --------------------------------------------------------------------------------

TIMES = """\
machine,kernel,hvo,phase,n_pages,page_kb,real_s,source
laptop-8,6.6,on,alloc,64,2048,0.01,mine
laptop-8,6.6,on,free,64,2048,0.02,mine
laptop-8,6.7,off,alloc,64,2048,0.03,mine
"""


@pytest.fixture
def times(tmp_path):
    """Return a file of three made-up times."""
    path = tmp_path / "times.csv"
    path.write_text(TIMES, encoding="utf-8")
    return path


def test_times_json_has_the_columns_of_the_file_and_what_was_simulated(tlbsim, times):
    done = tlbsim("validate", "--times", times, "--replications", "2", "--json")
    assert (done.status, done.err) == (0, "")
    assert [(c["phase"], c["real_s"], c["published_s"]) for c in done.json] == [
        ("alloc", 0.01, 0.01),
        ("free", 0.02, 0.02),
        ("alloc", 0.03, 0.03),
    ]
    columns = TIMES.splitlines()[0].split(",")
    for cell, line in zip(done.json, TIMES.splitlines()[1:], strict=True):
        assert list(cell)[: len(columns)] == columns
        assert [str(cell[name]) for name in columns] == line.split(",")
        assert cell["simulated_kernel"] == f"v{cell['kernel']}"
        assert cell["fitted"] is False
        assert cell["simulated_low_s"] <= cell["simulated_s"] <= cell["simulated_high_s"]
        assert cell["error"] == pytest.approx(cell["simulated_s"] / cell["published_s"] - 1)


def test_simulated_seconds_are_the_mean_over_replications(tlbsim, times):
    (_, free, _) = tlbsim("validate", "--times", times, "--replications", "2", "--json").json
    runs = [
        tlbsim(
            "run", "--machine", "laptop-8", "--kernel", "v6.6", "--pages", "64",
            "--replication", nth, "--json",
        ).json[1]["elapsed_s"]
        for nth in (0, 1)
    ]  # fmt: skip
    assert free["simulated_s"] == pytest.approx(sum(runs) / 2, rel=1e-9)


def test_one_replication_has_no_interval(tlbsim, times):
    argv = ("validate", "--times", times, "--replications", "1")
    assert {cell["simulated_low_s"] for cell in tlbsim(*argv, "--json").json} == {None}
    assert "Student" not in tlbsim(*argv).out


def test_times_are_printed_with_error_and_whether_they_were_fitted(tlbsim):
    done = tlbsim("validate", "--times", "--quick", "--replications", "2")
    assert (done.status, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 72
    lines = done.out.splitlines()
    cells = [line.split() for line in lines if line.endswith(("  fitted", "  predicted"))]
    assert len(cells) == 16
    assert [cell[0] for cell in cells] == ["alloc", "free"] * 8
    assert [cell[-1] for cell in cells] == (["fitted"] * 4 + ["predicted"] * 4) * 2
    # The published times of the unmodified kernel are met as well as one value for both allows.
    for cell in cells:
        if cell[-1] == "fitted":
            assert abs(float(cell[-2].removesuffix("%"))) < 10
    assert "Extrapolated: 16 of 16" in done.out
    for name in ("xeon-e7-8895-8s", "epyc-7j13-vm252"):
        assert f"In hindsight, {name}: " in done.out


def test_a_machine_of_ones_own_stands_for_the_one_of_the_file(tlbsim, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TIMES.replace("laptop-8", "my box"), encoding="utf-8")
    argv = ("validate", "--times", path, "--replications", "1", "--json")
    done = tlbsim(*argv, "--machine", "laptop-8")
    assert {cell["machine"] for cell in done.json} == {"my box"}
    assert {cell["simulated_machine"] for cell in done.json} == {"laptop-8"}
    refused = tlbsim(*argv)
    assert (refused.status, refused.out) == (2, "")
    assert "line 2: unknown machine 'my box'" in refused.err
    assert "--machine names a profile" in refused.err


def test_benchmarks_are_printed_as_a_table_and_as_objects(tlbsim):
    text = tlbsim("validate", "--benchmarks", "--quick").out
    assert max(map(len, text.splitlines())) <= 72
    found = tlbsim("validate", "--benchmarks", "--quick", "--json").json
    broadcast = next(c for c in found if c["number"] == "Broadcast IPI")
    # Linux commit 4180bf1b655a: 9282161150 ns for 100000 calls.
    assert (broadcast["published"], broadcast["unit"]) == (92_821.6115, "ns")
    assert broadcast["error"] == broadcast["simulated"] / broadcast["published"] - 1
    table = text.split("published  simulated")[1].splitlines()[1:]
    words = [line.split()[-1] for line in table if line.startswith("  ")]
    assert words == [c["role"] for c in found]
    # A Haswell's and a guest's system call, a Milan's loop, arm64 without HVO, boots with the
    # fewest tasks: inputs, without an error.
    given = [c for c in found if c["role"] == "given"]
    assert [(c["case"], c["published"]) for c in given] == [
        ("madvise 1 page", 663), ("madvise 1 page", 1112), ("mprotect 8 pages", 3635),
        ("tlb_flush2_threads", 315_000), ("tlb_flush2_threads", 304_000),
        ("alloc 1G", 3.526e9), ("demote 1G", 1.575e9),
        ("131072 pages of 2 MB", 3.58e8), ("25600 pages of 2 MB", 7.1e7),
        ("524288 pages of 2 MB", 1.943e9), ("1048576 pages of 2 MB", 9.79e8),
        ("1048576 pages of 2 MB, v3", 3.336e9),
    ]  # fmt: skip
    assert {(c["simulated"], c["error"]) for c in given} == {(None, None)}
    refused = tlbsim("validate", "--benchmarks", "--seed", "-1")
    assert (refused.status, refused.out) == (2, "")
    assert "seed: must be 0 to" in refused.err


COLUMNS = "machine,mechanism,what,number,value,unit,role"


def test_benchmarks_of_ones_own_are_in_the_columns_of_the_shipped_file(tlbsim, tmp_path):
    file = tmp_path / "mine.csv"
    rows = ("1,400,k loops/s,given", "2,500,k loops/s,")
    file.write_text("\n".join([COLUMNS, *(f"laptop-8,ipi,tlb_flush2,{row}" for row in rows)]))
    given, two = tlbsim("validate", "--benchmarks", file, "--quick", "--json").json
    assert (given["published"], given["simulated"]) == (400_000, None)
    assert (two["what"], two["number"], two["role"]) == ("tlb_flush2", "2", "predicted")
    # Two threads do less than twice the work of one, and are simulated within 20 calls or so.
    assert 400_000 < two["simulated"] < 800_000
    assert two["error"] == two["simulated"] / 500_000 - 1


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("laptop-8,ipi,tlb_flush3,1,4,k loops/s,", "what: 'tlb_flush3' is not known (did you"),
        ("laptop-8,rar,tlb_flush2,1,4,k loops/s,", "mechanism: 'rar' is not known"),
        ("laptop-9,ipi,tlb_flush2,1,4,k loops/s,given", "unknown machine 'laptop-9' (did you"),
        ("laptop-8,ipi,tlb_flush2,1,0,k loops/s,given", "value: '0' is not a number above 0"),
        ("laptop-8,ipi,tlb_flush2,1,400,ns,given", "unit: 'ns' is not known"),
        ("laptop-8,ipi,tlb_flush2,x,400,k loops/s,given", "number: 'x' is not a whole number"),
        ("laptop-8,invlpgb,tlb_flush2,1,400,k loops/s,given", "laptop-8 has no INVLPGB"),
        ("laptop-8,ipi,tlb_flush2,9,400,k loops/s,", "no row of 1 thread has the role given"),
        ("laptop-8,ipi,isolated_cpus,flush_all,27,calls,", "27 is no multiple of 26 (nearest: 26)"),
        ("laptop-8,ipi,tlb_flush2,1,9000,k loops/s,given", "is shorter than its flush"),
    ],
)
def test_a_benchmark_that_cannot_be_is_one_line_with_the_place(tlbsim, tmp_path, row, problem):
    file = tmp_path / "mine.csv"
    file.write_text(f"{COLUMNS}\n{row}\n")
    refused = tlbsim("validate", "--benchmarks", file, "--quick")
    assert (refused.status, refused.out, len(refused.err.splitlines())) == (2, "", 1)
    assert "line 2" in refused.err
    assert problem in refused.err


@pytest.mark.slow
def test_without_an_option_all_are_held_against_reality(tlbsim, monkeypatch, times):
    few = read_timings(times)
    monkeypatch.setattr("simulator.published.times.read_timings", lambda _: few)
    done = tlbsim("validate", "--replications", "1", "--json")
    assert done.status == 0
    assert done.json["counts"] == {
        "rows": 96, "cells": 1248, "given": 48, "unplaced": 0, "unknown": 0, "mismatches": [],
    }  # fmt: skip
    assert len(done.json["times"]) == 3
    assert {c["what"] for c in done.json["benchmarks"]} == {
        "ipi_benchmark", "madvise", "victim", "flush", "tlb_flush2", "isolated_cpus", "hvo_pause",
        "parallel_boot",
    }  # fmt: skip
    text = tlbsim("validate", "--replications", "1").out
    assert "\n96 rows, 1248 cells, 0 mismatches\n" in text
    assert "Published times and simulated ones" in text
    assert "Single flushes and interrupts, published and simulated" in text


def test_an_interrupt_leaves_what_was_finished(tlbsim, monkeypatch, times):
    from simulator.experiment import workers

    simulate, calls = workers.simulate, []

    def interrupted_in_the_second(scenario):
        calls.append(scenario)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return simulate(scenario)

    monkeypatch.setattr(workers, "simulate", interrupted_in_the_second)
    done = tlbsim("validate", "--times", times, "--json")
    assert done.status == 130
    assert done.err == "tlbsim: interrupted; the table covers the simulations that were finished\n"
    assert [cell["phase"] for cell in done.json] == ["alloc", "free"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--times", "no/such.csv"), "times: no/such.csv: no such file"),
        (("--times", "--replications", "0"), "replications: must be 1 to"),
        (("--times", "--jobs", "0"), "jobs: must be 1 to"),
        (("--times", "--times-of", "epyc"), "times-of: no row is of 'epyc'"),
        (("--times", "--machine", "laptop-8"), "times: no row is of 'laptop-8'"),
        (("--seed", "-1"), ": seed: must be 0 to"),
        (("--times", "--seed", "-1"), ": seed: must be 0 to"),
        (
            ("--benchmarks", "--machine", "laptop-8"),
            "machine: not used by --benchmarks, only by --",
        ),
        (("--benchmarks", "--times-of", "foo"), "times-of: not used by --benchmarks, only by --"),
        (("--counts", "--quick"), "quick: not used by --counts, only by --times or --benchm"),
        (("--counts", "--replications", "0"), "replications: not used by --counts, only by --"),
        (("--counts", "--seed", "1"), "seed: not used by --counts, only by --"),
        (
            ("--counts", "--benchmarks", "--jobs", "2"),
            "jobs: not used by --counts and --benchmarks, only by --times",
        ),
        (("--time",), "unknown option '--time' (did you mean '--times'?)"),
    ],
)
def test_wrong_options_are_one_line(tlbsim, argv, message):
    done = tlbsim("validate", *argv)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
