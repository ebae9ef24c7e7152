# SPDX-License-Identifier: MIT
"""
What engines see of a machine
-----------------------------

A profile, a noise and a seed as flat tables of integers: costs and their
quantiles, distances and interrupt-controller writes, spells.
"""

from __future__ import annotations

from simulator.machine.lowered.costs import LoweredCost, LoweredCosts
from simulator.machine.lowered.machine import LoweredIdleState, Platform, lower
from simulator.machine.lowered.spells import Spells

__all__ = ("LoweredCost", "LoweredCosts", "LoweredIdleState", "Platform", "Spells", "lower")
