# SPDX-License-Identifier: MIT
"""
The first published figures of HVO, as data
-------------------------------------------

Oracle: the cover letter of February 2021.
"""

from __future__ import annotations

from simulator.published import published_hvo_2021


def test_every_page_is_in_a_bucket_of_its_histogram():
    for p in published_hvo_2021():
        assert sum(count for _, _, count in p.buckets) == p.pages == 10240


def test_the_histograms_bound_the_times_of_a_page():
    # A page takes as long on average as its bucket allows, give or take half a millisecond
    # of rounding over all of them; the rest of the loop is in the time alone.
    for p in published_hvo_2021():
        least, most = (sum(bounds[end] * count for *bounds, count in p.buckets) for end in (0, 1))
        assert least < p.elapsed_ns + 500_000
        assert p.elapsed_ns - 500_000 < most
