# SPDX-License-Identifier: MIT
"""
scenarios/synchronize_rcu.py as a user runs it
----------------------------------------------

Oracle: calls counted in Linux 6.12.107 (a batch waits once and flushes twice, or once on
free; of N surplus pages each waits once and flushes its 8 pages, and S PMDs flush 512);
v6.7 waits for no grace period; grace periods are lognormal with sigma 0.3.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.image import imread

from simulator import simulate
from simulator.cli.process import exit_status
from simulator.studies.synchronize_rcu import SynchronizeRcu
from simulator.studies.synchronize_rcu.numbers import RcuCost, rcu_costs, small_from
from tests.studies.scripts import run_script

MEAN_NS = 10_000_000
# Beyond this factor on either side of the median lies one draw in half a million.
MOST = math.exp(5 * 0.3)
SIZES = [1, 8, 64, 512]
FOLIOS_PER_PMD = 64


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rcu") / "out"
    argv = ["--quick", "--machine=laptop-8", "--pages=512", f"--out={folder}"]
    status, text = run_script(SynchronizeRcu, *argv)
    assert status == 0
    return folder, text


@pytest.fixture(scope="module")
def results():
    study = SynchronizeRcu(machine="laptop-8", pages=512, quick=True)
    return [simulate(s) for s in study.scenarios()]


def rows(text, path):
    """Return {(phase, pages): cells after them} of the table of a path, times joined."""
    found, phase = {}, None
    for line in text.split(f"{path}: ")[1].split("\n\n\n")[0].splitlines():
        if line in ("alloc", "free"):
            phase = line
        elif phase and line.startswith("  "):
            pages, old, old_unit, new, new_unit, *rest = line.split()
            key = phase, int(pages.replace(",", ""))
            found[key] = [f"{old} {old_unit}", f"{new} {new_unit}", *rest]
    return found


def test_a_batch_waits_once_each_way_and_flushes_as_before(quick):
    found = rows(quick[1], "As a batch")
    assert list(found) == [(phase, n) for phase in ("alloc", "free") for n in SIZES]
    for (phase, _), (_, _, _, periods, flushes, _) in found.items():
        assert (periods, flushes) == ("1", "2" if phase == "alloc" else "1")


def test_each_surplus_page_waits_and_flushes(quick):
    found = rows(quick[1], "One by one")
    assert list(found) == [(phase, n) for phase in ("alloc", "free") for n in SIZES[:3]]
    for (phase, n), (_, _, _, periods, flushes, share) in found.items():
        pmds = -(-n // FOLIOS_PER_PMD)
        assert (periods, flushes) == (str(n), str(n + pmds * (phase == "alloc")))
        assert n == 1 or float(share.rstrip("%")) > 95


def test_flushes_are_of_the_kinds_that_were_counted_in_6_12(results):
    surplus = [r for r in results if (r.scenario.path, r.scenario.pages) == ("surplus", 64)]
    assert [r.scenario.kernel for r in surplus] == ["v6.7"] + ["v6.12"] * 3
    for r in surplus:
        flushes = r.flushes[r.flushes["reason"] != "sync_core"]
        sizes = flushes.groupby(["phase", "pages"], observed=True).size().to_dict()
        assert sizes == {("alloc", 8): 64, ("alloc", 512): 1, ("free", 8): 64}


def test_a_batch_differs_by_its_grace_period_alone(results):
    costs = [c for r in results for c in rcu_costs(r) if c.path == "pool"]
    assert len(costs) == len(SIZES) * 2 * 4
    before = {(c.phase, c.pages): c for c in costs if c.kernel == "v6.7"}
    for new in (c for c in costs if c.kernel == "v6.12"):
        old = before[new.phase, new.pages]
        assert (old.rcu_ns, old.grace_periods) == (0, 0)
        assert new.mean_ns / MOST < new.rcu_ns < new.mean_ns * MOST
        # Beside it: locks taken anew, and what other noise does to three flushes.
        assert new.elapsed_ns - old.elapsed_ns == pytest.approx(new.rcu_ns, rel=0.02)
    assert {c.mean_ns for c in costs} == {5e6, 1e7, 3e7}


def test_the_report_says_what_is_assumed_and_shows_both_ends(quick):
    folder, text = quick
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 72
    assert (folder / "synchronize-rcu.txt").read_text(encoding="utf-8") == text
    flat = " ".join(text.split())
    assert "10.0 ms on average, assumed, range 5..30 ms" in flat
    ends = text.split("both ends of the range")[1].split("\n\n\n")[0]
    lengths = [line.split()[0] for line in ends.splitlines() if " ms " in line]
    assert lengths == ["5.00", "10.0", "30.0"] * 2
    # 512 pages take a few milliseconds, and no 19 grace periods.
    assert ends.count("above 512") == 6


def test_the_plot_is_an_image_with_something_on_it(quick):
    assert {p.name for p in quick[0].iterdir()} == {"synchronize-rcu.txt", "synchronize-rcu.png"}
    pixels = imread(quick[0] / "synchronize-rcu.png")
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels[:, :, 0])) > 10


def cost(pages, rest_ns, mean_ns=MEAN_NS):
    """Return a batch that takes so long beside its grace period."""
    return RcuCost("v6.12", "pool", "alloc", pages, mean_ns, rest_ns + 7, 7, 1, 2, unsafe=False)


def test_a_grace_period_is_small_where_the_rest_takes_19_of_them():
    # 10 us a page: 190 ms are 19,000 pages; 5 % of 200 ms is the grace period.
    batches = [cost(n, 10_000 * n) for n in (1, 10_000, 20_000)]
    assert small_from(batches, 0.05) == 19_000
    assert small_from(batches[:2], 0.05) is None
    assert small_from(batches, 0.5) == 1000
    assert small_from([cost(n, 10**9) for n in (1, 2)], 0.05) == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--machine", "laptop"), "unknown machine 'laptop' (did you mean 'laptop-8'?)"),
        (("--pages", "0"), "pages: must be 1 to"),
        (("--pages", "many"), "pages: "),
        (("--machine=laptop-8", "--pages=20000"), "pages: 20000 pages of 2M do not fit"),
        (("--quik",), "unknown option '--quik' (did you mean '--quick'?)"),
        (("--out", "file"), "out: file cannot be written"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, argv, message):
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert exit_status(lambda: run_script(SynchronizeRcu, *argv)) == 2
    done = capsys.readouterr()
    assert (done.out, done.err.count("\n")) == ("", 1)
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
