# SPDX-License-Identifier: MIT
"""
Timings of a real machine
-------------------------

A CSV file of wall times, one row for each, with the columns of
``published_times.csv``.  Rows may repeat: what was measured several times
tells how far a timing can be trusted.

Modelled: writes to ``nr_hugepages``, which is what ``phase`` and ``n_pages``
describe.

Not modelled: times of anything else.

Sources: whatever a row of the file names as its own.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import Literal, TypeVar

from simulator.errors import InputError, nearest

__all__ = ("COLUMNS", "PageSize", "Timing", "of_machine", "published_file", "read_timings")

PageSize = Literal["2M", "1G"]

COLUMNS = ("machine", "kernel", "hvo", "phase", "n_pages", "page_kb", "real_s", "source")
_OPTIONAL = ("source",)

# What was measured, by the name that it has here.
_RELEASES = {"next-20230824": "v6.6", "next-20230824+batching": "v6.6+8"}
_HVO = {"off": False, "on": True}
_PAGE_SIZES: dict[str, PageSize] = {"2048": "2M", "1048576": "1G"}
T = TypeVar("T")

_LONGEST_S = 6 * 86_400  # what can be simulated


@dataclass(frozen=True, slots=True)
class Timing:
    """
    How long one phase took on a real machine.

    ``kernel`` is the name of the kernel here, ``release`` what the file calls it; ``line`` is
    the line of the file.
    """

    machine: str
    kernel: str
    release: str
    hvo: bool
    phase: str
    pages: int
    page_size: PageSize
    elapsed_ns: int
    source: str
    line: int

    @property
    def cell(self) -> tuple[str, str, bool, str, int, PageSize]:
        """What was measured; timings of one cell are repetitions."""
        return (self.machine, self.kernel, self.hvo, self.phase, self.pages, self.page_size)


def published_file() -> Path:
    """Return the path of the times that come with the package."""
    return Path(str(resources.files("simulator.analysis") / "published_times.csv"))


def read_timings(path: Path) -> tuple[Timing, ...]:
    """
    Return the timings of a file in their order; InputError names the line that is wrong.

    >>> first = read_timings(published_file())[0]
    >>> first.machine, first.kernel, first.hvo, first.phase, first.pages, first.elapsed_ns
    ('xeon-e7-8895-8s', 'v6.6', False, 'alloc', 500000, 4119000000)
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            header = _header(path, next(reader, []))
            found = tuple(_timing(path, reader.line_num, header, row) for row in reader if any(row))
    except OSError as error:
        raise InputError(f"times: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"times: {path} is not text") from None
    except csv.Error as error:
        raise InputError(f"times: {path} is not CSV: {error}") from None
    if not found:
        raise InputError(f"times: {path} has no rows")
    return found


def of_machine(timings: Sequence[Timing], machine: str) -> tuple[Timing, ...]:
    """
    Return the timings of one machine.

    A file that knows one machine only is about that one, whatever it is called.
    """
    names = tuple(dict.fromkeys(t.machine for t in timings))
    if machine not in names and len(names) > 1:
        hint = nearest(machine, names)
        raise InputError(
            f"times: no row is of {machine!r}, only of {', '.join(names)}{hint};"
            " --times-of says which"
        )
    wanted = machine if machine in names else names[0]
    return tuple(t for t in timings if t.machine == wanted)


def _header(path: Path, header: Sequence[str]) -> Sequence[str]:
    for name in header:
        if name not in COLUMNS:
            raise InputError(f"times: {path}: unknown column {name!r}{nearest(name, COLUMNS)}")
        if header.count(name) > 1:
            raise InputError(f"times: {path}: column {name!r} is there twice")
    for name in COLUMNS:
        if name not in header and name not in _OPTIONAL:
            raise InputError(f"times: {path}: column {name!r} is missing")
    return header


def _timing(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> Timing:
    where = f"times: {path}, line {line}"
    if len(cells) != len(header):
        raise InputError(f"{where}: {len(cells)} cells, but {len(header)} columns")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    for name in COLUMNS:
        if name not in _OPTIONAL and not row[name]:
            raise InputError(f"{where}: {name} is empty")
    if not re.fullmatch(r"(alloc|free)([2-9]|[1-9][0-9])?", row["phase"]):
        raise InputError(f"{where}: phase: must be alloc, free, alloc2, ..., not {row['phase']!r}")
    return Timing(
        machine=row["machine"],
        kernel=_kernel(row["kernel"]),
        release=row["kernel"],
        hvo=_one_of(where, "hvo", row["hvo"], _HVO),
        phase=row["phase"],
        pages=_pages(where, row["n_pages"]),
        page_size=_one_of(where, "page_kb", row["page_kb"], _PAGE_SIZES),
        elapsed_ns=_elapsed_ns(where, row["real_s"]),
        source=row.get("source", "") or path.name,
        line=line,
    )


# 6.1 and v6.1 are the same release.
def _kernel(release: str) -> str:
    known = _RELEASES.get(release, release)
    return f"v{known}" if re.match(r"[0-9]", known) else known


def _one_of(where: str, name: str, text: str, values: Mapping[str, T]) -> T:
    if text not in values:
        hint = nearest(text, values)
        raise InputError(f"{where}: {name}: {text!r} is not one of {', '.join(values)}{hint}")
    return values[text]


def _pages(where: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not int(text):
        raise InputError(f"{where}: n_pages: must be a number of huge pages, not {text!r}")
    return int(text)


def _elapsed_ns(where: str, text: str) -> int:
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        raise InputError(f"{where}: real_s: must be seconds, not {text!r}") from None
    if not seconds.is_finite() or not 0 < seconds <= _LONGEST_S:
        raise InputError(f"{where}: real_s: must be above 0 and at most {_LONGEST_S}, not {text!r}")
    return round(seconds * 10**9)
