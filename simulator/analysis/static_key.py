# SPDX-License-Identifier: MIT
"""
What patching a static key takes
--------------------------------

HVO's key is patched when its first user comes and its last one goes, in every loaded
module that has sites of it as well; how many modules that are depends on the machine's
configuration (``static_key_modules``), and nothing here knows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simulator.analysis.frames import ResultTotals, fields_of, name_of, rows_of

__all__ = ("WORTH_NAMING", "StaticKeyShare", "static_key_shares")

#: Of the time of a phase.
WORTH_NAMING = 0.05


@dataclass(frozen=True, slots=True)
class StaticKeyShare:
    """What a kernel's patching takes of a phase: the largest share of all its runs."""

    kernel: str
    phase: str
    share: float
    broadcasts: int
    modules: int


def static_key_shares(results: Iterable[ResultTotals]) -> list[StaticKeyShare]:
    """Return the kernels and phases in which patching takes more than 5 % of the time."""
    found: dict[tuple[str, str], StaticKeyShare] = {}
    for result in results:
        s = result.scenario
        patching_ns: dict[str, int] = {}
        all_ns: dict[str, int] = {}
        for row in rows_of(result, "time_by"):
            phase, ns = str(row["phase"]), int(row["ns"])
            all_ns[phase] = all_ns.get(phase, 0) + ns
            if row["category"] == "static_key":
                patching_ns[phase] = patching_ns.get(phase, 0) + ns
        broadcasts = {
            str(r["phase"]): int(r["other_broadcasts"]) for r in rows_of(result, "summary")
        }
        for phase, ns in patching_ns.items():
            share = ns / all_ns[phase]
            key = name_of(fields_of(s)["kernel"]), phase
            if share > WORTH_NAMING and (key not in found or share > found[key].share):
                modules = s.tunables.get("static_key_modules", 0)
                found[key] = StaticKeyShare(*key, share, broadcasts[phase], modules)
    return list(found.values())
