# SPDX-License-Identifier: MIT
# ruff: noqa: N805 - k is the running kernel, as in the kernel code
"""
Folios: one row per phase, whose parts are disjoint
---------------------------------------------------

Oracle: costs that are sums worked by hand, and kernels that note which task did
what.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from simulator.kernel import load_kernel
from simulator.run import simulate
from simulator.scenario import Scenario
from simulator.trace.frames import columns_of
from simulator.trace.recorder import Recorder
from tests.kernel.helpers import LAPTOP, STILL, constant, run


def noting(kernel):
    """Return a kernel that notes by folio which tasks kept or freed it, in their order."""
    ends = defaultdict(list)

    class Noting(load_kernel(kernel)):
        def add_hugetlb_folio(k, h, folio):
            ends[folio.number].append((k.current.number, "restore_failed"))
            super().add_hugetlb_folio(h, folio)

        def free_huge_page(k, h, folio):
            ends[folio.number].append((k.current.number, "freed"))
            super().free_huge_page(h, folio)

    return Noting, ends


@pytest.mark.parametrize("kernel", ["v6.6", "v6.7", "v6.12"])
def test_a_folio_that_one_task_kept_and_another_freed_has_one_row(kernel):
    watched, ends = noting(kernel)
    s = Scenario(
        machine=LAPTOP, kernel=watched, pages=12, cpus=4, allocators=4, noise=STILL,
        phases=("alloc", "free"), faults={"restore_page": list(range(1, 11))},
    )  # fmt: skip
    result = simulate(s)
    assert any(len({task for task, _ in took}) > 1 for took in ends.values())
    folios = result.folios[result.folios["phase"] == "free"].set_index("folio")
    assert folios.index.tolist() == sorted(ends)
    last = {folio: took[-1] for folio, took in ends.items()}
    assert folios["task"].to_dict() == {folio: task for folio, (task, _) in last.items()}
    assert folios["status"].to_dict() == {folio: status for folio, (_, status) in last.items()}
    assert (folios["start_ns"] > 0).all()
    assert (folios["start_ns"] < folios["ready_ns"]).all()
    summary = result.summary.set_index("phase")
    assert summary.loc["free", "pages"] == len(ends)
    assert summary.loc["free", "failed_folios"] == (folios["status"] == "restore_failed").sum()
    assert result.throughput.groupby("phase", observed=True)["folios"].sum()["free"] == len(ends)


def test_rows_of_a_folio_are_merged_by_hand():
    recorder = Recorder((0,))
    for label, start_ns in (("alloc", 0), ("free", 100)):
        recorder.begin_phase(label, start_ns, {0})
        recorder.end_phase(start_ns + 100)
    # phase, folio, task, pfn, start, split, remap, restore, flush, end, ready
    rows = (
        ((0, 7, 0, 512, 10, 1, 2, 3, 4, 30, 40), "optimized"),
        ((1, 7, 0, 512, 110, 0, 0, 5, 0, 115, 116), "restore_failed"),
        ((1, 8, 2, 1024, 117, 0, 0, 9, 0, 130, 131), "freed"),
        ((1, 7, 1, 512, 150, 0, 1, 20, 6, 180, 190), "freed"),
    )
    for row, status in rows:
        recorder.folios.add((*row, recorder.statuses[status]))
    columns = columns_of(recorder, "folios")
    names = columns.pop("status").names
    status = columns_of(recorder, "folios")["status"].codes
    assert [names[code] for code in status] == ["optimized", "freed", "freed"]
    columns["phase"] = columns["phase"].codes
    assert np.stack(list(columns.values()), axis=1).tolist() == [
        [0, 7, 0, 512, 10, 1, 2, 3, 4, 30, 40],
        [1, 7, 1, 512, 110, 0, 1, 25, 6, 180, 190],
        [1, 8, 2, 1024, 117, 0, 0, 9, 0, 130, 131],
    ]


@pytest.mark.parametrize(
    ("kernel", "nr_ptes"), [("v6.1", 7), ("v6.6", 8), ("v6.6+6", 8), ("v6.7", 8), ("v6.12", 8)]
)
def test_a_split_on_the_way_is_no_part_of_the_remap(kernel, nr_ptes):
    """
    Two folios share a PMD, and one of them splits it: 100 to fill the PTE page and 50
    to store it, besides 2 for each of seven PTEs that both pay (eight where the first
    vmemmap page is replaced too).
    """
    machine = constant(pte_page_fill=100, pmd_split=50, set_pte=2)
    folios = run(kernel, machine=machine, pages=2, cpus=2, phases=("alloc",)).folios
    assert sorted(folios["split_ns"]) == [0, 150]
    assert folios["remap_ns"].tolist() == [nr_ptes * 2] * 2
