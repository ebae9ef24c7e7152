# SPDX-License-Identifier: MIT
"""
Scenarios that travel to another process or machine
---------------------------------------------------

A profile and a noise travel as what they say, a user's kernel as the text of
its file: nothing on the other side needs the files that a scenario names.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.experiment.cell import encode, simulate_cell
from simulator.experiment.code import code_key
from simulator.kernel import load_kernel
from simulator.scenario import Scenario

__all__ = ("Parcel", "pack", "self_contained", "simulate_parcels")


@dataclass(frozen=True)
class Parcel:
    """
    A scenario by content, and its key.

    ``kernel_file`` is the name of a user's file and its text.
    """

    fields: dict[str, Any]
    kernel_file: tuple[str, str] | None
    key: str


def self_contained(scenario: Scenario) -> Scenario:
    """Return the scenario with the objects that machine and noise name: read once, not anew."""
    return scenario.replace(machine=scenario.machine_model, noise=scenario.noise_model)


def pack(scenario: Scenario) -> Parcel:
    """Return a scenario by content; a user's kernel file as it was when it was loaded."""
    whole = self_contained(scenario)
    fields = {name: getattr(whole, name) for name in Scenario.model_fields}
    # A mapping of a user may be of any class, which the other side may not have.
    for name in ("faults", "tunables"):
        fields[name] = dict(fields[name])
    kernel = scenario.kernel_class
    if "own_text" not in vars(kernel):
        return Parcel(fields, None, scenario.key)
    file = Path(kernel.own_file).name, kernel.own_text
    return Parcel(fields | {"kernel": None}, file, scenario.key)


def simulate_parcels(
    parcels: Sequence[Parcel], code: str, *, check: bool = True
) -> tuple[list[bytes], float]:
    """
    Simulate where the parcels came to; return the bytes of their cells, and the seconds it took.

    InputError if the code there is not the one that they were sent by, or a kernel.
    """
    if code_key() != code:
        raise InputError("cluster: a worker runs other code than this; install the same tlbsim")
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tlbsim-") as folder:
        scenarios = [_unpacked(parcel, Path(folder)) for parcel in parcels]
        found = [encode(simulate_cell(scenario, check=check)) for scenario in scenarios]
    return found, time.perf_counter() - begin


def _unpacked(parcel: Parcel, folder: Path) -> Scenario:
    scenario = _scenario(parcel, folder)
    # A class of a module is found by its name there, and the module may be another by now.
    if scenario.key != parcel.key:
        raise InputError(
            f"kernel: {scenario.kernel_class.name} is not the same in another process; was the"
            " file of its class changed?"
        )
    return scenario


def _scenario(parcel: Parcel, folder: Path) -> Scenario:
    if parcel.kernel_file is None:
        return Scenario(**parcel.fields)
    name, text = parcel.kernel_file
    path = folder / hashlib.sha256(text.encode()).hexdigest() / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    return Scenario(**parcel.fields | {"kernel": load_kernel(path)})
