# SPDX-License-Identifier: MIT
"""
Tables of plain text
--------------------
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ("WIDTH", "number", "table")

WIDTH = 78


def number(value: float) -> str:
    """Return a number with three digits or a little more."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [title, ""]
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    too_long = [line for line in lines if len(line) > WIDTH]
    if too_long:
        raise ValueError(f"wider than {WIDTH}: {too_long[0]}")
    return "\n".join((*lines, ""))
