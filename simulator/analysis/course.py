# SPDX-License-Identifier: MIT
"""
How long flushes took over the course of a phase
------------------------------------------------
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.analysis.frames import ResultFrames, of_phase

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("flush_course", "thinned")


def flush_course(result: ResultFrames, phase: str) -> pd.DataFrame:
    """
    Return ``at_ns``, since the phase began, and ``took_ns`` of each flush of a phase.

    Broadcasts that flush nothing, as of a static key, are not among them.
    """
    rows = of_phase(result.flushes, phase)
    rows = rows[rows["kind"] != "none"].sort_values("start_ns", kind="stable")
    begin = of_phase(result.throughput, phase)["start_ns"].min()
    return rows.assign(at_ns=rows["start_ns"] - begin, took_ns=rows["end_ns"] - rows["start_ns"])[
        ["at_ns", "took_ns"]
    ].reset_index(drop=True)


def thinned(course: pd.DataFrame, nr_windows: int) -> pd.DataFrame:
    """
    Return the shortest, the middle and the longest flush of each window of time.

    All of them, if they are fewer than that.  A middle one of an even number is the longer.
    """
    if len(course) <= 3 * nr_windows:
        return course
    at_ns = course["at_ns"].to_numpy()
    span_ns = int(at_ns[-1] - at_ns[0]) + 1
    window = (at_ns - at_ns[0]) * nr_windows // span_ns
    by_length = np.lexsort((course["took_ns"].to_numpy(), window))
    # Of each window, its rows by length stand together.
    starts = np.flatnonzero(np.diff(window[by_length], prepend=-1))
    ends = np.append(starts[1:], len(by_length))
    kept = np.concatenate([starts, starts + (ends - starts) // 2, ends - 1])
    return course.iloc[np.unique(by_length[kept])]
