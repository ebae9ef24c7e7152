# SPDX-License-Identifier: MIT
"""
Tables of measurements
----------------------

CSV files as a user has them: :func:`read_table` checks the columns and yields
the rows; a :class:`Row` gives out its fields as what they stand for.  What is
wrong comes as one line that names the file, the line, the column and the
nearest valid value (:class:`simulator.errors.InputError`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import get_args

from simulator.errors import InputError, nearest
from simulator.geometry import PageSize, page_kb
from simulator.inputs import number, read_text

__all__ = ("Row", "phase_order", "read_table")

_PAGE_SIZES: dict[str, PageSize] = {str(page_kb(size)): size for size in get_args(PageSize)}
# Columns for the user's own words, in any file.
_REMARKS = ("note", "comment")
_MINUTES = re.compile(r"([0-9]+)m([0-9]+(?:\.[0-9]+)?)s")  # as a shell's time prints it
_INTEGER = re.compile(r"[0-9]+|-0*[1-9][0-9]*")
_SIGNED = re.compile(r"-?[0-9]{1,18}")
_MAX_DIGITS = 18
_END_S = 10**9  # in nanoseconds that fits 64 bits


class Row:
    """A row of a table: its fields by column, and the line on which it ends."""

    def __init__(self, where: str, line: int, fields: Mapping[str, str]) -> None:
        self.where = f"{where}, line {line}"
        self.line = line
        self.fields = fields

    def error(self, column: str, problem: str) -> InputError:
        """Return what is wrong with a field of this row."""
        return InputError(f"{self.where}: {column}: {problem}")

    def text(self, column: str) -> str:
        """Return a field as it is."""
        return self.fields[column]

    def one_of(self, column: str, choices: Collection[str]) -> str:
        """Return a field that must be one of some words."""
        value = self.fields[column]
        if value not in choices:
            hint = nearest(value, choices) or f"; known: {', '.join(choices)}"
            raise self.error(column, f"{_shown(value)} is not known{hint}")
        return value

    def number(self, column: str, low: int = 0) -> int:
        """Return a field that must be a whole number, ``low`` or more."""
        value = self.fields[column]
        if not _INTEGER.fullmatch(value) or len(value) > _MAX_DIGITS:
            raise self.error(column, f"{_shown(value)} is not a whole number, {low} or more")
        if int(value) < low:
            raise self.error(column, f"{value} is below {low}")
        return int(value)

    def signed(self, column: str) -> int:
        """Return a field that must be a whole number, with or without a minus."""
        value = self.fields[column]
        if not _SIGNED.fullmatch(value):
            raise self.error(column, f"{_shown(value)} is not a whole number")
        return int(value)

    def on_off(self, column: str) -> bool:
        """Return a field that must be on or off."""
        return self.one_of(column, ("on", "off")) == "on"

    def page_size(self, column: str) -> PageSize:
        """Return the size of a huge page that is given in KB: ``2M`` or ``1G``."""
        value = self.fields[column]
        if value in _PAGE_SIZES:
            return _PAGE_SIZES[value]
        problem = f"{_shown(value)} is not {' or '.join(_PAGE_SIZES)}"
        if value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
            near = min(_PAGE_SIZES, key=lambda size: abs(int(size) - int(value)))
            problem += f" (nearest: {near})"
        raise self.error(column, problem)

    def nanoseconds(self, column: str) -> int:
        """Return a time above zero that is given in seconds, or as ``2m27.609s``."""
        value = self.fields[column]
        minutes = _MINUTES.fullmatch(value)
        if minutes is None and isinstance(number(value), str):
            problem = f"{_shown(value)} is not a number of seconds, nor a time such as 2m27.609s"
            raise self.error(column, problem)
        seconds = 60 * Decimal(minutes[1]) + Decimal(minutes[2]) if minutes else Decimal(value)
        if not (seconds.is_finite() and seconds > 0):
            raise self.error(column, f"{_shown(value)} is not a time above 0 s")
        if seconds >= _END_S:
            raise self.error(column, f"{_shown(value)} is not a time below {_END_S:,} s")
        return int(seconds * 10**9)

    def phase(self, column: str) -> str:
        """Return the name of a phase: alloc, free, alloc2, free2, ..."""
        value = self.fields[column]
        if not re.fullmatch(r"(alloc|free)([2-9]|[1-9][0-9]{1,3})?", value):
            hint = nearest(value, ("alloc", "free", "alloc2", "free2"))
            raise self.error(column, f"{_shown(value)} is not alloc, free, alloc2, ...{hint}")
        return value


def phase_order(phase: str) -> int:
    """
    Return where a phase comes among the phases of a boot, from 0 on.

    >>> [phase_order(phase) for phase in ("alloc", "free", "alloc2", "free2")]
    [0, 1, 2, 3]
    """
    nth = phase.removeprefix("alloc").removeprefix("free") or "1"
    return 2 * (int(nth) - 1) + phase.startswith("free")


def read_table(
    field: str,
    path: Path | None,
    packaged: str,
    required: Sequence[str],
    optional: Sequence[str] = (),
) -> Iterator[Row]:
    """
    Yield the rows of a CSV file; blank lines are left out.

    :param field: what to call the file in an error.
    :param path: the file, or None for the one of this name that is ``packaged``.
    :param required: the columns that must be there.
    :param optional: the columns that may be there; so may note and comment, which nobody reads.
    """
    where = f"{field}: {packaged if path is None else path}"
    file = _packaged(packaged) if path is None else read_text(path, where)
    # Strict: what csv would otherwise repair in silence is an error.
    lines = csv.reader(io.StringIO(file, newline=""), strict=True)
    try:
        columns = _columns(where, next(lines, []), required, optional)
        for values in lines:
            if not values:
                continue
            if len(values) != len(columns):
                raise InputError(
                    f"{where}, line {lines.line_num}: {len(values)} fields for"
                    f" {len(columns)} columns"
                )
            fields = dict(zip(columns, (value.strip() for value in values), strict=True))
            yield Row(where, lines.line_num, fields)
    except csv.Error as error:
        raise InputError(f"{where}, line {lines.line_num}: {error}") from None


def _packaged(name: str) -> str:
    return (resources.files("simulator.published") / name).read_text(encoding="utf-8")


def _columns(
    where: str, names: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> list[str]:
    columns = [name.strip() for name in names]
    if not any(columns):
        raise InputError(f"{where}, line 1: there are no columns; needed: {', '.join(required)}")
    known = (*required, *optional, *_REMARKS)
    for i, name in enumerate(columns):
        if name not in known:
            hint = nearest(name, known)
            raise InputError(f"{where}, line 1: unknown column {_shown(name)}{hint}")
        if name in columns[:i]:
            raise InputError(f"{where}, line 1: column {name!r} is there twice")
    for name in required:
        if name not in columns:
            raise InputError(f"{where}, line 1: column {name!r} is missing")
    return columns


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:37]}...")
