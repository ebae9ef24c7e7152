# SPDX-License-Identifier: MIT
"""
Flushes by what they are for
----------------------------

Oracle: a frame of flushes made by hand.
"""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from simulator.studies.posted_forms.numbers import FLUSH_KINDS, Flushes, flush_kinds


def result(*rows):
    columns = ["phase", "reason", "start_ns", "end_ns"]
    frame = pd.DataFrame(rows, columns=columns).astype({"phase": "category", "reason": "category"})
    frame["kind"] = ["none" if reason == "sync_core" else "all" for reason in frame["reason"]]
    return SimpleNamespace(flushes=frame)


def test_splits_after_the_flush_of_their_batch_are_late():
    found = flush_kinds(
        result(
            ("alloc", "sync_core", 0, 5),
            ("alloc", "split", 10, 20),
            ("alloc", "batch_split", 30, 31),
            ("alloc", "split", 40, 47),
            ("alloc", "remap", 50, 53),
            ("alloc", "remap", 60, 63),
            ("alloc", "enomem", 70, 71),
            ("alloc", "batch_remap", 80, 82),
            ("free", "remap", 90, 99),
        ),
        "alloc",
    )
    assert tuple(found) == FLUSH_KINDS
    assert found == {
        "split": Flushes(1, 10),
        "batch": Flushes(2, 3),
        "late": Flushes(1, 7),
        "remap": Flushes(2, 6),
        "other": Flushes(1, 1),
    }


def test_a_kernels_own_reasons_come_last_under_their_names():
    rows = [("alloc", reason, 10, 20) for reason in ("zz_mine", "enomem", "aa_mine", "zz_mine")]
    found = flush_kinds(result(*rows), "alloc")
    assert tuple(found) == (*FLUSH_KINDS, "aa_mine", "zz_mine")
    assert found["zz_mine"] == Flushes(2, 20)
    assert found["other"] == found["aa_mine"] == Flushes(1, 10)


def test_without_a_batch_no_split_is_late():
    found = flush_kinds(result(("alloc", "split", 10, 20), ("alloc", "remap", 30, 40)), "alloc")
    assert found["split"] == Flushes(1, 10)
    assert found["late"] == found["batch"] == Flushes()


def test_a_phase_without_flushes_has_none_of_any_kind():
    found = flush_kinds(result(("alloc", "split", 10, 20)), "free")
    assert found == dict.fromkeys(FLUSH_KINDS, Flushes())
