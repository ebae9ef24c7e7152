# SPDX-License-Identifier: MIT
"""
What the hardware is
--------------------

Machine profiles (TOML files in which every value has a unit, a kind, a source
and a range), noise, and :func:`lower`, which turns both into the flat integer
tables that engines and kernel code ask for time.
"""

from __future__ import annotations

from simulator.machine.describe import count_kinds, describe
from simulator.machine.describe_noise import describe_noise
from simulator.machine.layout import Distance
from simulator.machine.load import load_machine, machines
from simulator.machine.noise import Noise, load_noise, noises
from simulator.machine.noisy import check_noise
from simulator.machine.platform import Costs, LoweredCost, LoweredIdleState, Platform, lower
from simulator.machine.schema import Machine
from simulator.machine.spells import Spells

__all__ = (
    "Costs",
    "Distance",
    "LoweredCost",
    "LoweredIdleState",
    "Machine",
    "Noise",
    "Platform",
    "Spells",
    "check_noise",
    "count_kinds",
    "describe",
    "describe_noise",
    "load_machine",
    "load_noise",
    "lower",
    "machines",
    "noises",
)
