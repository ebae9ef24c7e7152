# SPDX-License-Identifier: MIT
"""
What the engine asks of a machine
---------------------------------

The engine knows no profile.  It sees a machine as flat integers through
:class:`Platform`; :mod:`simulator.machine` makes one from a profile, and a test
can make one by hand.  All times are nanoseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from simulator.engine.calls import Call
    from simulator.engine.task import Body, Task
    from simulator.engine.timeline import Timeline
    from simulator.trace.ipis import IpiLog
    from simulator.trace.recorder import Recorder

__all__ = ("NR_DISTANCES", "Cost", "Costs", "Engine", "IdleState", "Platform", "Spells")

#: How far two CPUs can be apart: distances are 0 to 3.
NR_DISTANCES: Final = 4


class Cost(Protocol):
    """The cost of an elementary operation."""

    def ns(self, n: int = 1, distance: int = 0) -> int:
        """Return the mean cost of ``n`` operations at a distance, rounded once."""
        ...


class IdleState(Protocol):
    """A C-state."""

    @property
    def exit_ns(self) -> int: ...
    @property
    def polling(self) -> bool: ...


class Spells(Protocol):
    """What the CPUs without a task do: a function of CPU and time alone."""

    def preempted_until(self, cpu: int, t_ns: int) -> int: ...
    def irqs_off_until(self, cpu: int, t_ns: int) -> int: ...
    def idle_since(self, cpu: int, t_ns: int) -> int: ...
    def idle_at(self, t_ns: int) -> npt.NDArray[np.bool_] | None: ...


class Costs(Protocol):
    """Every cost, by name."""

    def __getitem__(self, name: str) -> Cost: ...


class Platform(Protocol):
    """A machine, lowered to integers, under one seed and replication."""

    @property
    def nr_cpus(self) -> int: ...
    @property
    def socket_of(self) -> tuple[int, ...]: ...
    @property
    def distance(self) -> npt.NDArray[np.int8]: ...
    @property
    def costs(self) -> Costs: ...
    @property
    def spells(self) -> Spells: ...
    def ipi_draws(self, name: str, initiator: int, flush: int) -> npt.NDArray[np.int64]: ...
    def idle_state(self, idle_for_ns: int, cpu: int, since_ns: int) -> IdleState: ...
    def icr_writes(self, initiator: int, cpus: Sequence[int]) -> tuple[tuple[int, ...], ...]: ...


class Engine(Protocol):
    """What kernel code asks of an engine; both engines give the same answers."""

    @property
    def timeline(self) -> Timeline: ...
    @property
    def recorder(self) -> Recorder: ...
    def run(
        self, start_ns: int, bodies: Mapping[int, Body], *, masked: bool = False
    ) -> list[Task]: ...
    def on_each_cpu(self, call: Call, mask: Collection[int] | None = None) -> None: ...
    def replay(self, log: IpiLog) -> bool: ...
