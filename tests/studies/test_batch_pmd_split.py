# SPDX-License-Identifier: MIT
"""
scenarios/batch_pmd_split.py as a user runs it
----------------------------------------------

What it prints has to agree with the formulas for the number of flushes.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from simulator.cli.process import exit_status
from simulator.experiment import simulate_totals
from simulator.machine import load_machine
from simulator.published import read_timings
from simulator.studies.batch_pmd_split import BatchPmdSplit, BatchPmdSplitFindings
from tests.studies.scripts import run_process, run_script

MACHINES = ("epyc-7j13-vm252", "xeon-e7-8895-8s")
KERNELS = ("v6.6", "v6.6+5", "v6.6+6", "v6.6+7", "v6.6+8")
QUICK_PAGES = 32
FOLIOS_PER_PMD = 64
PLOTS = {
    "elapsed",
    "where-time-goes",
    "latency",
    "throughput",
    "cpus",
    "flush-per-folio",
    "flush-batched",
    "flush-few-cpus",
}


def nr_pmds(pages, nr_nodes):
    """PMDs of aligned pages: per node, as many as hold its share of the round robin."""
    shares = [pages // nr_nodes + (node < pages % nr_nodes) for node in range(nr_nodes)]
    return sum(-(-share // FOLIOS_PER_PMD) for share in shares)


def flushes_of(kernel, phase, hvo, pages, pmds):
    """How often a kernel flushes, by what it flushes for."""
    step = KERNELS.index(kernel)
    if phase == "free":
        return 0 if not hvo else 1 if step >= 4 else pages
    # The batched flushes do not ask whether HVO is on.
    splits = 1 if step >= 2 else pmds * hvo
    remaps = 1 if step >= 3 else pages * hvo
    return splits + remaps


def rows_of(text):
    """Yield (phase, hvo, cells) for each row of the table of times of one machine."""
    group = None
    for line in text.split("\n\nWhat the others pay")[0].splitlines():
        heading = re.fullmatch(r"(alloc|free), HVO (off|on)", line)
        if heading:
            group = heading[1], heading[2] == "on"
        elif group:
            yield *group, line.split()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick")
    done = run_process("batch_pmd_split", "--quick", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_report_fits_a_mail_and_nothing_else_is_said(quick):
    _, done = quick
    assert done.stderr == ""
    assert done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) <= 72
    assert "command    python scenarios/batch_pmd_split.py --quick\n" in done.stdout


@pytest.mark.parametrize("name", MACHINES)
def test_flushes_and_ipis_are_those_of_the_formulas(quick, name):
    machine = load_machine(name)
    pmds = nr_pmds(QUICK_PAGES, machine.nr_nodes)
    block = quick[1].stdout.split(f"({name})")[1].split("\n\n\n")[0]
    seen = {}
    for phase, hvo, cells in rows_of(block):
        # kernel, elapsed and its unit, speed-up, flushes, IPIs
        flushes, ipis = (int(cell.replace(",", "")) for cell in cells[4:6])
        seen[phase, hvo, cells[0]] = flushes, ipis
    want = {}
    for phase in ("alloc", "free"):
        for hvo in (False, True):
            for kernel in KERNELS:
                flushes = flushes_of(kernel, phase, hvo, QUICK_PAGES, pmds)
                want[phase, hvo, kernel] = flushes, flushes * (machine.nr_cpus - 1)
    assert seen == want


def test_the_report_is_also_a_file(quick):
    folder, done = quick
    assert (folder / "out" / "report.txt").read_text(encoding="utf-8") == done.stdout


def test_every_plot_is_an_image_with_something_on_it(quick):
    folder, _ = quick
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {f"{m}-{p}.png" for m in MACHINES for p in PLOTS} | {"report.txt"}
    for path in (folder / "out").glob("*.png"):
        pixels = imread(path)
        assert min(pixels.shape[:2]) > 200
        assert len(np.unique(pixels[:, :, 0])) > 10, path.name


@pytest.fixture
def no_plots(tmp_path, monkeypatch):
    """Draw nothing, in a folder of its own."""
    monkeypatch.setattr(BatchPmdSplitFindings, "figures", lambda _: iter(()))
    monkeypatch.chdir(tmp_path)


def test_the_default_sizes_are_the_published_ones():
    asked = {(s.machine, s.pages) for s in BatchPmdSplit().compared}
    assert asked == {("epyc-7j13-vm252", 524288), ("xeon-e7-8895-8s", 500000)}
    other = {s.pages for s in BatchPmdSplit(pages=77).compared}
    assert other == {77}
    assert {s.pages for s in BatchPmdSplit().swept} == {256}
    assert {s.pages for s in BatchPmdSplit(machine=("laptop-8",)).compared} == {256}


def test_the_error_is_the_distance_from_the_published_time(no_plots, monkeypatch):
    def small_times():
        return [
            replace(t, machine="laptop-8", pages=8, elapsed_ns=1_000_000 + 1000 * i)
            for i, t in enumerate(read_timings())
            if t.machine == "epyc-7j13-vm252"
        ]

    monkeypatch.setattr(BatchPmdSplit, "published", small_times())
    status, text = run_script(BatchPmdSplit, "--machine=laptop-8")
    assert status == 0
    assert "; 8 CPUs; " in text
    assert "8 huge pages" in text
    times = {(t.phase, t.hvo, t.kernel): t for t in small_times()}
    shown = 0
    for phase, hvo, cells in rows_of(text):
        if (phase, hvo, cells[0]) not in times:
            assert cells[3].endswith("x")
            continue
        time = times[phase, hvo, cells[0]]
        value, unit, published, published_unit, error = cells[1:6]
        assert (published, published_unit) == (f"{time.elapsed_ns / 1e6:.3f}", "ms")
        # In brackets is what a profile was fitted to, and that of laptop-8 was to nothing.
        assert "(" not in error
        elapsed_ns = float(value) * {"us": 10**3, "ms": 10**6}[unit]
        # Of the simulated time, four digits are shown; of the error, one after the point.
        want = 100 * (elapsed_ns / time.elapsed_ns - 1)
        assert float(error.strip("%")) == pytest.approx(want, abs=0.05 + 0.1)
        shown += 1
    assert shown == len(times) == 8


@pytest.mark.slow
def test_processes_beside_each_other_give_the_same_report(tmp_path):
    texts = []
    for jobs in (1, 2):
        done = run_process(
            "batch_pmd_split", "--machine=laptop-8", "--pages=8", f"--jobs={jobs}", cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, "")
        texts.append(done.stdout.replace(f"--jobs={jobs}", ""))
    assert texts[0] == texts[1]


def test_same_seed_same_report_other_seed_other_times(no_plots):
    def times(seed):
        status, text = run_script(
            BatchPmdSplit, "--machine=laptop-8", "--pages=8", f"--seed={seed}"
        )
        assert status == 0
        return list(rows_of(text))

    assert times(2) == times(2) != times(1)


def test_an_interrupt_loses_nothing_that_was_finished(no_plots, monkeypatch, capsys):
    def interrupted(*args):
        # As they come when one ends before another.
        yield from reversed(list(itertools.islice(simulate_totals(*args), 7)))
        raise KeyboardInterrupt

    monkeypatch.setattr("simulator.experiment.simulate_totals", interrupted)
    status, text = run_script(BatchPmdSplit, "--machine=laptop-8", "--pages=8")
    assert status == 130
    assert capsys.readouterr().err == "tlbsim: interrupted; what was finished is reported\n"
    # HVO off comes first: five kernels, then two with it on.
    allocs = [(hvo, cells[0]) for phase, hvo, cells in rows_of(text) if phase == "alloc"]
    assert allocs == [(False, k) for k in KERNELS] + [(True, k) for k in KERNELS[:2]]
    assert Path("out/report.txt").read_text() == text


def test_an_interrupt_before_anything_is_finished_leaves_nothing(no_plots, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("simulator.experiment.simulate_totals", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_script(BatchPmdSplit, "--machine=laptop-8")
    assert not list(Path().iterdir())


@pytest.mark.parametrize("argv", [("--cpus=1", "--pages=4"), ("--cpus=2", "--pages=1")])
def test_the_smallest_requests_are_reported_and_drawn(tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    argv = ("--machine=laptop-8", *argv, "--out=a/b")
    status, _ = run_script(BatchPmdSplit, *argv)
    assert status == 0
    assert (tmp_path / "a" / "b" / "laptop-8-elapsed.png").stat().st_size > 0


@pytest.mark.slow
def test_the_help_has_an_example_that_works(tmp_path):
    text = run_process("batch_pmd_split", "--help", cwd=tmp_path).stdout.replace("\\\n", "")
    *_, example = re.findall(r"^ +python scenarios/batch_pmd_split\.py (.*)$", text, re.MULTILINE)
    argv = example.split()
    argv[argv.index("--out") + 1] = str(tmp_path / "example")
    assert run_process("batch_pmd_split", *argv, cwd=tmp_path).returncode == 0
    assert (tmp_path / "example" / "report.txt").exists()


WRONG = [
    (("--machine", "epyc"), "unknown machine 'epyc'"),
    (("--pages", "0"), "pages: must be 1 to"),
    (("--pages", "many"), "pages: must be a whole number, not 'many'"),
    (("--cpus", "253"), "cpus: 253 is more than the 252 CPUs of epyc-7j13-vm252"),
    (("--cpus", "0"), "cpus: must be"),
    (("--seed", "-1"), "seed: must be 0 to"),
    (("--jobs", "0"), "jobs: must be 1 to"),
    (("--jobs", "all"), "jobs: must be a whole number, not 'all'"),
    (("--page", "3"), "unknown option '--page' (did you mean '--pages'?)"),
    (("64",), "unexpected argument '64'"),
    (("--out", "file"), "out: file cannot be written"),
    (("--out", "file/below"), "out: file/below cannot be written"),
    (("--out", "/proc/tlbsim"), "out: /proc/tlbsim cannot be written"),
]


@pytest.mark.parametrize(
    ("argv", "message"),
    WRONG,
    ids=lambda value: "_".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, argv, message):
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert exit_status(lambda: run_script(BatchPmdSplit, *argv)) == 2
    done = capsys.readouterr()
    assert (done.out, done.err.count("\n")) == ("", 1)
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_wrong_input_of_a_process_is_status_2(tmp_path):
    done = run_process("batch_pmd_split", "--pages=0", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert not list(tmp_path.iterdir())
