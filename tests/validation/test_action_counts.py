# SPDX-License-Identifier: MIT
"""
Counts followed row by row
--------------------------

Oracle: what was counted in Linux 6.12.107, 6.12.117, 6.18.15 and 7.3.4, packaged as
``kernel_counts_2026.csv`` and ``boot_counts.csv``.
"""

from __future__ import annotations

import csv
from importlib import resources

import pytest

from simulator.errors import InputError
from simulator.published.counts import read_counts
from simulator.validation import boot_scenario, check_counts
from tests.kernel.helpers import LAPTOP


def packaged(name):
    return resources.files("simulator.published") / name


def check(path):
    boots = read_counts(path)
    return check_counts(boots, [boot_scenario(boot, LAPTOP) for boot in boots])


def rows_of(name, wanted=lambda _: True):
    with packaged(name).open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if wanted(row)]


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def test_every_count_of_four_kernels_of_2026_is_reproduced():
    found = check(packaged("kernel_counts_2026.csv"))
    assert found.mismatches == ()
    assert found.kernels == ("v6.12", "v6.12.117", "v6.18", "v7.3")
    assert (found.rows, found.cells, found.unplaced) == (89, 3293, 0)


def test_every_count_of_three_boots_is_reproduced():
    found = check(packaged("boot_counts.csv"))
    assert found.mismatches == ()
    assert (found.rows, found.cells) == (3, 46)


def test_a_wrong_number_is_found_in_any_column(tmp_path):
    rows = rows_of("kernel_counts_2026.csv", lambda row: row["mode"] == "EH")
    skipped = {"kernel", "vcpus", "hvo", "page_kb", "n_pages", "phase", "action", "mode", "run"}
    skipped |= {"kernel_release", "seq", "nodes", "note"}
    # Given, and what others of the machine add to.
    skipped |= {"pmd_splits", "pages_before", "csd_queued_sync_core"}
    last = rows[-1]
    names = [name for name in last if name not in skipped]
    for name in names:
        last[name] = str(int(last[name]) + 1)
    found = check(write(tmp_path / "wrong.csv", rows)).mismatches
    # Two of the memmap deltas were changed, and their sum is compared.
    expected = {name for name in names if not name.startswith("memmap")} | {"memmap_delta"}
    assert {m.column for m in found} == expected
    assert {m.line for m in found} == {len(rows) + 1}


def test_memory_that_was_used_before_has_split_pmds(tmp_path):
    # Rows of a boot may be missing before its first one, and between two.
    rows = rows_of("kernel_counts_2026.csv", lambda row: row["mode"] == "A")
    wanted = [row for row in rows if row["phase"] in ("alloc2", "grow512", "shrink0", "one")]
    found = check(write(tmp_path / "holes.csv", wanted))
    assert found.mismatches == ()


HEADER = "kernel,vcpus,hvo,page_kb,n_pages,phase,action\n"
WRONG = [
    (f"{HEADER}7.3,4,on,2048,3,x,wrote 3\n", "line 2: action: 'wrote 3' is not one of alloc"),
    (f"{HEADER}7.9,4,on,2048,3,x,write 3\n", "line 2: kernel: '7.9' is not known (nearest: 7.3)"),
    (f"{HEADER}7.3,4,on,2048,3,x,node4 write 3\n", "there is no node 4 (nearest: node0)"),
    (f"{HEADER}7.3,4,on,1048576,3,x,demote 3\n", "there are no pages of 1G to demote"),
    (f"{HEADER}7.3,4,on,2048,3,x,unmap 3\n", "0 pages are mapped"),
    (f"{HEADER}", " has no rows"),
    ("kernel,vcpus,boot_params\n7.3,4,hugepagesz=4M hugepages=1\n", "is not 2M or 1G"),
    ("kernel,vcpus,boot_params\n7.3,4,quiet\n", "boot_params: has no hugepages=N"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=lambda value: value[-30:])
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, message):
    path = tmp_path / "counts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        [boot_scenario(boot, LAPTOP) for boot in read_counts(path)]
    found = str(error.value)
    assert found.startswith(f"counts: {path}")
    assert message in found
    assert "\n" not in found
