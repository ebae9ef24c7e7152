# SPDX-License-Identifier: MIT
"""
``tlbsim calibrate --times``
----------------------------
"""

from __future__ import annotations

import shlex

import pytest

from simulator import measure
from simulator.calibration import cells, extrapolation
from simulator.cli import calibrate
from simulator.machine import load_machine
from simulator.measure import Finding, Gap, Here, Median, read_host

HEADER = "machine,kernel,hvo,phase,n_pages,page_kb,real_s"
ROWS = (
    "box,v6.6,off,alloc,4096,2048,0.0175",
    "box,v6.6,off,alloc,4096,2048,0.0177",
    "box,v6.6,off,free,4096,2048,0.0250",
    "box,v6.6,off,free,4096,2048,0.0251",
    "box,v6.7,off,free,4096,2048,0.0252",
)


@pytest.fixture
def times(tmp_path):
    file = tmp_path / "times.csv"
    file.write_text("\n".join((HEADER, *ROWS)) + "\n")
    return file


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch):
    monkeypatch.setattr(extrapolation, "_FOLIOS", {"2M": 256, "1G": 8})
    monkeypatch.setattr(cells, "_MOST_REPLICATIONS", 1)


def test_the_report_shows_every_timing_and_the_profile_runs(tlbsim, times, tmp_path):
    out = tmp_path / "mine.toml"
    done = tlbsim("calibrate", "--machine", "laptop-8", "--times", times, "--out", out)
    assert (done.status, done.err) == (0, "")
    assert "Calibration of laptop-8 (simulated)" in done.out
    assert "times      5 of box: 4 fitted, 1 predicted" in done.out
    *text, written = done.out.splitlines()
    assert written == f"written    {out}"
    assert all(len(line) <= 72 and line.isascii() for line in text)
    for name in ("huge_alloc_2m", "huge_free_2m"):
        # A range that ends above 1 us, and values below and above it: to be compared at a glance.
        (row,) = (line for line in done.out.splitlines() if line.startswith(f"{name} "))
        assert row.split()[2::2] == ["us"] * 4
    lines = [line for line in done.out.splitlines() if line.startswith("v6.")]
    assert [line.split()[-1] for line in lines] == ["fitted"] * 4 + ["predicted"]
    described = tlbsim("machines", out)
    assert described.status == 0
    assert "huge_alloc_2m: " in described.out
    flat = " ".join(described.out.split())
    assert "from box, 4096 pages of 2M, v6.6, HVO off, alloc: 0.0175 s" in flat
    assert tlbsim("run", "--machine", out, "--pages", "2").status == 0


def test_json_has_the_columns_of_the_file_and_what_was_simulated(tlbsim, times):
    done = tlbsim("calibrate", "--machine", "laptop-8", "--times", times, "--json")
    found = done.json
    assert [cell["real_s"] for cell in found["cells"]] == [0.0175, 0.0177, 0.025, 0.0251, 0.0252]
    first = found["cells"][0]
    assert set(HEADER.split(",")) <= set(first)
    assert (first["simulated_kernel"], first["fitted"]) == ("v6.6", True)
    assert first["error"] == pytest.approx(first["simulated_s"] / 0.0175 - 1, rel=1e-6)
    (step,) = found["steps"]
    assert step["fit"] == "huge_alloc_2m,huge_free_2m@off"
    assert (step["rank"], step["degrees_of_freedom"]) == (2, 2)
    alloc, free = step["parameters"]
    # One cost for two timings is met in the middle.
    assert 0.0175 < first["simulated_s"] < 0.0177
    for p in (alloc, free):
        assert p["interval"][0] < p["value"] < p["interval"][1]


def test_one_timing_for_each_value_leaves_no_interval(tlbsim, times):
    times.write_text("\n".join((HEADER, ROWS[0], ROWS[2])) + "\n")
    done = tlbsim("calibrate", "--machine", "laptop-8", "--times", times)
    assert "huge_alloc_2m: no interval: as many parameters as timings" in done.out
    assert "0 left over to judge by" in done.out
    assert "measure each several times" in " ".join(done.out.split())


@pytest.mark.slow
def test_the_profile_can_be_started_from_again(tlbsim, times, tmp_path):
    first, second = tmp_path / "first.toml", tmp_path / "below" / "second.toml"
    second.parent.mkdir()
    assert not tlbsim("calibrate", "--machine", "laptop-8", "--times", times, "--out", first).err
    argv = ("--machine", first, "--times", times, "--fit", "pool_add@alloc", "--out", second)
    assert not tlbsim("calibrate", *argv).err
    assert load_machine(second).inherits == "../first.toml"


@pytest.mark.slow
def test_times_of_the_machine_that_a_profile_was_fitted_to_are_its_own(tlbsim, times, tmp_path):
    out = tmp_path / "mine.toml"
    times.write_text(times.read_text() + "rack,v6.6,off,free,4096,2048,0.0252\n")
    argv = ("--machine", "laptop-8", "--times", times, "--times-of", "box", "--out", out)
    assert not tlbsim("calibrate", *argv).err
    again = tlbsim("validate", "--times", times, "--machine", out, "--quick", "--json")
    assert [cell["machine"] for cell in again.json] == ["box"] * 5
    assert [cell["fitted"] for cell in again.json] == [True] * 4 + [False]


WRONG = [
    ((), "the following arguments are required: --machine"),
    (("--machine", "laptop"), "unknown machine 'laptop' (did you mean 'laptop-8'?)"),
    (("--times", "nowhere.csv"), "times: nowhere.csv: no such file"),
    (("--fit", "injct"), "fit: laptop-8 has no cost 'injct' (did you mean 'inject'?)"),
    (("--fit", "foo"), "fit: laptop-8 has no cost 'foo'; known: flush_base, "),
    (("--out", "typo/x.toml"), "out: typo/x.toml cannot be written: there is no folder typo"),
    (("--fit", "inject"), "fit: inject: the machine leaves costs.inject no range to vary in"),
    (("--fit", "send@1G"), "fit: send@1G: none of the timings to fit meets that"),
    (("--fit-on", "v6.8"), "fit-on: no timing is of 'v6.8', only of v6.6, v6.7"),
    (("--noise", "quite"), "noise: unknown preset 'quite' (did you mean 'quiet'?)"),
    (("--seed", "x"), "seed: must be a whole number, not 'x'"),
    (("--out", "profile"), "out: profile must end in .toml"),
    (("--out", "/proc/tlbsim.toml"), "out: /proc/tlbsim.toml cannot be written"),
    (("--outt", "x"), "unknown option '--outt' (did you mean '--out'?)"),
]


@pytest.mark.parametrize(("argv", "message"), WRONG, ids=str)
def test_wrong_input_is_one_line_and_status_2(tlbsim, times, argv, message, monkeypatch):
    def simulate(*_args, **_options):
        raise AssertionError("wrong input was simulated")

    monkeypatch.setattr(cells, "simulate_totals", simulate)
    given = dict(zip(argv[::2], argv[1::2], strict=True))
    whole = {"--machine": "laptop-8", "--times": times} | given if given else {}
    done = tlbsim("calibrate", *(word for pair in whole.items() for word in pair))
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tlbsim: ")
    assert done.err.count("\n") == 1
    assert message in done.err


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("box,v6.66,off,alloc,4096,2048,1", "times.csv, line 2: kernel: there is no 'v6.66' (did"),
        ("box,next-2023082,off,alloc,4096,2048,1", "(did you mean 'next-20230824'?)"),
        ("box,whatever,off,alloc,4096,2048,1", "no 'whatever'; known: v5.14, v6.1, v6.6, "),
        (
            "box,v6.7,off,alloc,4096,2048,1",
            "times: no row is of an unmodified kernel, only of v6.7",
        ),
        ("box,v6.6,off,alloc,40960,2048,1", "times.csv, line 2: pages: 40960 pages of 2M"),
        ("box,v6.6,off,alloc,40960,2048,1", "do not fit the memory of laptop-8; 16384 fit"),
        ("box,v6.6,off,alloc,100000000,2048,1", "times.csv, line 2: pages: must be 1 to 16777216"),
        ("laptpo-8,v6.6,off,alloc,4096,2048,1", "(did you mean 'laptop-8'?)"),
        ("box,v6.6,off,alloc,40960,2048,1 s", "line 2: real_s: '1 s' is not a number of seconds"),
    ],
)
def test_wrong_timings_are_one_line_and_status_2(tlbsim, tmp_path, row, message):
    (tmp_path / "times.csv").write_text(f"{HEADER}\n{row}\n")
    out = tmp_path / "mine.toml"
    argv = ("--machine", "laptop-8", "--times", tmp_path / "times.csv", "--out", out)
    done = tlbsim("calibrate", *argv)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert not out.exists()


@pytest.mark.slow
def test_the_example_in_the_help_works_when_pasted(tlbsim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (line,) = [s for s in tlbsim("calibrate", "--help").out.splitlines() if "  tlbsim " in s]
    assert line.strip() == calibrate.EXAMPLE
    done = tlbsim(*shlex.split(line)[1:])
    assert (done.status, done.err) == (0, "")
    machine = load_machine(tmp_path / "fitted.toml")
    assert machine.costs.inject.kind == "derived"
    assert [fit.patched for fit in machine.calibration] == [False, False]


def test_a_profile_does_not_replace_the_one_it_inherits_from(tlbsim, times, tmp_path):
    start = tmp_path / "start.toml"
    start.write_text('inherits = "laptop-8"\n')
    done = tlbsim("calibrate", "--machine", start, "--times", times, "--out", start)
    assert (done.status, done.out) == (2, "")
    assert "is what --machine reads; name another file" in done.err
    assert start.read_text() == 'inherits = "laptop-8"\n'
    child = tmp_path / "child.toml"
    child.write_text('inherits = "start.toml"\n')
    done = tlbsim("calibrate", "--machine", child, "--times", times, "--out", start)
    assert (done.status, done.out) == (2, "")
    assert "is what --machine reads; name another file" in done.err
    done = tlbsim("calibrate", "--machine", child, "--times", times, "--out", times)
    assert (done.status, done.out) == (2, "")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--machine", "laptop-8"), "here: measures, and fits nothing: leave out --machine"),
        (("--fit-on", "v6.7"), "leave out --fit-on"),
        (("--out", "profile"), "out: profile must end in .toml"),
    ],
)
def test_measuring_takes_nothing_to_fit(tlbsim, argv, message):
    done = tlbsim("calibrate", "--here", *argv)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err


def test_what_was_measured_is_reported_and_written(tlbsim, tmp_path, monkeypatch):
    # As found on a machine with two CPUs, worked out in tests/measure.
    found = Here(
        read_host(),
        0,
        (1,),
        [
            Finding("invlpg", "invalidation of one page", Median(50.0, 49.0, 52.0, 9)),
            Finding("call", "getppid()", Median(300.0, None, None, 3)),
        ],
        [Gap("shootdowns", "no interrupts seen")],
    )
    monkeypatch.setattr(measure, "measure_here", lambda: found)
    out = tmp_path / "here.toml"
    done = tlbsim("calibrate", "--here", "--out", out)
    assert done.status == 0
    *text, written = done.out.splitlines()
    assert written == f"written    {out}"
    assert all(len(line) <= 72 and line.isascii() for line in text)
    assert "This machine (measured, nothing simulated)" in text
    rows = [line.split() for line in text]
    assert ["invalidation", "of", "one", "page", "50", "ns", "49..52", "ns"] in rows
    assert ["getppid()", "300", "ns", "-"] in rows
    assert ["invlpg", "50", "ns"] in rows
    assert "  shootdowns: no interrupts seen" in text
    assert load_machine(out).costs.invlpg.kind == "measured"
    found_json = tlbsim("calibrate", "--here", "--json").json
    assert found_json["costs_ns"] == {"invlpg": 50.0}
    assert found_json["gaps"] == [{"what": "shootdowns", "why": "no interrupts seen"}]


def test_a_cost_at_the_end_of_its_range_is_not_counted_as_decided(tlbsim, tmp_path):
    # A time that no cost of the laptop explains: 0.1 s for 1024 pages.
    (tmp_path / "times.csv").write_text(f"{HEADER}\nbox,v6.6,off,alloc,1024,2048,0.1\n")
    argv = ("calibrate", "--machine", "laptop-8", "--times", tmp_path / "times.csv")
    text = tlbsim(*argv, "--fit", "huge_alloc_2m").out
    assert "at the high end of its range" in text
    assert "The timings decide 0 of 1 " in text
    assert "1 left over to judge by" in " ".join(text.split())
