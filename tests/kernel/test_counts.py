# SPDX-License-Identifier: MIT
"""
Counts against two real kernels
-------------------------------

The packaged ``kernel_counts.csv`` was counted with kprobes in Debian's 6.1.176
and 6.12.107, one fresh boot per case.  Given where the buddy allocator found the
pages (``pmd_splits``), every count of the simulated v6.1 and v6.12 must be the
real one.
"""

from __future__ import annotations

import pytest

from simulator.published.counts import read_counts
from simulator.run import simulate
from simulator.trace.words import COUNTS
from simulator.validation import boot_scenario, mismatches
from tests.kernel.helpers import LAPTOP

BOOTS = [
    pytest.param(boot, id=f"{boot.kernel}-{boot.vcpus}-{boot.pages}") for boot in read_counts()
]


@pytest.mark.parametrize("kernel", ["v6.1", "v6.12"])
def test_the_table_holds_twelve_boots_of_four_phases_with_nothing_unmeasured(kernel):
    boots = [boot for boot in read_counts() if boot.kernel == kernel]
    assert len(boots) == 12
    for boot in boots:
        assert [counted.phase for counted in boot.phases] == ["alloc", "free", "alloc2", "free2"]
        assert all(tuple(counted.counts) == COUNTS for counted in boot.phases)


@pytest.mark.parametrize("boot", BOOTS)
def test_every_count_is_that_of_linux_6_1_176_and_6_12_107(boot):
    counts = simulate(boot_scenario(boot, LAPTOP)).counts
    assert list(counts.columns) == ["phase", *COUNTS]
    assert mismatches(boot, counts) == []
