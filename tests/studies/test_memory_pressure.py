# SPDX-License-Identifier: MIT
"""
The scenario of memory pressure as a user runs it
-------------------------------------------------

The tables have to agree with the formulas: of F pages and S PMDs, v6.7 splits F at
once and S - F late with a flush each; who ignores ENOMEM optimises what F pages reach;
who aborts optimises all or nothing.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.image import imread

from simulator.cli.process import exit_status
from simulator.studies.memory_pressure import MemoryPressure
from simulator.studies.memory_pressure.numbers import outcome_of
from tests.kernel.helpers import run as simulated
from tests.studies.scripts import run_process, run_script

KERNELS = ("v6.6", "v6.7", "abort", "ignore", "go-on", "retry")
APART, SHARED = "Each huge page in a PMD of its own", "64 huge pages to a PMD"
# Static-key patching: 900 sites in 4 batches of 256, three broadcasts each.
FLIP = 12


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick")
    done = run_process("memory_pressure", "--quick", "--machine=laptop-8", "--cpus=4", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def tables(text, where):
    """Return {title: {free pages: {kernel: cell}}} of one block."""
    found, title = {}, None
    block = text.split(f"{where}\n")[1].split("\n\n\n")[0]
    for line in block.splitlines():
        heading = re.match(r"([a-zA-Z][a-zA-Z\- ]+?)( \[\d\])?$", line)
        if heading and "v6" not in line:
            title = heading[1]
        elif title and line.startswith("  "):
            free, *cells = line.split()
            if title == "elapsed":
                cells = [" ".join(pair) for pair in zip(cells[::2], cells[1::2], strict=True)]
            else:
                cells = [int(cell.replace(",", "")) for cell in cells]
            row = dict(zip(KERNELS, cells, strict=True))
            found.setdefault(title, {})[int(free.replace(",", ""))] = row
    return found


def test_report_fits_a_mail_and_is_also_a_file(quick):
    folder, done = quick
    assert done.stderr == ""
    assert done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) <= 72
    assert (folder / "out" / "memory-pressure.txt").read_text(encoding="utf-8") == done.stdout
    assert done.stdout.count("never merged; proposed in") == 4


def test_each_question_has_an_image_with_something_on_it(quick):
    folder, _ = quick
    questions = ("optimised", "pages", "flushes", "elapsed", "price")
    images = [f"memory-pressure-{question}.png" for question in questions]
    assert {p.name for p in (folder / "out").iterdir()} == {"memory-pressure.txt", *images}
    for name in images:
        pixels = imread(folder / "out" / name)
        assert min(pixels.shape[:2]) > 200
        assert len(np.unique(pixels[:, :, 0])) > 10


@pytest.mark.parametrize(("where", "pmds", "each"), [(APART, 64, 1), (SHARED, 1, 64)])
def test_folios_flushes_and_pages_are_those_of_the_formulas(quick, where, pmds, each):
    found = tables(quick[1].stdout, where)
    optimised, flushes = found["folios optimised"], found["flushes"]
    assert list(optimised)[-2:] == [pmds, pmds + 64]
    for free, row in optimised.items():
        split = min(free, pmds)
        all_of_them = 64 * (free > 0)
        # One page is no use to v6.6, which takes it for the head page.
        assert row["v6.6"] == 64 * (free > 1)
        assert row["v6.7"] == row["go-on"] == row["retry"] == all_of_them
        assert row["ignore"] == each * split
        assert row["abort"] == 64 * (free >= pmds)
        in_vain = found["PMDs split in vain"][free]
        assert in_vain == dict.fromkeys(KERNELS, 0) | {"abort": free * (free < pmds)}
        patched = found["broadcasts to patch the static key"][free]
        for kernel in ("v6.6", "v6.7", "ignore", "go-on"):
            # Nothing else is optimised: each folio that fails flips the key twice.
            assert patched[kernel] == (FLIP if row[kernel] else 64 * 2 * FLIP)
        assert patched["abort"] == FLIP * (free >= pmds)
        assert patched["retry"] == FLIP * (free > 0)
        assert flushes[free]["v6.6"] == (64 + pmds) * (free > 1)
        assert flushes[free]["abort"] == 1 + (free >= pmds)
        assert flushes[free]["ignore"] == 2
        late = (pmds - split) * (free > 0)
        # Beside the late splits, few flushes to free what has accumulated.
        assert late + 2 <= flushes[free]["v6.7"] <= late + 6
        assert flushes[free]["retry"] % 2 == 0
        used = found["base pages in use at the peak"][free]
        assert used["v6.6"] == min(free, 2)
        assert {used[k] for k in KERNELS[1:]} == {min(free, pmds + 64)}
        assert len(found["elapsed"][free]) == len(KERNELS)


def test_without_head_pages_as_many_pages_are_gained(quick):
    alloc = quick[1].stdout.split("cannot be had\n")[1].split("free    ")[0]
    rows = [line.split()[:5] for line in alloc.splitlines() if line.startswith("  v6.")]
    # Optimised, head pages, freed, and net of the PTE pages of 64 PMDs.
    with_heads = ["64", "64", "512", str(64 * 7 - 64)]
    without = ["64", "0", "448", str(64 * 7 - 64)]
    assert [row[1:] for row in rows[:4]] == [with_heads] * 2 + [without] * 2


def test_a_failure_that_is_over_at_once_costs_late_splits_only_where_splitting_stops(quick):
    block = quick[1].stdout.split("in the middle, once\n")[1].split("\n16 base pages")[0]
    rows = [line.split() for line in block.splitlines()]
    assert [row[0].removeprefix("v6.7+enomem-") for row in rows] == list(KERNELS)
    # The 32nd of 64 PTE pages, a PMD to each folio.
    n, k = 64, 32
    optimised = {"v6.6": n - 1, "abort": 0}
    # Of v6.7 all from the 32nd on are split late; of those that go on, that one.
    flushes = {
        "v6.6": 2 * (n - 1),
        "v6.7": 2 + n - k + 1,
        "abort": 1,
        "ignore": 2 + 1,
        "go-on": 2 + 1,
        "retry": 2 * 2,
    }
    for name, row in zip(KERNELS, rows, strict=True):
        assert row[1] == str(optimised.get(name, n))
        assert row[5] == str(flushes[name])
    # Split for nothing: 31 PTE pages are lost.
    assert rows[2][4] == str(-(k - 1))


def test_what_cannot_be_restored_stays_as_surplus(quick):
    free = quick[1].stdout.split("cannot be had\n")[1].split("\n\n\n")[0].split("\n\n")[1]
    rows = [line.split()[:3] for line in free.splitlines() if line.startswith("  v6.")]
    # PTE pages took 64 of the 16 pages that were free: 48 are missing, 7 a folio.
    short = 7
    stay = [0, 0, 1, 0, 3, 1, short, short]
    assert [row[1:] for row in rows] == [[str(64 - n), str(n)] for n in stay]


def test_pmds_of_1g_folios_are_in_vain_only_where_none_is_optimised():
    """Two folios of 8 PMDs, 11 pages: 8 for the first and 3 for the second."""
    fields = {"pages": 2, "page_size": "1G", "cpus": 2, "free_pages": 11}
    ignoring = outcome_of(simulated("v6.7+enomem-ignore", **fields))
    assert (ignoring.optimized, ignoring.pmd_splits, ignoring.in_vain) == (1, 11, 3)
    aborting = outcome_of(simulated("v6.7+enomem-abort", **fields))
    assert (aborting.optimized, aborting.pmd_splits, aborting.in_vain) == (0, 11, 11)
    merged = outcome_of(simulated("v6.7", **fields))
    assert (merged.optimized, merged.pmd_splits, merged.in_vain) == (2, 16, 0)


def test_a_batch_costs_what_it_holds_and_the_retry_wins_most_of_it_back(quick):
    """Of 512 pages of 2 MB, a batch holds 8 vmemmap pages for each that it has got."""
    block = quick[1].stdout.split("all memory asked for\n")[1].split("\n\n\n")[0]
    found, action = {}, None
    for line in block.splitlines():
        words = line.split()
        if line.startswith(("write", "boot")):
            action, asked = words[0], int(words[1])
        elif line.startswith("  v"):
            found[action, words[0]] = [int(word.replace(",", "")) for word in words[1:4]]
    assert asked == 512
    for action in ("write", "boot"):
        page_by_page = found[action, "v6.6"][0]
        for kernel in ("v6.7", "v6.12", "v7.1", "v7.3"):
            got, missed, fewer = found[action, kernel]
            assert got + missed == asked
            assert fewer == page_by_page - got
    # One list of G pages holds 8 G pages of 4 KB: 1.56 %, and what page by page wins of that.
    assert 0 < found["write", "v6.7"][2] <= 512 / 64
    assert found["boot", "v7.3"][0] > found["boot", "v7.1"][0]


def test_outcomes_are_of_a_number_of_free_pages():
    with pytest.raises(ValueError, match="number of free pages"):
        outcome_of(simulated("v6.7", pages=1))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--machine", "laptop"), "unknown machine 'laptop' (did you mean 'laptop-8'?)"),
        (("--pages", "0"), "pages: must be 1 to"),
        (("--page", "3"), "unknown option '--page' (did you mean '--pages'?)"),
        (("--machine=laptop-8", "--pages=300"), "placement: 300 pages of 2M cannot lie in 300"),
        (("--out", "file"), "out: file cannot be written"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, argv, message):
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert exit_status(lambda: run_script(MemoryPressure, *argv)) == 2
    done = capsys.readouterr()
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
