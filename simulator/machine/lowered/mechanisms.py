# SPDX-License-Identifier: MIT
"""
Mechanisms as integers
----------------------

Modelled: a cost is drawn for each step by (seed, replication, purpose, initiator, flush)
where the profile gives it a spread.

Sources: the profile's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.machine.lowered.costs import LoweredCost, lower_cost
from simulator.machine.mechanisms import Mechanism, Mechanisms
from simulator.machine.values import Cost, Count

__all__ = ("LoweredMechanism", "lower_mechanisms")


@dataclass(frozen=True, eq=False)
class LoweredMechanism:
    """
    One mechanism: its numbers and costs by name.

    ``kernel_ranges`` is whether it serves kernel addresses, ``user_mms`` those of processes.
    """

    name: str
    kernel_ranges: bool
    user_mms: bool
    numbers: Mapping[str, int]
    costs: Mapping[str, LoweredCost]


def lower_mechanisms(mechanisms: Mechanisms) -> dict[str, LoweredMechanism]:
    """Return what a machine has besides interrupts, by name."""
    return {name: _lowered(name, found) for name, found in mechanisms.present.items()}


def _lowered(name: str, mechanism: Mechanism) -> LoweredMechanism:
    fields = dict(mechanism)
    return LoweredMechanism(
        name=name,
        kernel_ranges=mechanism.seat.value != "user mms",
        user_mms=mechanism.seat.value != "kernel ranges",
        numbers={key: value.value for key, value in fields.items() if isinstance(value, Count)},
        costs={
            key: lower_cost(f"{name}.{key}", value)
            for key, value in fields.items()
            if isinstance(value, Cost)
        },
    )
