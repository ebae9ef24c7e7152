# SPDX-License-Identifier: MIT
"""
Timings of a real machine
-------------------------

A CSV file of wall times, one row for each, with the columns of
``published_times.csv``.  Rows may repeat: what was measured several times
tells how far a timing can be trusted.  That file holds the times of
``echo N > nr_hugepages`` (alloc) and ``echo 0 > nr_hugepages`` (free) on two
real machines, before and after the batching series.

Modelled: writes to ``nr_hugepages``, which is what ``phase`` and ``n_pages``
describe; `next-20230824` as ``v6.6``, and with the series as ``v6.6+8``.

Not modelled: times of anything else.  The published times of the patched kernel
are of the first posting of the series; ``v6.6+8`` is the series as it was merged.

Sources: whatever a row of the file names as its own; of the published ones, the
cover letter of the series.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from simulator.errors import InputError, nearest
from simulator.geometry import PageSize
from simulator.kernel import kernel_named
from simulator.published.table import Row, read_table

__all__ = (
    "COLUMNS",
    "Cell",
    "Timing",
    "check_kernel",
    "of_machine",
    "read_timings",
)

#: What was measured: machine, kernel, HVO, phase, pages, page size.
Cell = tuple[str, str, bool, str, int, PageSize]

_PUBLISHED = "published_times.csv"
COLUMNS = ("machine", "kernel", "hvo", "phase", "n_pages", "page_kb", "real_s", "source")
_REQUIRED, _OPTIONAL = COLUMNS[:-1], COLUMNS[-1:]

# Names this alike are one name, misspelt: two letters of eight swapped give 0.875.
_MISSPELT = 0.8

# What was measured, by the name that it has here.
_RELEASES = {"next-20230824": "v6.6", "next-20230824+batching": "v6.6+8"}


@dataclass(frozen=True, slots=True)
class Timing:
    """
    How long one phase took on a real machine.

    ``kernel`` is the name of the kernel here, ``release`` what the file calls it; ``line`` is
    the line of the file, and ``where`` says both in an error.
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
    line: int = 0
    where: str = "times"

    @property
    def cell(self) -> Cell:
        """What was measured; timings of one cell are repetitions."""
        return (self.machine, self.kernel, self.hvo, self.phase, self.pages, self.page_size)


def read_timings(path: Path | None = None) -> tuple[Timing, ...]:
    """
    Return the timings of a file, or the published ones; InputError names the line that is wrong.

    >>> first = read_timings()[0]
    >>> first.machine, first.kernel, first.hvo, first.phase, first.pages, first.elapsed_ns
    ('xeon-e7-8895-8s', 'v6.6', False, 'alloc', 500000, 4119000000)
    """
    name = _PUBLISHED if path is None else path.name
    rows = read_table("times", path, _PUBLISHED, _REQUIRED, _OPTIONAL)
    found = tuple(_timing(row, name) for row in rows)
    if not found:
        raise InputError(f"times: {_PUBLISHED if path is None else path} has no rows")
    return found


def check_kernel(timing: Timing) -> None:
    """Raise InputError, with the line and the nearest name, unless its kernel can be simulated."""
    try:
        kernel_named(timing.kernel)
    except InputError as error:
        # What a file calls a kernel may be no name of one here.
        hint = nearest(timing.release, _RELEASES)
        problem = f"kernel: there is no {timing.release!r}{hint}" if hint else str(error)
        raise InputError(f"{timing.where}: {problem}") from None


def of_machine(
    timings: Sequence[Timing],
    machine: str,
    times_of: str | None = None,
    measured_as: Sequence[str] = (),
) -> tuple[Timing, ...]:
    """
    Return the timings of one machine: that which the user asked for, or the one simulated.

    A file that knows one machine only is about that one, whatever it is called, unless its
    name is all but the one simulated: then one of the two is misspelt.

    :param machine: the name of the machine simulated.
    :param times_of: the name that the file must have, if the user gave one.
    :param measured_as: what the machine simulated is called besides, the likeliest first.
    """
    names = tuple(dict.fromkeys(t.machine for t in timings))
    own = next((name for name in (machine, *measured_as) if name in names), machine)
    wanted = own if times_of is None else times_of
    if wanted not in names:
        if times_of is not None:
            raise InputError(
                f"times-of: no row is of {wanted!r}, only of {', '.join(names)}"
                f"{nearest(wanted, names)}"
            )
        if len(names) > 1:
            hint = nearest(wanted, names)
            raise InputError(
                f"times: no row is of {wanted!r}, only of {', '.join(names)}{hint};"
                " --times-of says which"
            )
        if SequenceMatcher(None, wanted, names[0]).ratio() >= _MISSPELT:
            raise InputError(
                f"{timings[0].where}: machine: {names[0]!r} is not {wanted!r} (did you mean"
                f" {wanted!r}?); if it is another one: --times-of {shlex.quote(names[0])}"
            )
        wanted = names[0]
    return tuple(t for t in timings if t.machine == wanted)


def _timing(row: Row, name: str) -> Timing:
    for column in ("machine", "kernel"):
        if not row.text(column):
            raise row.error(column, "is empty")
    return Timing(
        machine=row.text("machine"),
        kernel=_kernel(row.text("kernel")),
        release=row.text("kernel"),
        hvo=row.on_off("hvo"),
        phase=row.phase("phase"),
        pages=row.number("n_pages", 1),
        page_size=row.page_size("page_kb"),
        elapsed_ns=row.nanoseconds("real_s"),
        source=row.fields.get("source", "") or name,
        line=row.line,
        where=row.where,
    )


# 6.1 and v6.1 are the same release.
def _kernel(release: str) -> str:
    known = _RELEASES.get(release, release)
    return f"v{known}" if re.match(r"[0-9]", known) else known
