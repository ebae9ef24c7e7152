# SPDX-License-Identifier: MIT
"""
What the hardware is
--------------------

Machine profiles (TOML files in which every value has a unit, a kind, a source
and a range), noise, and :func:`lower`, which turns both into the flat integer
tables that engines and kernel code ask for time.

From below: ``units`` and ``distances``; ``values`` (one value of a profile),
``schema`` and ``mechanisms`` (its tables), ``fits`` (what was fitted to what), ``override`` (what
the user set), ``model`` (the whole machine), ``inherit`` and ``load`` (TOML files); ``mixture``,
``noise`` and ``noisy`` (a noise on a machine); ``lowered`` (what engines see).
"""

from __future__ import annotations

from simulator.machine.distances import DISTANCES, Distance
from simulator.machine.load import load_machine, machines
from simulator.machine.lowered import (
    LoweredCost,
    LoweredCosts,
    LoweredIdleState,
    Platform,
    Spells,
    lower,
)
from simulator.machine.mechanisms import MECHANISM_TEXT
from simulator.machine.model import Machine
from simulator.machine.noise import Noise, load_noise, noises
from simulator.machine.noisy import check_noise

__all__ = (
    "DISTANCES",
    "MECHANISM_TEXT",
    "Distance",
    "LoweredCost",
    "LoweredCosts",
    "LoweredIdleState",
    "Machine",
    "Noise",
    "Platform",
    "Spells",
    "check_noise",
    "load_machine",
    "load_noise",
    "lower",
    "machines",
    "noises",
)
