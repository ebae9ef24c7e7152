# SPDX-License-Identifier: MIT
"""
Flushes over the course of a phase
----------------------------------
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.analysis.course import flush_course, thinned
from tests.made import make


def test_a_course_has_each_flush_by_the_rows_of_the_frame_and_no_other_broadcast():
    run = make(kernel="v6.6", pages=32)
    run.flushes["kind"] = run.flushes["kind"].astype(object)
    other = run.flushes.index[run.flushes["phase"] == "free"][3]
    run.flushes.loc[other, "kind"] = "none"
    rows = run.flushes[(run.flushes["phase"] == "free") & (run.flushes.index != other)]
    begin = run.throughput.loc[run.throughput["phase"] == "free", "start_ns"].iloc[0]
    course = flush_course(run, "free")
    assert course["at_ns"].tolist() == sorted(rows["start_ns"] - begin)
    assert course["took_ns"].sum() == (rows["end_ns"] - rows["start_ns"]).sum()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 9)), min_size=1), st.integers(1, 5))
def test_what_is_kept_are_the_extremes_and_a_middle_of_each_window_by_brute_force(rows, nr):
    course = pd.DataFrame(sorted(rows, key=lambda row: row[0]), columns=["at_ns", "took_ns"])
    kept = thinned(course, nr)
    if len(course) <= 3 * nr:
        assert kept.equals(course)
        return
    first, last = course["at_ns"].iloc[0], course["at_ns"].iloc[-1]
    for i in range(nr):
        # Window i holds what begins in the i-th of nr equal parts of the span.
        whole, left = (
            sorted(
                took
                for at, took in part.itertuples(index=False)
                if i <= (at - first) * nr / (last - first + 1) < i + 1
            )
            for part in (course, kept)
        )
        assert len(left) <= 3
        if whole:
            assert (left[0], left[-1]) == (whole[0], whole[-1])
            assert whole[len(whole) // 2] in left


def test_a_million_flushes_leave_three_for_each_window():
    at_ns = np.arange(1_000_000) * 7
    course = pd.DataFrame({"at_ns": at_ns, "took_ns": at_ns % 1013})
    assert len(thinned(course, 300)) == pytest.approx(900, abs=3)
