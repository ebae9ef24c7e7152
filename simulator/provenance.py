# SPDX-License-Identifier: MIT
"""
Where the numbers of a result come from
---------------------------------------

What it takes to make them again, how many of the costs behind them are
assumed, and what a reader has to know before trusting them.
"""

from __future__ import annotations

import platform as host
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from simulator import __version__
from simulator.kernel import Kernel
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.replaced import patch_notes
from simulator.machine import MECHANISM_TEXT, Machine
from simulator.scenario import Scenario
from simulator.version import commit, package_versions

__all__ = ("check_provenance", "provenance")


class _Provenance(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    key: str
    version: str
    commit: str | None
    engine: str
    seed: int
    replication: int
    costs: int
    assumed_costs: int
    set: dict[str, str]
    fitted: list[str]
    fitted_to_patched: list[str]
    notes: list[str]
    python: str
    packages: dict[str, str]
    checked: list[str] = []
    native: bool = False


def check_provenance(found: Mapping[str, Any]) -> None:
    """Raise ValueError unless `found` has all that :func:`provenance` returns."""
    _Provenance.model_validate(found)


def provenance(
    scenario: Scenario, notes: Sequence[str], checked: Sequence[str] = (), *, native: bool = False
) -> dict[str, Any]:
    """
    Return the provenance of a run.

    ``notes`` are what only the run could tell, ``checked`` the invariants that it was held
    against, ``native`` whether compiled code ran it (:mod:`simulator.native`).
    """
    return {
        "key": scenario.key,
        "version": __version__,
        "commit": commit(),
        "engine": "events" if scenario.engine == "events" else "compiled",
        "seed": scenario.seed,
        "replication": scenario.replication,
        **_of_machine(scenario.machine_model),
        "notes": [*_notes(scenario), *notes],
        "python": host.python_version(),
        "packages": package_versions(),
        "checked": list(checked),
        "native": native,
    }


def _of_machine(machine: Machine) -> dict[str, Any]:
    nr_costs, nr_assumed, changed, fitted, to_patched = _counted(machine)
    return {
        "costs": nr_costs,
        "assumed_costs": nr_assumed,
        "set": dict(changed),
        "fitted": list(fitted),
        "fitted_to_patched": list(to_patched),
    }


# Replications have the same machine.
@lru_cache(maxsize=16)
def _counted(machine: Machine) -> tuple[int, int, Mapping[str, str], Sequence[str], Sequence[str]]:
    kinds = machine.count_kinds()
    fitted, to_patched = (machine.fitted(patched=patched) for patched in (False, True))
    return sum(kinds.values()), kinds["assumed"], machine.changed(), fitted, to_patched


def _notes(scenario: Scenario) -> list[str]:
    kernel = scenario.kernel_class
    notes = patch_notes(kernel)
    if kernel.proposed_in:
        notes.append(f"{kernel.name} was never merged; proposed in {kernel.proposed_in}")
    if scenario.path == "boot" and scenario.allocators > 1 and _boots_with_one(kernel):
        notes.append(
            f"extrapolation: {kernel.name} allocates at boot with one thread;"
            " parallel allocation came in v6.9"
        )
    notes += _mechanism_notes(scenario)
    machine, noise = scenario.machine_model, scenario.noise_model
    if noise.asks_for_preemption and not machine.virtual:
        notes.append(f"noise {noise.name}: {machine.name} is bare metal, no CPU is preempted")
    return notes


def _boots_with_one(kernel: type[Kernel]) -> bool:
    return kernel.boot_threads is Hugetlb.boot_threads


# What carries flushes, where it is not as on every machine.
def _mechanism_notes(scenario: Scenario) -> list[str]:
    kernel, mechanism = scenario.kernel_class, scenario.flush_mechanism
    if mechanism != "ipi":
        text = MECHANISM_TEXT[mechanism]
        published = f"; extrapolation: nobody has published HVO with {text}" * scenario.hvo
        return [f"{kernel.name}: flushes by {text}, not by interrupts{published}"]
    present = scenario.machine_model.mechanisms.present
    unused = [MECHANISM_TEXT[name] for name in ("invlpgb", "rar") if name in present]
    return [f"{kernel.name}: flushes by interrupts, not by {name}" for name in unused]
