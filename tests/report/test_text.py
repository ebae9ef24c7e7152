# SPDX-License-Identifier: MIT
"""Columns and human formats, against strings written by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.report.text import (
    MAIL_WIDTH,
    bar,
    command_line,
    format_count,
    format_memory,
    format_ns,
    format_ratio,
    format_share,
    format_table,
    underlined,
    wrapped,
)

UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (999, "999 ns"),
        (999.5, "1.00 us"),
        (0.5, "0.500 ns"),
        (1000, "1.00 us"),
        (9_996, "10.0 us"),
        (99_950, "100 us"),
        (999_499, "999 us"),
        (999_500, "1.00 ms"),
        (999_999_999, "1.00 s"),
        (147_609_000_000, "148 s"),
        (-45_600, "-45.6 us"),
        (math.nan, "-"),
    ],
)
def test_format_ns_carries_into_the_next_unit(ns, text):
    assert format_ns(ns) == text


@given(st.integers(0, 6 * 86_400 * 10**9), st.integers(3, 6))
def test_format_ns_is_within_half_of_its_last_digit(ns, digits):
    number, unit = format_ns(ns, digits).split()
    assert float(number) * UNITS[unit] == pytest.approx(ns, rel=0.5001 * 10 ** (1 - digits))
    assert float(number) < 1000 or unit == "s"
    assert "e" not in number


@given(st.integers(0, 10**15))
def test_short_counts_fit_and_keep_four_digits(count):
    text = format_count(count, 9)
    assert len(text) <= 9
    scale = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1], 1)
    assert float(text.rstrip("kMGT").replace(",", "")) * scale == pytest.approx(count, rel=1e-4)


def test_a_ratio_is_not_printed_as_a_percentage_nor_a_share_as_a_fraction():
    # The arm64 HVO cover letter printed a ratio as a percent change; LISA labels 0..1 "(%)".
    assert format_ratio(0.85) == "0.850x"
    assert format_share(0.85) == "85.0%"


@pytest.mark.parametrize(
    "show", [format_ns, format_count, format_ratio, format_share, format_memory]
)
def test_a_missing_value_is_a_dash(show):
    assert show(None) == show(math.nan) == "-"


@given(st.floats(0, 1), st.integers(1, 60))
def test_bar_has_exactly_its_width(fraction, width):
    text = bar(fraction, width)
    assert len(text) == width
    assert abs(text.count("@") - fraction * width) <= 1


def test_table_aligns_text_left_and_numbers_right_with_no_trailing_blanks():
    table = format_table(
        [("v6.6", "1", "slow"), ("on all",), ("v6.6+6", "1,234", "")],
        ("kernel", "a\nflushes", "note"),
        "lrl",
    )
    assert table.splitlines() == [
        "              a",
        "kernel  flushes  note",
        "v6.6          1  slow",
        "on all",
        "v6.6+6    1,234",
    ]


cells = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=80)


@given(st.lists(st.tuples(cells, st.integers(0, 10**9).map(format_count)), min_size=1, max_size=5))
def test_table_fits_a_mail_and_loses_neither_text_nor_a_number(rows):
    lines = format_table(rows, ("name", "count")).splitlines()
    assert max(map(len, lines)) <= MAIL_WIDTH
    left = iter(lines[1:])
    for name, count in rows:
        first = next(left)
        assert first.endswith(count)
        text = first.removesuffix(count).strip()
        # The rest of a long name stands below.
        while text != name:
            text += next(left).strip()
    assert list(left) == []


def test_what_does_not_fit_goes_on_below_its_column():
    subject = "hugetlb: batch PMD split for bulk vmemmap dedup, one flush for all of them"
    rows = [("v6.6+6", "1,234", subject), ("v6.7", "2", "short")]
    assert format_table(rows, ("kernel", "flushes", ""), "lrl").splitlines() == [
        "kernel  flushes",
        "v6.6+6    1,234  hugetlb: batch PMD split for bulk vmemmap dedup, one",
        "                   flush for all of them",
        "v6.7          2  short",
    ]


def test_table_refuses_ragged_rows():
    with pytest.raises(ValueError, match="columns"):
        format_table([("a", "b")], ("one", "two", "three"))


def test_long_command_can_be_pasted_back():
    command = "python scenarios/batch_pmd_split.py --pages 524288 --cpus 252 --seed 1 --out results"
    text = command_line(command, "command    ")
    assert all(len(line) <= MAIL_WIDTH for line in text.splitlines())
    assert " ".join(text.removeprefix("command").replace("\\\n", "").split()) == command


def test_prose_and_headings_fit_quoted_lines():
    text = "word " * 60
    assert max(map(len, wrapped(text, "note       ").splitlines())) <= 72
    assert max(map(len, underlined(text).splitlines())) <= 72
