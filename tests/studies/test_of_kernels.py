# SPDX-License-Identifier: MIT
"""
Studies with a row for each kernel
----------------------------------

Oracles: what was counted in Linux 6.12.107, 6.18.15 and 7.3.4; 513 grace periods for the
demotion of a page of 1 GB on v6.11; mm/hugetlb.c read by hand.
"""

from __future__ import annotations

import pytest

from simulator.studies.boot import Boot
from simulator.studies.demotion import Demotion
from simulator.studies.kernel_releases import KERNELS, KernelReleases

SMALL = {"machine": "laptop-8", "cpus": 2}


@pytest.fixture(scope="module")
def demotion():
    return Demotion(pages=1, **SMALL).run()


def by_kernel(found, phase, of=""):
    rows = [r for r in found.rows() if r["phase"] == phase and r["group"].endswith(of)]
    return {row["kernel"]: row for row in rows}


def test_demotion_has_the_grace_periods_and_flushes_of_each_release(demotion):
    rows = by_kernel(demotion, "demote1")
    assert {k: r["grace_periods"] for k, r in rows.items()} == {
        "v6.1": 0, "v6.6": 0, "v6.7": 0, "v6.11": 513, "v6.12": 2, "v6.12.117": 2, "v6.18": 2,
        "v7.3": 0,
    }  # fmt: skip
    assert [rows[k]["flushes"] for k in ("v6.6", "v6.11", "v6.12", "v7.3")] == [513, 513, 3, 3]


def test_the_report_of_demotion_says_what_was_published(demotion):
    text = demotion.text()
    assert "v6.11      538 s" in text
    assert "waits for 513 grace periods" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 72


def test_releases_flush_as_they_were_counted():
    found = KernelReleases(pages=3, **SMALL).run()
    rows = by_kernel(found, "alloc", "2M")
    assert tuple(rows) == KERNELS
    # Three folios in one PMD.
    assert {k: r["flushes"] for k, r in rows.items()} == {
        kernel: 4 if kernel in ("v6.1", "v6.6") else 2 for kernel in KERNELS
    }
    assert {k: r["static_key"] for k, r in rows.items() if k > "v7"} == {"v7.1": 0, "v7.3": 0}
    text = found.text()
    assert max(map(len, text.splitlines())) <= 72


def test_boots_flush_by_the_list():
    found = Boot(pages=512, **SMALL).run()
    flushes = {k: r["flushes"] for k, r in by_kernel(found, "boot", "1G").items()}
    assert flushes == {
        "v6.1": 9, "v6.6": 9, "v6.7": 2, "v6.12": 2, "v6.15": 1, "v6.18": 1, "v7.1": 1, "v7.3": 1,
    }  # fmt: skip
    rows = by_kernel(found, "boot", "2M")
    # Huge pages out of the memory of base pages are not lost.
    assert not any(row["unsafe"] for row in rows.values())
    assert rows["v7.3"]["pages_got"] > rows["v7.1"]["pages_got"] == rows["v6.7"]["pages_got"]
    text = found.text()
    assert max(map(len, text.splitlines())) <= 72
