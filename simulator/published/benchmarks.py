# SPDX-License-Identifier: MIT
"""
Published benchmarks
--------------------

What flushes and interrupts took on real machines, each by itself: the figures
that the primitives of the model are held against.

``ipi_benchmark``
    one IPI, one broadcast, in four variants of a KVM guest;
``madvise``
    a system call whose TLB flush reaches 0, 1 or 3 other CPUs, by the number of
    threads; the call itself and a page fault are in it, so that the figure of one
    thread is given: what others add to it is simulated;
``flush``
    a flush by its number of pages, on one CPU;
``victim``
    what another CPU loses to one flush, by its number of pages;
``tlb_flush2``
    loops a second of all threads of will-it-scale's program, by their number, with
    interrupts and with INVLPGB; the loop of one thread is given;
``isolated_cpus``
    how often isolated CPUs were entered for vmalloc's flushes and for patched code, as it
    was, and with the posted deferral; how many broadcasts of a kind there were is given:
    those counted on each CPU.
``hvo_pause``
    what a request for huge pages takes on arm64 without HVO (``none``), and with it and the
    posted pause of all other CPUs (``pause@v1``, ``pause@v2``); the case is ``alloc 1G``,
    ``free 1G``, ``demote 1G`` (into 2 MB), ``alloc 2M`` or ``free 2M``, the number that of
    pages of that size; the time without HVO is given, that of the published file for a file
    that has none;
``parallel_boot``
    what ``hugepages=N`` takes at boot, HVO off, by how many tasks share it; the case begins
    with the number of pages of 2 MB; the time with the fewest tasks is given.

A file of one's own has the columns of ``published_benchmarks.csv``: ``machine`` (a name of
a profile), ``mechanism``, ``what`` (as above), ``number`` (of threads, CPUs or pages, or the
line that is printed), ``value``, ``unit``; and, if need be, ``case``, ``calls`` that the
value is the sum of, ``role`` and ``source``.

Not modelled: the madvise times ``before v5.13``, when the initiator flushed its own
TLB first and the others' then; they are in the file for comparison.  Not in the file:
allocation at boot by 8 to 128 tasks on a Skylake and a Cascade Lake (20250227-hugepage-
parameter-v2-1-7db8c6dc0453@cyberus-technology.de), 600 us for a page of 2 MB and task, as long
as clearing it takes: these kernels clear pages when they allocate them, the model does not.

Sources: each row of ``published_benchmarks.csv`` names its own: a commit, the
Message-ID of a mail, or a measurement made for this project.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from simulator.errors import InputError
from simulator.inputs import number
from simulator.published.table import Row, read_table

__all__ = (
    "BENCHMARKS",
    "PAUSE_CASES",
    "WITHOUT_HVO",
    "PublishedFigure",
    "published_figures",
    "read_figures",
)

Role = Literal["fitted", "given", "predicted"]

_PACKAGED: Final = "published_benchmarks.csv"
_REQUIRED: Final = ("machine", "mechanism", "what", "number", "value", "unit")
_OPTIONAL: Final = ("case", "calls", "role", "source")
_ROLES: Final = ("fitted", "given", "predicted")
_LINES: Final = ("Normal IPI received", "Normal IPI", "Broadcast IPI", "Broadcast lock")
_KINDS: Final = ("flush_all", "flush_range", "sync_core")
#: The mechanism of a time that others are added to.
WITHOUT_HVO: Final = "none"
#: The cases of hvo_pause.
PAUSE_CASES: Final = ("alloc 1G", "free 1G", "demote 1G", "alloc 2M", "free 2M")
#: By benchmark: its mechanisms and its units.
BENCHMARKS: Final = {
    "ipi_benchmark": (("ipi",), ("ns",)),
    "madvise": (("ipi",), ("ns",)),
    "flush": (("local",), ("ns", "cycles")),
    "victim": (("ipi",), ("ns",)),
    "tlb_flush2": (("ipi", "invlpgb"), ("k loops/s",)),
    "isolated_cpus": (("ipi", "deferred"), ("calls",)),
    "hvo_pause": ((WITHOUT_HVO, "pause@v1", "pause@v2"), ("s",)),
    "parallel_boot": (("padata",), ("ms",)),
}

_CYCLES_PER_NS: Final = 2.6
# In nanoseconds, or loops per second. Cycles are those of the Core i5-3320M.
_UNITS: Final = {
    "ns": (1.0, "ns"),
    "cycles": (1 / _CYCLES_PER_NS, "ns"),
    "k loops/s": (1000.0, "loops/s"),
    "calls": (1.0, "calls"),
    "ms": (1e6, "ns"),
    "s": (1e9, "ns"),
}
_CASES: Final = {
    "ipi_benchmark": "x2apic cluster mode, vanilla",
    "madvise": "madvise 1 page",
    "flush": "a flush",
    "victim": "time lost by the peer",
    "tlb_flush2": "tlb_flush2_threads",
    "isolated_cpus": "entries on isolated CPUs",
    "hvo_pause": "alloc 1G",
    "parallel_boot": "131072 pages of 2 MB",
}


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """
    One figure of a benchmark.

    ``value`` is that of one call, on average; ``total`` that of all ``calls``, as it was
    printed; both in ``unit``: ``ns``, ``loops/s`` or ``calls``.  ``role`` says what it is to the
    model: a profile was fitted to it, it is given (others are simulated on top of it), or it
    is predicted.  ``where`` is its place in the file, for errors.
    """

    benchmark: str
    machine: str
    mechanism: str
    case: str
    figure: str
    total: float
    unit: str
    calls: int
    role: Role
    source: str
    where: str

    @property
    def value(self) -> float:
        """The figure of one call."""
        return self.total / self.calls

    @property
    def ns(self) -> float:
        """The time of one call, or of one loop of one of all threads."""
        return self.value if self.unit == "ns" else 1e9 / self.value


def published_figures(benchmark: str, machine: str | None = None) -> tuple[PublishedFigure, ...]:
    """
    Return the figures of a benchmark, of one machine or all, in the order of the file.

    >>> first = published_figures("ipi_benchmark")[0]
    >>> first.case, first.figure, round(first.ns)
    ('x2apic cluster mode, vanilla', 'Normal IPI received', 2239)
    """
    return tuple(
        f for f in read_figures() if f.benchmark == benchmark and machine in (None, f.machine)
    )


def read_figures(path: Path | None = None) -> tuple[PublishedFigure, ...]:
    """Return the figures of a file, or the published ones; InputError names the line at fault."""
    rows = read_table("benchmarks", path, _PACKAGED, _REQUIRED, _OPTIONAL)
    name = _PACKAGED if path is None else path.name
    found = tuple(_figure(row, name) for row in rows)
    if not found:
        raise InputError(f"benchmarks: {name} has no rows")
    return found


def _figure(row: Row, name: str) -> PublishedFigure:
    what = row.one_of("what", BENCHMARKS)
    mechanisms, units = BENCHMARKS[what]
    unit = row.one_of("unit", units)
    scale, base = _UNITS[unit]
    calls = row.number("calls", 1) if row.fields.get("calls") else 1
    mechanism = row.one_of("mechanism", mechanisms)
    usual = "given" if mechanism == WITHOUT_HVO else "predicted"
    role = row.one_of("role", _ROLES) if row.fields.get("role") else usual
    if mechanism == WITHOUT_HVO and role != usual:
        raise row.error("role", f"{role!r} of the mechanism {mechanism!r} (nearest: {usual!r})")
    case = row.fields.get("case") or _CASES[what]
    if what == "hvo_pause":
        case = row.one_of("case", PAUSE_CASES) if row.fields.get("case") else case
    return PublishedFigure(
        benchmark=what,
        machine=row.text("machine"),
        mechanism=mechanism,
        case=case,
        figure=_number(row, what),
        total=scale * (row.number("value") if unit == "calls" else _positive(row, "value")),
        unit=base,
        calls=calls,
        role=cast("Role", role),
        source=row.fields.get("source") or name,
        where=row.where,
    )


def _number(row: Row, what: str) -> str:
    if what == "ipi_benchmark":
        return row.one_of("number", _LINES)
    if what == "isolated_cpus":
        return row.one_of("number", _KINDS)
    if what == "flush" and row.text("number") == "all":
        return "all"
    return str(row.number("number", 1))


def _positive(row: Row, column: str) -> float:
    value = number(row.text(column))
    if isinstance(value, str) or not 0 < value < 1e18:
        raise row.error(column, f"{row.text(column)!r} is not a number above 0")
    return float(value)
