# SPDX-License-Identifier: MIT
"""
Counts against two real kernels
-------------------------------

``kernel_counts.csv`` was counted with kprobes in Debian's 6.1.176 and 6.12.107,
one fresh boot per case.  Given where the buddy allocator found the pages
(``pmd_splits``), every count of the simulated v6.1 must be the real one; and of
v6.7 with the 687 code sites of 6.12.107, every count but that of
synchronize_rcu(), which came in v6.11.
"""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

import pytest

from tests.kernel.helpers import run

DATA = Path(__file__).parents[1] / "data" / "kernel_counts.csv"
BOOT = ("kernel", "vcpus", "hvo", "page_kb", "n_pages")


def boots(kernel):
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kernel"] == kernel]
    for key, boot in groupby(rows, key=lambda row: tuple(row[name] for name in BOOT)):
        yield pytest.param(list(boot), id="-".join(key))


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_the_table_holds_twelve_boots_of_four_phases(kernel):
    assert len(list(boots(kernel))) == 12
    for boot in boots(kernel):
        phases = [row["phase"] for row in boot.values[0]]
        assert phases == ["alloc", "free", "alloc2", "free2"]


def check(kernel, boot, uncounted=(), **fields):
    first = boot[0]
    counts = run(
        kernel,
        pages=int(first["n_pages"]),
        page_size={"2048": "2M", "1048576": "1G"}[first["page_kb"]],
        hvo={"on": True, "off": False}[first["hvo"]],
        cpus=int(first["vcpus"]),
        placement=f"pmds={first['pmd_splits']}",
        phases=("alloc", "free", "alloc", "free"),
        **fields,
    ).counts.set_index("phase")
    measured = list(first)[list(first).index("pages_got") :]
    assert list(counts.columns) == measured
    for row in boot:
        wanted = {n: int(row[n]) for n in measured if row[n] and n not in uncounted}
        assert counts.loc[row["phase"], list(wanted)].to_dict() == wanted


@pytest.mark.parametrize("boot", list(boots("6.1")))
def test_v6_1_repeats_every_count_of_linux_6_1_176(boot):
    check("v6.1", boot)


@pytest.mark.parametrize("boot", list(boots("6.12")))
def test_v6_7_repeats_every_count_of_linux_6_12_107_but_rcu(boot):
    check(
        "v6.7",
        boot,
        uncounted=("synchronize_rcu_calls",),
        tunables={"static_key_sites": 687},
    )
