# SPDX-License-Identifier: MIT
"""The text of a comparison: what it calls significant, and its width."""

from __future__ import annotations

import pytest

from simulator.analysis import compare_results
from simulator.report import comparison_text
from simulator.report.text import MAIL_WIDTH


@pytest.fixture
def comparison(result):
    def make(kernels, replications, **fields):
        return compare_results(
            [
                [result(kernel=k, replication=i, seed=1, pages=64 + i, **fields) for i in range(1)]
                if replications == 1
                else [result(kernel=k, seed=i, pages=64, **fields) for i in range(replications)]
                for k in kernels
            ]
        )

    return make


def rows_of(text, phase, metric):
    block = text.split(f"\n{phase} (simulated)\n")[1].split("\n\n")[0]
    after = block.split(f"\n{metric}\n")[1].splitlines()
    end = next((i for i, row in enumerate(after) if not row.startswith(" ")), len(after))
    return after[:end]


def test_text_shows_ratio_and_interval(comparison):
    c = comparison(("v6.6", "v6.7"), 4)
    reference, changed = rows_of(comparison_text(c), "alloc", "elapsed")
    frame = c.frame
    row = frame[(frame["scenario"] == "v6.7") & (frame["metric"] == "elapsed_s")].iloc[0]
    assert f"{row['ratio']:.4f}x" in changed
    assert f"{row['ratio_low']:.4f}x..{row['ratio_high']:.4f}x" in changed
    assert "x" not in reference


def test_equal_and_not_significant_are_said_in_words(result):
    before, after = ([result(kernel=k, seed=i) for i in range(3)] for k in ("v6.6", "v6.6+6"))
    for r, factor in zip(after, (1.01, 0.99, 1.005), strict=True):
        r.summary["elapsed_s"] *= factor
    text = comparison_text(compare_results([before, after]))
    assert "not significant" in rows_of(text, "free", "elapsed")[1]
    assert rows_of(text, "free", "flushes (broadcasts)")[1].split()[3:] == ["variation", "equal"]


def test_one_replication_has_no_interval_and_says_so(comparison):
    text = comparison_text(comparison(("v6.6", "v6.7"), 1))
    assert "too few replications for an interval, and nothing can be called" in " ".join(
        text.split()
    )
    assert ".." not in text
    assert "95%" not in text


def test_text_says_simulated_seed_and_version(comparison):
    text = comparison_text(comparison(("v6.6", "v6.7"), 1))
    assert text.startswith("simulated  every scenario against v6.6")
    assert "under seed 1" in text
    assert "version    tlbsim 1.0.0" in text
    assert "machine epyc-7j13-vm252" in text


@pytest.mark.parametrize("replications", [1, 3])
def test_text_fits_a_mail_with_long_labels(comparison, replications):
    kernels = ("a_patch_with_a_rather_long_name_v1", "a_patch_with_a_rather_long_name_v2")
    text = comparison_text(comparison(kernels, replications))
    assert max(map(len, text.splitlines())) <= MAIL_WIDTH
    assert text.isascii()
    assert "[1]        a_patch_with_a_rather_long_name_v1" in text
    assert [row.split()[0] for row in rows_of(text, "alloc", "elapsed")] == ["[1]", "[2]"]
