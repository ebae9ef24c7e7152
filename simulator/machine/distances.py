# SPDX-License-Identifier: MIT
"""
How far two CPUs are apart
--------------------------

Four distances, and their names in profiles, options and reports.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ("DISTANCES", "Distance")


class Distance(IntEnum):
    """How far two CPUs are apart; also the index of a cost by distance."""

    CORE = 0
    SOCKET = 1
    HOP1 = 2
    HOP2 = 3


#: The names of the distances, the nearest first: fields of
#: :class:`simulator.machine.values.CostByDistance`.
DISTANCES = tuple(distance.name.lower() for distance in Distance)
