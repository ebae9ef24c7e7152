# SPDX-License-Identifier: MIT
"""
Page arithmetic against Documentation/mm/vmemmap_dedup.rst and by counting PFNs
------------------------------------------------------------------------------
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import geometry as g


def test_sizes_are_those_of_vmemmap_dedup_rst():
    # "The HugeTLB page is 2MB: struct pages ... 8 pages", "1GB: 4096 pages"; a PMD of vmemmap
    # is 2 MB of 64-byte struct pages of 4 KB each.
    assert g.struct_page_bytes("2M") == 8 * 4096
    assert g.struct_page_bytes("1G") == 4096 * 4096
    assert (2 << 20) // 64 * 4096 == g.PMD_SPAN_BYTES == 128 << 20
    assert (g.page_bytes("2M"), g.page_bytes("1G")) == (2 << 20, 1 << 30)


@given(st.integers(1, 500), st.sampled_from(["2M", "1G"]))
def test_least_pmds_are_those_that_the_pfns_of_one_run_lie_in(nr_folios, page_size):
    nr_pfns = g.page_bytes(page_size) // 4096
    firsts = range(0, nr_folios * nr_pfns, nr_pfns)
    pmds = {pfn // 32768 for first in firsts for pfn in range(first, first + nr_pfns, 512)}
    assert g.least_pmds(nr_folios, page_size) == len(pmds)


@given(st.lists(st.integers(0, 10**17), min_size=1))
def test_numbers_of_pmds_survive_their_text(nr_pmds):
    assert g.pmds_of_placement(g.pmds_placement(nr_pmds)) == tuple(nr_pmds)


@pytest.mark.parametrize("text", ["pmds=", "pmds=-1", "pmds=1,", "pmds=\u0663", "pmds=1 ", "pmd=1"])
def test_other_texts_are_no_numbers_of_pmds(text):
    assert g.pmds_of_placement(text) is None
