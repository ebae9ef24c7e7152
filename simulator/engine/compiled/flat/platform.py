# SPDX-License-Identifier: MIT
"""
What the compiled engine asks of a machine
------------------------------------------

Beyond :class:`simulator.engine.platform.Platform`: the numbers themselves, to be
laid out in a flat array.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from simulator.engine.platform import Cost, IdleState, Platform, Spells

__all__ = ("FlatPlatform", "SpellTable")

Int64s = npt.NDArray[np.int64]


class FlatCost(Cost, Protocol):
    """A cost with its mean by distance (1/1024 ns) and the quantiles of its spread."""

    @property
    def mean_fp(self) -> tuple[int, ...]: ...
    @property
    def spread(self) -> Int64s | None: ...
    @property
    def purpose(self) -> int: ...


class FlatCosts(Protocol):
    """Every cost, by name."""

    def __getitem__(self, name: str) -> FlatCost: ...


class FlatIdleState(IdleState, Protocol):
    """A C-state with the idle time from which it is chosen."""

    @property
    def residency_ns(self) -> int: ...


class SpellTable(Protocol):
    """A class of spells."""

    @property
    def key(self) -> int: ...
    @property
    def frame_ns(self) -> int: ...
    @property
    def threshold(self) -> int: ...
    @property
    def mean_fp(self) -> int: ...
    @property
    def length(self) -> Int64s | None: ...
    @property
    def phase_ns(self) -> tuple[int, ...]: ...


class FlatSpells(Spells, Protocol):
    """The classes of spells; None where the machine has none."""

    @property
    def idle(self) -> SpellTable: ...
    @property
    def preempted(self) -> SpellTable | None: ...
    @property
    def irqs_off(self) -> SpellTable: ...


class FlatPlatform(Platform, Protocol):
    """A machine whose numbers can be read."""

    @property
    def key(self) -> int: ...
    @property
    def apic_id(self) -> tuple[int, ...]: ...
    @property
    def ipi_mode(self) -> str: ...
    @property
    def ipi_shorthand(self) -> bool: ...
    @property
    def idle_states(self) -> tuple[FlatIdleState, ...]: ...
    @property
    def costs(self) -> FlatCosts: ...
    @property
    def spells(self) -> FlatSpells: ...
