# SPDX-License-Identifier: MIT
"""
Counts of real kernels
----------------------

How often a real kernel called its flush functions, split a PMD, freed a vmemmap
page, in each phase of a boot; and what a simulation counted instead.  The file
``kernel_counts.csv`` is packaged; a file of one's own has the same columns, or those of
:mod:`simulator.published.action_counts`.

Modelled: `6.1` as ``v6.1``, `6.12` as ``v6.12``, and likewise any kernel of that
spelling.  Mode ``count`` is a write of nr_hugepages, ``surp`` are surplus pages.

Sources: Debian's 6.1.176 and 6.12.107 under QEMU software emulation, one fresh
boot per case, counted with kprobes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulator.errors import InputError, nearest
from simulator.inputs import read_text
from simulator.kernel import kernels
from simulator.published.table import Row, phase_order, read_table
from simulator.trace.words import COUNTS

__all__ = ("AT_LEAST", "Boot", "CountedPhase", "kernel_of", "read_counts")

_BOOT = ("kernel", "vcpus", "hvo", "page_kb", "n_pages", "mode", "run")
_OPTIONAL = ("mode", "run")
#: Counts of the whole machine, to which others than the phase may have added.
AT_LEAST = ("csd_queued_sync_core",)
_PATHS = {"count": "pool", "surp": "surplus"}


@dataclass(frozen=True)
class CountedPhase:
    """
    What was counted in one phase: ``counts`` by column, without what was not measured.

    ``label`` is its name in a simulation, where that is another, and ``before`` that of an
    uncounted phase that leads up to it.  ``given`` of the counts
    say where pages were, and how many; ``unknown`` more were measured that no simulation of
    the phase can know.
    """

    row: Row
    phase: str
    counts: Mapping[str, int]
    label: str = ""
    before: str = ""
    given: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Boot:
    """
    One boot of a real kernel, and its phases in the order in which they ran.

    ``kernel`` and ``page_size`` are by their names here; ``path`` is that of a
    scenario.  Where each row says what was done (:mod:`simulator.published.action_counts`),
    ``script`` has the phases of the scenario and ``splits`` their placement, with and
    without what was not measured; ``nodes`` is the number of nodes.
    """

    kernel: str
    vcpus: int
    hvo: bool
    page_size: str
    pages: int
    path: str
    phases: tuple[CountedPhase, ...]
    script: tuple[str, ...] = ()
    splits: tuple[tuple[int, int | None], ...] = ()
    other_splits: tuple[tuple[int, int | None], ...] = ()
    nodes: int = 1
    modules: int = 0

    @property
    def nr_phases(self) -> int:
        """How many phases the boot had up to the last one counted."""
        return 1 + phase_order(self.phases[-1].phase)


def read_counts(path: Path | None = None) -> tuple[Boot, ...]:
    """
    Return the boots of a file of counts (None: the one that is packaged).

    Raises InputError, with one line, for whatever does not make sense in it.

    >>> boots = read_counts()
    >>> boots[0].kernel, boots[0].vcpus, boots[0].pages, boots[0].phases[0].counts["pmd_splits"]
    ('v6.1', 2, 1, 1)
    """
    required = [name for name in _BOOT if name not in _OPTIONAL]
    optional = (*_OPTIONAL, *COUNTS)
    rows: dict[tuple[str, ...], list[Row]] = {}
    if path is not None:
        # Here, as that module has rows and kernels from this one.
        from simulator.published.action_counts import read_actions, read_boots

        header = read_text(path, f"counts: {path}").partition("\n")[0]
        columns = {name.strip() for name in header.split(",")}
        if "boot_params" in columns:
            return read_boots(path)
        if "action" in columns:
            return read_actions(path)
    for row in read_table("counts", path, "kernel_counts.csv", [*required, "phase"], optional):
        rows.setdefault(tuple(row.fields.get(name, "") for name in _BOOT), []).append(row)
    if not rows:
        raise InputError(f"counts: {path} has no rows")
    return tuple(_boot(boot) for alike in rows.values() for boot in _boots(alike))


# A first fill after a boot is of another boot, whether or not a run is named.
def _boots(alike: Sequence[Row]) -> list[list[Row]]:
    boots: list[list[Row]] = []
    for row in alike:
        if not boots or row.phase("phase") == "alloc":
            boots.append([])
        boots[-1].append(row)
    return boots


def _boot(rows: Sequence[Row]) -> Boot:
    first = rows[0]
    return Boot(
        kernel=kernel_of(first),
        vcpus=first.number("vcpus", 1),
        hvo=first.on_off("hvo"),
        page_size=first.page_size("page_kb"),
        pages=first.number("n_pages", 1),
        path=_PATHS[first.one_of("mode", _PATHS)] if first.fields.get("mode") else "pool",
        phases=tuple(_phases(rows)),
    )


def kernel_of(row: Row) -> str:
    """Return the kernel of a row by its name here."""
    stable = re.match(r"[0-9]+[.][0-9]+[.][0-9]+", row.fields.get("kernel_release", ""))
    if stable and f"v{stable[0]}" in kernels():
        return f"v{stable[0]}"
    text = row.text("kernel")
    name = f"v{text.removeprefix('v')}"
    if name in kernels():
        return name
    releases = {kernel: release for kernel in kernels() if (release := _release(kernel))}
    wanted = _release(name)
    if wanted is None:
        hint = nearest(text, [kernel.removeprefix("v") for kernel in kernels()])
        known = ", ".join(kernel.removeprefix("v") for kernel in releases)
        raise row.error("kernel", f"{text!r} is not known{hint or f'; known: {known} and patches'}")
    # Of two releases the difference of their numbers says more than that of their digits.
    near = min(releases, key=lambda kernel: abs(releases[kernel] - wanted))
    raise row.error("kernel", f"{text!r} is not known (nearest: {near.removeprefix('v')})")


# v6.12 as 6012; None for what is no release.
def _release(kernel: str) -> int | None:
    release = re.fullmatch(r"v([0-9]{1,3})[.]([0-9]{1,3})", kernel)
    return None if release is None else 1000 * int(release[1]) + int(release[2])


def _phases(rows: Sequence[Row]) -> Iterator[CountedPhase]:
    last = ""
    for row in rows:
        phase = row.phase("phase")
        if last and phase_order(phase) <= phase_order(last):
            raise row.error("phase", f"{phase!r} comes after {last!r}; a boot begins with 'alloc'")
        last = phase
        measured = [name for name in COUNTS if row.fields.get(name)]
        yield CountedPhase(row, phase, {name: row.number(name) for name in measured})
