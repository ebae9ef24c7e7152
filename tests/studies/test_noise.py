# SPDX-License-Identifier: MIT
"""
The scenario of noise as a user runs it
---------------------------------------

The tables have to agree with the number of flushes that each kernel makes, with the
ratio of their own times, and with what a key does when it is 0.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.image import imread

import simulator as sim
from simulator.cli.process import exit_status
from simulator.studies.noise import Noise
from simulator.studies.noise.numbers import noise_case
from tests.studies.scripts import run_process, run_script

PAGES, RUNS = 32, 2
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick")
    done = run_process("noise", "--quick", "--cpus=8", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def times(text):
    """Yield (phase, label, times of both kernels in ns, speed-up) of each row."""
    phase = None
    for line in text.splitlines():
        if line in ("alloc", "free"):
            phase = line
        row = re.fullmatch(r"  (\S+) +(\S+ [num]?s) +(\S+ [num]?s) +(\S+)x *\S*", line)
        if phase and row:
            ns = [float(t.split()[0]) * UNITS[t.split()[1]] for t in row.group(2, 3)]
            yield phase, row[1], ns, float(row[4])


def test_report_fits_a_mail_and_is_also_a_file(quick):
    folder, done = quick
    assert done.stderr == ""
    assert done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) <= 72
    assert (folder / "out" / "noise.txt").read_text(encoding="utf-8") == done.stdout
    assert {p.name for p in (folder / "out").iterdir()} == {"noise.txt", "noise.png"}
    pixels = imread(folder / "out" / "noise.png")
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels[:, :, 0])) > 10


def test_speed_up_is_the_ratio_of_the_times_and_the_answer_their_range(quick):
    rows = list(times(quick[1].stdout))
    swept = ["0", "1e-05", "0.0001", "0.001", "0.01", "0.1", "0.3"]
    assert [label for _, label, _, _ in rows] == [*sim.noises()] * 2 + swept * 2
    for _, label, (before, after), speed_up in rows:
        # All three have three digits.
        assert speed_up == pytest.approx(before / after, rel=0.02), label
    answer = " ".join(quick[1].stdout.split("answer")[1].split("\n\n")[0].split())
    least, most = (float(n) for n in re.findall(r"([\d.]+)x", answer))
    found = [speed_up for *_, speed_up in rows]
    assert (least, most) == (pytest.approx(min(found), 0.01), pytest.approx(max(found), 0.01))


def test_flushes_are_those_of_the_formulas(quick):
    # A percentile of too few flushes is a dash; the longest is always there.
    time = r"(?:-|\S+ [num]?s)"
    rows = re.findall(
        rf"^  \S+ +(\d+) +{time} +{time} +{time} +\S+ [num]?s$", quick[1].stdout, re.M
    )
    # N + S of v6.6, two nodes and so two PMDs; two of v6.7; each in every replication.
    per_kernel = [str(RUNS * (PAGES + 2)), str(2 * RUNS)]
    numbers = len(sim.noises()), 7
    assert rows == [n for nr in numbers for kernel in per_kernel for n in [kernel] * nr]


def test_the_value_of_the_preset_gives_the_times_of_the_preset(quick):
    rows = {(phase, label): ns for phase, label, ns, _ in times(quick[1].stdout)}
    assert rows["alloc", "1e-05"] == rows["alloc", "quiet"]
    assert rows["free", "1e-05"] == rows["free", "quiet"]


def test_a_case_is_paired_by_replication():
    base = sim.Scenario(machine="laptop-8", pages=4, noise="busy")
    runs = [
        [sim.simulate(base.replace(kernel=k, replication=i)) for i in range(3)]
        for k in ("v6.6", "v6.7")
    ]
    case = noise_case("busy", "", "alloc", runs)
    ns = [[r.summary["elapsed_ns"].iloc[0] for r in rs] for rs in runs]
    assert case.speed_up.mean == pytest.approx(np.divide(*np.mean(ns, axis=1)))
    assert tuple(of.mean for of in case.elapsed_ns) == tuple(np.mean(of_kernel) for of_kernel in ns)
    assert case.kernels == ("v6.6", "v6.7")
    # 4 folios in one PMD.
    assert [h.total for h in case.flushes] == [3 * 5, 3 * 2]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--key", "idle"), "key: 'idle' is not one of preempted_share, idle_share,"),
        (("--key", "idle_shar"), "(did you mean 'idle_share'?)"),
        (
            ("--machine=laptop-8", "--key=preempted_share"),
            "key: laptop-8 has no virtual CPUs; try idle_share",
        ),
        (("--replications", "0"), "replications: must be 1 to 1000, not 0"),
        (("--replications", "x"), "replications: must be a whole number, not 'x'"),
        (("--pages", "0"), "pages: must be 1 to"),
        (("--out", "file"), "out: file cannot be written"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, argv, message):
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert exit_status(lambda: run_script(Noise, *argv)) == 2
    done = capsys.readouterr()
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "key", ["idle_depth_ns", "irqs_off_share", "irqs_off_tail_share", "shootdowns_per_s"]
)
def test_every_key_can_be_swept(tmp_path, key):
    argv = ("--machine=laptop-8", "--pages=2", "--replications=1", f"--key={key}")
    status, text = run_script(Noise, *argv, f"--out={tmp_path}")
    assert status == 0
    assert f"\n{key}, in place of that of quiet" in text
    assert "one run each, so nothing can be called significant" in " ".join(text.split())
