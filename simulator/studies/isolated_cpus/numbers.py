# SPDX-License-Identifier: MIT
"""
What isolated CPUs lose
-----------------------
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.analysis.frames import ResultFrames, of_phase, records

__all__ = ("Disturbed", "disturbed")


@dataclass(frozen=True)
class Disturbed:
    """
    One phase, on the isolated CPUs.

    ``interrupts`` of all of them together; ``lost_ns`` of one, the mean; ``entries_per_s`` its
    kernel entries.
    """

    way: str
    entries_per_s: int
    phase: str
    elapsed_ns: int
    interrupts: int
    lost_ns: float


def disturbed(result: ResultFrames, way: str, entries_per_s: int) -> list[Disturbed]:
    """Return the phases of a run."""
    s = result.scenario
    first = s.nr_cpus - s.tunables["nr_isolated"]
    isolated = result.cpus[result.cpus["cpu"] >= first]
    return [
        Disturbed(
            way=way,
            entries_per_s=entries_per_s,
            phase=row["phase"],
            elapsed_ns=row["elapsed_ns"],
            interrupts=int(of_phase(isolated, row["phase"])["ipis"].sum()),
            lost_ns=float(of_phase(isolated, row["phase"])["lost_ns"].mean()),
        )
        for row in records(result.summary)
    ]
