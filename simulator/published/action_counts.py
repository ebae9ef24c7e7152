# SPDX-License-Identifier: MIT
"""
Counts of what was done row by row
----------------------------------

Two kinds of files beside that of :mod:`simulator.published.counts`: one whose
column ``action`` says what was done before each count, and one of boots, whose column
``boot_params`` has the kernel command line.  Each becomes a list of phases
(:mod:`simulator.kernel.phases`).

==============================================  =========================================
``write N``, ``node0 write N``, ``demote N``    as a phase, for pages of ``page_kb``
``map N``, ``unmap N``, ``exit``                as a phase
``mbind N pages, mapped on node A, to node B``  a phase after one that maps them there
``... (after an uncounted write N)``            that write goes before it
==============================================  =========================================

Rows of one kernel, mode, run and number of CPUs are one boot, in file order.  Where a
row's pool is not what the row before it left, an uncounted write goes between them; where
fewer PMDs were split than pages of memory never used need, that memory was used before.

Given: ``pmd_splits``; ``pages_got`` where fewer pages were there than asked for; the
threads of a boot.  Not to be known: ``csd_queued_sync_core`` beyond the phase's own
broadcasts; how a memmap delta divides between pages of the boot and others, of which the
sum is compared; ``reported_ms``.

Modelled: one module with sites of HVO's static key, as was loaded when these were counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulator.errors import InputError
from simulator.geometry import least_pmds
from simulator.kernel.counted import BOOT_COUNTS, CALL_COUNTS
from simulator.kernel.phases import parse
from simulator.published.counts import Boot, CountedPhase, kernel_of
from simulator.published.table import Row, read_table
from simulator.trace.words import COUNTS

__all__ = ("read_actions", "read_boots")

_MODULES = 1
_OTHER_COLUMNS = ("mode", "run", "seq", "kernel_release", "nodes")
_MEMMAP = ("memmap_pages_delta", "memmap_boot_pages_delta")
_UNCOUNTED = re.compile(r"(.*?) ?\(after an uncounted (.*)\)")
_MBIND = re.compile(r"mbind ([0-9]+) pages, mapped on node ([0-9]+), to node ([0-9]+)")
_SIZES = {"2M": "pool_2m_after", "1G": "pool_1g_after"}
#: Of boots: what is given, and what no simulation knows.
_THREADS = ("distinct_tasks", "threads_reported")
_UNKNOWN = ("reported_ms",)

Splits = tuple[int, int | None]


@dataclass
class _Script:
    # Phases so far, with the splits and pages of each, and the pools that the rows tell of.

    phases: list[str] = field(default_factory=list)
    splits: list[Splits] = field(default_factory=list)
    other_splits: list[Splits] = field(default_factory=list)
    pools: dict[str, int] = field(default_factory=dict)
    hvo: bool | None = None

    def add(self, text: str, splits: Splits = (0, None), other: Splits | None = None) -> None:
        self.phases.append(text)
        self.splits.append(splits)
        self.other_splits.append(splits if other is None else other)


def read_actions(path: Path) -> tuple[Boot, ...]:
    """
    Return the boots of a file whose rows say what was done.

    Raises InputError, with one line, for whatever does not make sense in it.
    """
    required = ["kernel", "vcpus", "hvo", "page_kb", "n_pages", "phase", "action"]
    optional = (*_OTHER_COLUMNS, *COUNTS, *CALL_COUNTS, *_MEMMAP)
    boots: dict[tuple[str, ...], list[Row]] = {}
    for row in read_table("counts", path, "", required, optional):
        names = ("kernel", "kernel_release", "vcpus", "mode", "run", "nodes")
        boots.setdefault(tuple(row.fields.get(name, "") for name in names), []).append(row)
    if not boots:
        raise InputError(f"counts: {path} has no rows")
    return tuple(_boot(rows) for rows in boots.values())


def _boot(rows: Sequence[Row]) -> Boot:
    first = rows[0]
    script = _Script(hvo=first.on_off("hvo"))
    phases = tuple(_phase(row, script) for row in rows)
    return Boot(
        kernel=kernel_of(first),
        vcpus=first.number("vcpus", 1),
        hvo=first.on_off("hvo"),
        page_size="2M",
        pages=1,
        path="pool",
        phases=phases,
        script=tuple(script.phases),
        splits=tuple(script.splits),
        other_splits=tuple(script.other_splits),
        nodes=first.number("nodes", 1) if first.fields.get("nodes") else 1,
        modules=_MODULES,
    )


def _phase(row: Row, script: _Script) -> CountedPhase:
    size = row.page_size("page_kb")
    hvo = row.on_off("hvo")
    counts = {name: row.number(name) for name in (*COUNTS, *CALL_COUNTS) if row.fields.get(name)}
    action = row.text("action")
    if uncounted := _UNCOUNTED.fullmatch(action):
        action = uncounted[1]
    _lead_up(row, script, size, counts, skip=uncounted is not None)
    if hvo is not script.hvo:
        script.phases.append(f"hvo {'on' if hvo else 'off'}")
        script.hvo = hvo
    before = f"line{row.line}before" if uncounted else ""
    if uncounted:
        script.add(f"{before}: {_sized(size, uncounted[2])}")
    label = f"line{row.line}"
    if move := _MBIND.fullmatch(action):
        script.add(f"line{row.line}map: node{move[2]} map {move[1]}")
        action = f"node{move[2]} mbind {move[1]} node{move[3]}"
    text = f"{label}: {_sized(size, action)}"
    try:
        phase = parse(text)
    except InputError as error:
        raise row.error("action", str(error).replace(f"{label}: ", "")) from None
    pages, given = _pages(phase.action, phase.number, phase.node, counts)
    splits = counts.get("pmd_splits")
    script.add(text, (splits or 0, pages), (1 if splits is None else splits, pages))
    _pools_after(script, size, counts)
    unknown = 0
    if all(row.fields.get(name) for name in _MEMMAP):
        counts["memmap_delta"] = sum(row.signed(name) for name in _MEMMAP)
        unknown += 1
    given += bool(splits is not None and hvo)
    return CountedPhase(row, row.text("phase"), counts, label, before, given, unknown)


def _sized(size: str, action: str) -> str:
    return (
        f"{size} {action}" if action.startswith(("write", "node")) and "write" in action else action
    )


# What must have been before the first row, or between two.
def _lead_up(
    row: Row, script: _Script, size: str, counts: Mapping[str, int], *, skip: bool
) -> None:
    before = counts.get("pages_before")
    pages = counts.get("hugepage_allocs", 0)
    if (
        not script.phases
        and script.hvo
        and "pmd_splits" in counts
        and counts["pmd_splits"] < least_pmds(pages, size)
    ):
        script.add(f"line{row.line}used: {size} write {pages}")
        script.add(f"line{row.line}unused: {size} write 0")
    if before is not None and before != script.pools.get(size, 0) and not skip:
        script.add(f"line{row.line}pool: {size} write {before}")


def _pools_after(script: _Script, size: str, counts: Mapping[str, int]) -> None:
    for name, column in _SIZES.items():
        if column in counts:
            script.pools[name] = counts[column]
    if "pages_got" in counts:
        script.pools[size] = counts["pages_got"]


# How many pages the phase finds, if fewer than asked for, and how many counts say so.
def _pages(
    action: str, number: int, node: int | None, counts: Mapping[str, int]
) -> tuple[int | None, int]:
    if action not in ("write", "map") or not {"pages_got", "pages_before"} <= counts.keys():
        return None, 0
    got = counts["pages_got"] - counts["pages_before"]
    if action == "write" and node is None:
        fewer = counts["pages_got"] < number
    else:
        fewer = action == "write" and 0 < got < number
    return (got, 1) if fewer and got >= 0 else (None, 0)


def read_boots(path: Path) -> tuple[Boot, ...]:
    """
    Return the boots of a file of boot-time allocations, each a row.

    Raises InputError, with one line, for whatever does not make sense in it.
    """
    required = ["kernel", "vcpus", "boot_params"]
    optional = ("kernel_release", "run", "nodes", *BOOT_COUNTS, *_UNKNOWN)
    boots = []
    for row in read_table("counts", path, "", required, optional):
        counts = {name: row.number(name) for name in BOOT_COUNTS if row.fields.get(name)}
        threads = counts.get("distinct_tasks") or counts.get("threads_reported")
        script = _Script()
        given = sum(1 for name in _THREADS if counts.get(name))
        for size, asked in _asked(row):
            got = counts.get(f"pool_{size.lower()}")
            pages = got if got is not None and got < asked else None
            given += pages is not None
            suffix = f" threads {threads}" if size == "2M" and threads else ""
            script.add(f"line{row.line}_{size}: {size} boot {asked}{suffix}", (asked, pages))
        if not script.phases:
            raise row.error("boot_params", "has no hugepages=N")
        boots.append(
            Boot(
                kernel=kernel_of(row),
                vcpus=row.number("vcpus", 1),
                hvo="hugetlb_free_vmemmap=on" in row.text("boot_params").split(),
                page_size="2M",
                pages=1,
                path="pool",
                phases=(
                    CountedPhase(
                        row,
                        "boot",
                        counts,
                        ",".join(f"line{row.line}_{size}" for size, _ in _asked(row)),
                        "",
                        given,
                        sum(1 for name in _UNKNOWN if row.fields.get(name)),
                    ),
                ),
                script=tuple(script.phases),
                splits=tuple(script.splits),
                other_splits=tuple(script.splits),
                nodes=row.number("nodes", 1) if row.fields.get("nodes") else 1,
            )
        )
    if not boots:
        raise InputError(f"counts: {path} has no rows")
    return tuple(boots)


# The pages of each size on the command line; 1 GB pages come from memblock, and first.
def _asked(row: Row) -> Iterator[tuple[str, int]]:
    size = "2M"
    asked = {"1G": 0, "2M": 0}
    for word in row.text("boot_params").split():
        key, _, value = word.partition("=")
        if key in ("hugepagesz", "default_hugepagesz"):
            if value not in asked:
                raise row.error("boot_params", f"{word!r} is not 2M or 1G")
            size = value
        elif key == "hugepages":
            if not re.fullmatch(r"[0-9]{1,8}", value):
                raise row.error("boot_params", f"{word!r} is not a number of pages")
            asked[size] = int(value)
    yield from ((name, nr) for name, nr in asked.items() if nr)
