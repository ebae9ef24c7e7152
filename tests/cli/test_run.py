# SPDX-License-Identifier: MIT
"""
tlbsim run: outputs, options given twice, errors in kernel code, where it is heard
----------------------------------------------------------------------------------

Oracle: the exit status, what is printed where, and the files before and after.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

import simulator as sim
from simulator import bars
from simulator import run as run_module
from simulator.cli import output

SMALL = ("run", "--machine", "laptop-8", "--pages", "2", "--cpus", "2")
TLBSIM = (sys.executable, "-m", "simulator")


@pytest.fixture
def unsimulated(monkeypatch):
    """Whatever is simulated is an error."""

    def simulate(*_args, **_options):
        raise AssertionError("was simulated")

    monkeypatch.setattr(run_module, "simulate", simulate)


def one_line(done, message):
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tlbsim: ")
    assert done.err.count("\n") == 1
    assert message in done.err


@pytest.mark.parametrize(
    "twice",
    [
        ("--machine", "laptop-8"), ("--kernel", "v6.7"), ("--pages", "2"), ("--page-size", "2M"),
        ("--hvo", "on"), ("--path", "pool"), ("--allocators", "1"), ("--cpus", "all"),
        ("--placement", "aligned"), ("--free-pages", "9"), ("--noise", "quiet"), ("--seed", "1"),
        ("--phases", "alloc"), ("--replication", "0"), ("--engine", "auto"), ("--out", "x"),
        ("--ipis", "x"),
    ],
    ids=lambda option: option[0],
)  # fmt: skip
def test_an_option_of_run_twice_is_an_error(tlbsim, unsimulated, twice):
    one_line(tlbsim("run", *twice, *twice), f"{twice[0]} is there twice; give it once")


def test_what_kernel_code_prints_is_no_part_of_the_json(tlbsim, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from simulator.kernel.versions.v6_7 import V6_7\nprint('loaded')\n\n"
        "class Mine(V6_7):\n    name = 'mine'\n\n"
        "    def split_folios(k, h, folio_list):\n        print('called')\n",
        encoding="utf-8",
    )
    done = tlbsim(*SMALL, "--kernel", str(path), "--engine", "events", "--json")
    assert json.loads(done.out)
    assert {"loaded", "called"} <= set(done.err.split())


def test_a_closed_standard_error_takes_nothing_from_the_report(tlbsim, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    done = tlbsim(*SMALL, "--engine", "events", "--json")
    assert done.status == 0
    assert json.loads(done.out)


def test_a_key_that_is_set_twice_is_not_dropped(tlbsim):
    twice = ("--set", "costs.inject=1", "--set", "costs.inject=2")
    one_line(tlbsim(*SMALL, *twice), "set: 'costs.inject' is there twice")


def test_an_input_is_not_replaced_by_the_ipis(tlbsim, unsimulated, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('inherits = "laptop-8"\n')
    done = tlbsim("run", "--machine", mine, "--pages", "2", "--ipis", mine)
    one_line(done, f"ipis: {mine} is what --machine reads")
    assert mine.read_text() == 'inherits = "laptop-8"\n'


@pytest.mark.parametrize(("out", "ipis"), [("d", "d"), ("d", "./d"), ("d/e", "d")])
def test_a_folder_and_a_file_of_one_name_are_refused(tlbsim, unsimulated, tmp_path, out, ipis):
    done = tlbsim(*SMALL, "--out", tmp_path / out, "--ipis", f"{tmp_path}/{ipis}")
    one_line(done, "is where --out makes a folder")
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_by_any_name_takes_the_result_and_ipis_beside_it(
    tlbsim, tmp_path, monkeypatch
):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    monkeypatch.chdir(tmp_path / "there")
    assert tlbsim(*SMALL, "--out", "../link", "--ipis", "mine.parquet").err == ""
    assert (tmp_path / "link").is_symlink()
    assert sim.load_result(tmp_path / "there").summary["pages"].tolist() == [2, 2]
    assert (tmp_path / "there" / "mine.parquet").read_bytes().startswith(b"PAR1")


def test_a_disk_that_is_full_in_the_end_loses_neither_the_report_nor_the_result(tmp_path):
    # A file may have 150 KB here: those of the result have less, the IPIs of 64 CPUs more.
    argv = ["run", "--machine", "xeon-e7-8895-8s", "--cpus", "64", "--pages", "64", "--json"]
    done = subprocess.run(
        [*TLBSIM, *argv, "--out", "r", "--ipis", "ipis.parquet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("tlbsim: ipis: ipis.parquet cannot be written: ")
    assert done.stderr.count("\n") == 1
    assert '"elapsed_ns"' in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["r"]
    assert sim.load_result(tmp_path / "r").summary["pages"].tolist() == [64, 64]


def test_an_interrupt_while_saving_loses_no_report(tlbsim, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("simulator.trace.result.Result.save", interrupted)
    done = tlbsim(*SMALL, "--out", tmp_path / "r")
    assert (done.status, done.err) == (130, "tlbsim: interrupted; not everything was saved\n")
    assert "simulated" in done.out


# --- kernel code --------------------------------------------------------------------------

FAILING = """\
from simulator.kernel.versions.v6_7 import V6_7


class Mine(V6_7):
    name = "mine"

    def folio_set_hugetlb_vmemmap_optimized(k, folio):
        {}
"""


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[].x", "AttributeError: 'list' object has no attribute 'x'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_an_error_in_kernel_code_is_its_line_and_status_1(tlbsim, tmp_path, line, what):
    path = tmp_path / "mine.py"
    path.write_text(FAILING.format(line))
    done = tlbsim(*SMALL, "--kernel", path)
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"tlbsim: kernel: {path}, line 8, in folio_set_hugetlb_vmemmap_optimized(): {what}\n"
        f"    {line}\n"
    )
    full = tlbsim(*SMALL, "--kernel", path, "--traceback").err
    assert full.startswith("Traceback")
    assert full.endswith(done.err)


def test_what_a_kernel_may_not_do_is_told_with_the_users_line_first(tlbsim, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FAILING.format("k.page_table_lock.unlock()"))
    done = tlbsim(*SMALL, "--kernel", path)
    assert (done.status, done.out) == (1, "")
    first, source, *_ = done.err.splitlines()
    assert first.startswith(f"tlbsim: kernel: {path}, line 8, in folio_set_")
    assert "page_table_lock: " in first
    assert source.strip() == "k.page_table_lock.unlock()"
    path.write_text(FAILING.format("k.page_table_lock.lock()"))
    done = tlbsim(*SMALL, "--kernel", path)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("tlbsim: kernel: ")
    assert "page_table_lock" in done.err
    assert "Traceback" not in done.err


def test_a_generator_of_old_is_refused_when_it_is_loaded(tlbsim, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FAILING.format("yield from ()"))
    one_line(tlbsim(*SMALL, "--kernel", path), 'plain functions now; delete "yield from"')


@pytest.mark.parametrize("engine", ["auto", "events"])
def test_more_than_six_days_are_one_line(tlbsim, tmp_path, engine):
    path = tmp_path / "mine.py"
    path.write_text(
        FAILING.format("super().folio_set_hugetlb_vmemmap_optimized(folio)")
        + f"\n    def draw(k, name, folio):\n        return {7 * 86_400 * 10**9}\n"
    )
    one_line(tlbsim(*SMALL, "--kernel", path, "--engine", engine), "time: more than 6 days")


# --- where it is heard --------------------------------------------------------------------


def test_tlbsim_alone_says_where_to_start(tlbsim):
    done = tlbsim()
    assert (done.status, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 72
    commands = [s.split()[1:] for s in done.out.splitlines() if s.startswith("  tlbsim ")]
    (small,) = (c for c in commands if c[0] == "run")
    assert tlbsim(*small).status == 0


def test_a_closed_standard_output_is_one_line_before_the_run(tmp_path):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m simulator {' '.join(SMALL)} --out r >&-"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "tlbsim: standard output: is closed\n")
    assert not list(tmp_path.iterdir())


def test_a_long_run_shows_on_a_terminal_how_many_folios_are_done(tlbsim, monkeypatch):
    assert tlbsim(*SMALL).err == ""
    seen = []

    class Bar:
        n = 0

        def update(self, done):
            self.n += done
            seen.append(self.n)

        def close(self):
            seen.append("closed")

    monkeypatch.setattr(output, "progress_bar", lambda total, what: totals.append(total) or Bar())
    monkeypatch.setattr(bars, "_SECONDS", 0.001)
    totals = []
    assert tlbsim(*SMALL[:-4], "--pages", "300").status == 0
    assert totals == [600]
    *counts, closed = seen
    assert closed == "closed"
    assert counts == sorted(counts)
    assert 0 < counts[-1] <= 600
