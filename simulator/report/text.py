# SPDX-License-Identifier: MIT
"""
Plain text for a terminal or a mail
-----------------------------------

Tables without borders, numbers to the right, ASCII only, at most 72 columns
wide: what can be pasted into a mail on linux-mm and read there in a fixed
font. Every conversion from nanoseconds, counts and fractions to something a
human reads is here.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence

__all__ = (
    "MAIL_WIDTH",
    "bar",
    "command_line",
    "format_count",
    "format_error",
    "format_interval",
    "format_memory",
    "format_ns",
    "format_ns_range",
    "format_ratio",
    "format_share",
    "format_table",
    "underlined",
    "unit_of_ns",
    "wrapped",
)

# What mail is wrapped at: a line still fits into 80 columns when it was quoted four times.
MAIL_WIDTH = 72

_MISSING = "-"
_SHORTEST_COLUMN = 8
_TIME_UNITS = (("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9))
_COUNT_UNITS = (("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12))


def format_ns(ns: float | None, digits: int = 3) -> str:
    """
    Return a time in the unit that suits it, with so many significant digits.

    >>> [format_ns(ns) for ns in (0, 873, 45_600, 999_999, 1_230_000_000)]
    ['0 ns', '873 ns', '45.6 us', '1.00 ms', '1.23 s']
    >>> format_ns(147_609_000_000, digits=5), format_ns(5 * 86_400 * 10**9), format_ns(None)
    ('147.61 s', '432000 s', '-')
    """
    if ns is None or math.isnan(ns):
        return _MISSING
    if ns < 0:
        return "-" + format_ns(-ns, digits)
    if ns < 1000 and float(ns).is_integer():
        return f"{int(ns)} ns"
    for (unit, size), (_, next_size) in itertools.pairwise(_TIME_UNITS):
        # Rounding may carry into the next unit: 999.9996 us are 1.00 ms.
        if float(f"{ns / size:.{digits}g}") * size < next_size:
            return f"{_significant(ns / size, digits)} {unit}"
    return f"{_significant(ns / 10**9, digits)} s"


def unit_of_ns(ns: float) -> tuple[str, int]:
    """
    Return the unit that suits a time, or an axis up to it, and its size in nanoseconds.

    >>> unit_of_ns(999), unit_of_ns(2500), unit_of_ns(0)
    (('ns', 1), ('us', 1000), ('ns', 1))
    """
    return next((pair for pair in reversed(_TIME_UNITS) if ns >= pair[1]), _TIME_UNITS[0])


def format_ns_range(low_ns: float, high_ns: float) -> str:
    """
    Return two times with one unit, that of the upper one.

    >>> format_ns_range(500, 1100), format_ns_range(2, 8.3)
    ('0.5..1.1 us', '2..8.3 ns')
    """
    unit, size = unit_of_ns(high_ns)
    return f"{low_ns / size:.4g}..{high_ns / size:.4g} {unit}"


# So many significant digits, trailing zeros kept, never an exponent.
def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(value)))
    text = f"{value:.{decimals}f}"
    # 9.996 has one digit more before the point once it is rounded.
    if decimals and len(text.replace(".", "").lstrip("0")) > digits:
        text = f"{value:.{decimals - 1}f}"
    return text


def format_count(count: float | None, width: int | None = None) -> str:
    """
    Return a count with thousands separators, or shorter where it would be too wide.

    >>> format_count(133652480), format_count(131600000, width=9), format_count(12.5)
    ('133,652,480', '131.60M', '12.5')
    """
    if count is None or math.isnan(count):
        return _MISSING
    whole = float(count).is_integer()
    text = f"{int(count):,}" if whole else f"{count:,.1f}"
    if width is None or len(text) <= width:
        return text
    unit, size = next(
        (pair for pair in _COUNT_UNITS if abs(count) < 1000 * pair[1]), _COUNT_UNITS[-1]
    )
    return f"{_significant(count / size, 5)}{unit}"


def format_share(fraction: float | None) -> str:
    """
    Return a fraction (0 to 1) as a percentage.

    >>> [format_share(x) for x in (0.9864, 0.0, 0.0001, 1.0, None)]
    ['98.6%', '0.0%', '<0.1%', '100.0%', '-']
    """
    if fraction is None or math.isnan(fraction):
        return _MISSING
    return "<0.1%" if 0 < fraction < 0.0005 else f"{100 * fraction:.1f}%"


def format_error(error: float) -> str:
    """
    Return a relative error (simulated over measured, less 1) as a signed percentage.

    >>> [format_error(x) for x in (-0.0001, 0.015, -0.245)]
    ['+0.0%', '+1.5%', '-24.5%']
    """
    # Adding zero makes a zero that is negative positive.
    return f"{round(100 * error, 1) + 0.0:+.1f}%"


def format_ratio(ratio: float | None) -> str:
    """
    Return a ratio as a factor; a factor is never shown as a percentage.

    >>> [format_ratio(x) for x in (1.0, 30.76, 0.0325, 1234.5, 3.2e-5, None)]
    ['1.000x', '30.8x', '0.0325x', '1234x', '3.2e-05x', '-']
    """
    if ratio is None or math.isnan(ratio):
        return _MISSING
    if 0.9 <= ratio < 1.1:
        return f"{ratio:.3f}x"
    if math.isinf(ratio) or ratio >= 1e6 or 0 < ratio < 0.001:
        return f"{ratio:.2g}x"
    return f"{_significant(ratio, 3)}x"


def format_interval(low: float | None, high: float | None, show: Callable[[float], str]) -> str:
    """
    Return the two ends of an interval; an empty text where there is none.

    >>> format_interval(1.5e6, 2.25e6, format_ns), format_interval(None, None, format_ns)
    ('1.50..2.25 ms', '')
    >>> format_interval(900, 1200, format_ns), format_interval(7.0, 7.0, format_ns)
    ('900 ns..1.20 us', 'no variation')
    """
    if low is None or high is None or math.isnan(low):
        return ""
    # A ratio of equal pairs is a geometric mean, and rounded.
    if math.isclose(low, high, rel_tol=1e-9):
        return "no variation"
    bottom, top = show(low), show(high)
    number, _, unit = bottom.partition(" ")
    # Both ends share their unit where they have the same one.
    if unit and unit == top.partition(" ")[2]:
        bottom = number
    return f"{bottom}..{top}"


def format_memory(pages: float | None) -> str:
    """
    Return how much memory so many 4 KB pages are.

    >>> [format_memory(pages) for pages in (0, 7, 1792, 3_670_016)]
    ['0 KB', '28 KB', '7.0 MB', '14.0 GB']
    """
    if pages is None or math.isnan(pages):
        return _MISSING
    size = 4.0 * pages
    unit = "KB"
    for larger in ("MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.{0 if unit == 'KB' else 1}f} {unit}"


def bar(fraction: float, width: int, fill: str = "@") -> str:
    """
    Return a bar of exactly ``width`` characters, filled from the left.

    Something that is not nothing gets at least one mark.

    >>> bar(0.5, 8), bar(0.001, 8), bar(0.0, 8), bar(1.0, 4)
    ('@@@@    ', '@       ', '        ', '@@@@')
    """
    filled = min(width, max(round(fraction * width), 1 if fraction > 0 else 0))
    return (fill * filled).ljust(width)


def underlined(title: str) -> str:
    """
    Return a heading over a rule of its own length.

    >>> print(underlined("alloc"))
    alloc
    -----
    """
    lines = textwrap.wrap(title, MAIL_WIDTH) or [""]
    return "\n".join([*lines, "-" * max(len(line) for line in lines)])


def wrapped(text: str, prefix: str = "", width: int = MAIL_WIDTH) -> str:
    """
    Return a paragraph for a mail, the first line after ``prefix``, the rest below it.

    >>> wrapped("a word", "[1] ")
    '[1] a word'
    """
    indent = " " * len(prefix)
    return textwrap.fill(
        text, width, initial_indent=prefix, subsequent_indent=indent, break_on_hyphens=False
    )


def command_line(command: str, prefix: str = "") -> str:
    r"""
    Return a command that can be pasted back whole: long ones go on after a backslash.

    >>> command_line("tlbsim run", "$ ")
    '$ tlbsim run'
    """
    room = MAIL_WIDTH - len(prefix) - len(" \\")
    words = textwrap.wrap(command, room, break_long_words=False, break_on_hyphens=False)
    return prefix + (" \\\n" + " " * len(prefix)).join(words)


def format_table(
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = (),
    align: str = "",
) -> str:
    """
    Return rows as columns, two blanks apart and without borders.

    ``align`` has an ``l`` or ``r`` per column; without it the first column is
    text (left) and the rest are numbers (right). A header cell may have several
    lines; a row with a single cell is a heading across all columns. Where the
    table would be wider than a mail, text at the end goes on below; otherwise
    columns move closer, and then other text (never a number) goes on below.

    >>> print(format_table([("v6.6", "70.5 ms"), ("v6.7", "2.93 ms")], ("kernel", "elapsed")))
    kernel  elapsed
    v6.6    70.5 ms
    v6.7    2.93 ms
    """
    head = _header_lines(header)
    lines = [*head, *rows]
    columns = [line for line in lines if len(line) > 1]
    if not columns:
        return "\n".join(line[0] for line in lines)
    align = align or "l" + "r" * (len(columns[0]) - 1)
    if any(len(line) != len(align) for line in columns):
        raise ValueError("rows, header and align differ in their number of columns")
    widths, gap = _fitted([max(map(len, column)) for column in zip(*columns, strict=True)], align)
    return "\n".join(text for line in lines for text in _lines(line, widths, align, gap))


# Fit the columns into a mail: move them closer, then make room at the cost of text.
def _fitted(widths: list[int], align: str) -> tuple[list[int], int]:
    # Text at the end can go on below without tearing a row apart.
    gap = 2 if sum(widths) + 2 * (len(widths) - 1) <= MAIL_WIDTH or align[-1] == "l" else 1
    excess = sum(widths) + gap * (len(widths) - 1) - MAIL_WIDTH
    texts = [i for i, side in enumerate(align) if side == "l"]
    for i in sorted(texts, key=lambda i: -widths[i]):
        cut = max(0, min(excess, widths[i] - _SHORTEST_COLUMN))
        widths[i] -= cut
        excess -= cut
    return widths, gap


def _lines(cells: Sequence[str], widths: Sequence[int], align: str, gap: int) -> Iterator[str]:
    if len(cells) == 1:
        yield from _folded(cells[0], MAIL_WIDTH)
        return
    columns = [
        [cell] if side == "r" else _folded(cell, width)
        for cell, width, side in zip(cells, widths, align, strict=True)
    ]
    for parts in itertools.zip_longest(*columns, fillvalue=""):
        padded = [
            part.rjust(width) if side == "r" else part.ljust(width)
            for part, width, side in zip(parts, widths, align, strict=True)
        ]
        yield (" " * gap).join(padded).rstrip()


# Cells of several lines become several rows, aligned at the bottom.
def _header_lines(header: Sequence[str]) -> list[list[str]]:
    cells = [cell.split("\n") for cell in header]
    height = max((len(cell) for cell in cells), default=0)
    return [
        [cell[i - (height - len(cell))] if i >= height - len(cell) else "" for cell in cells]
        for i in range(height)
    ]


# What goes on below is indented as the cell is, and by two more.
def _folded(cell: str, width: int) -> list[str]:
    if len(cell) <= width:
        return [cell]
    indent = " " * (len(cell) - len(cell.lstrip()))
    return textwrap.wrap(
        cell.lstrip(), width, initial_indent=indent, subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )  # fmt: skip
