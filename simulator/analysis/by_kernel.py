# SPDX-License-Identifier: MIT
"""
Phases of runs that differ in their kernel
------------------------------------------

One row for each phase of each run: its time, what it broadcast and waited for, and what
the other CPUs lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.analysis.frames import ResultFrames, name_of, of_phase, records, row_of_phase
from simulator.analysis.safety import any_unsafe

__all__ = ("KernelPhase", "kernel_phases", "of_kernels")


@dataclass(frozen=True)
class KernelPhase:
    """
    One phase of one run.

    ``group`` is what was asked of all kernels alike, ``pages`` how many huge pages it was
    about, ``pages_got`` how many there were at its end; ``flush_ns`` the tasks' time in
    flushes, ``rcu_ns`` the grace periods of the task that waited longest; ``static_key`` the
    broadcasts that patch HVO's key; ``lost_ns`` what CPUs without a task lost to interrupts,
    all together; ``unsafe``, that the run broke what must hold.
    """

    kernel: str
    group: str
    phase: str
    pages: int
    elapsed_ns: int
    flushes: int
    flush_ns: int
    grace_periods: int
    rcu_ns: int
    static_key: int
    lost_ns: int
    pages_got: int
    unsafe: bool


def kernel_phases(result: ResultFrames, group: str, pages: int) -> list[KernelPhase]:
    """Return the phases of a run, each about so many huge pages."""
    waits = result.time_by[result.time_by["category"] == "rcu"]
    unsafe = any_unsafe([result])
    targets = result.cpus[result.cpus["role"] == "target"]
    return [
        KernelPhase(
            kernel=name_of(result.scenario.kernel),
            group=group,
            phase=row["phase"],
            pages=pages,
            elapsed_ns=row["elapsed_ns"],
            flushes=row["flushes"],
            flush_ns=row["flush_ns"],
            grace_periods=row_of_phase(result.counts, row["phase"])["synchronize_rcu_calls"],
            rcu_ns=max(of_phase(waits, row["phase"])["ns"].tolist(), default=0),
            static_key=row["other_broadcasts"],
            lost_ns=int(of_phase(targets, row["phase"])["lost_ns"].sum()),
            pages_got=row_of_phase(result.counts, row["phase"])["pages_got"],
            unsafe=unsafe,
        )
        for row in records(result.summary)
    ]


def of_kernels(rows: Sequence[KernelPhase]) -> list[str]:
    """Return the names of the kernels, in their order."""
    return list(dict.fromkeys(row.kernel for row in rows))
