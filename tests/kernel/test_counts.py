# SPDX-License-Identifier: MIT
"""
v6.1 against a real Linux 6.1.176
---------------------------------

``kernel_counts.csv`` was counted with kprobes in Debian's 6.1.176, one fresh
boot per case.  Given where the buddy allocator found the pages (``pmd_splits``),
every count of the simulated kernel must be the real one.
"""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

import pytest

from tests.kernel.helpers import run

DATA = Path(__file__).parents[1] / "data" / "kernel_counts.csv"
BOOT = ("kernel", "vcpus", "hvo", "page_kb", "n_pages")


def boots():
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kernel"] == "6.1"]
    for key, boot in groupby(rows, key=lambda row: tuple(row[name] for name in BOOT)):
        yield pytest.param(list(boot), id="-".join(key))


BOOTS = list(boots())


def test_the_table_holds_twelve_boots_of_four_phases():
    assert len(BOOTS) == 12
    for boot in BOOTS:
        phases = [row["phase"] for row in boot.values[0]]
        assert phases == ["alloc", "free", "alloc2", "free2"]


@pytest.mark.parametrize("boot", BOOTS)
def test_v6_1_repeats_every_count_of_linux_6_1_176(boot):
    first = boot[0]
    hvo = first["hvo"] == "on"
    counts = run(
        "v6.1",
        pages=int(first["n_pages"]),
        page_size={"2048": "2M", "1048576": "1G"}[first["page_kb"]],
        hvo=hvo,
        cpus=int(first["vcpus"]),
        placement=f"pmds={first['pmd_splits']}" if hvo else "aligned",
        phases=("alloc", "free", "alloc", "free"),
    ).counts.set_index("phase")
    measured = list(first)[list(first).index("pages_got") :]
    assert list(counts.columns) == measured
    for row in boot:
        wanted = {name: int(row[name]) for name in measured if row[name]}
        assert counts.loc[row["phase"], list(wanted)].to_dict() == wanted
