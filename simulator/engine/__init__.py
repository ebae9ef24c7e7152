# SPDX-License-Identifier: MIT
"""
How time passes
---------------

CPUs, tasks, locks and broadcasts on a SimPy timeline of integer keys.  The
engine knows no profile and no kernel: it sees a machine as the integers of
:class:`simulator.engine.platform.Platform`, and kernel code as plain
functions that a :class:`simulator.engine.task.Task` runs.  The compiled engine is in
:mod:`simulator.engine.compiled`, which takes long to import.
"""

from __future__ import annotations

from simulator.engine.events import EventsEngine
from simulator.engine.platform import Engine
from simulator.engine.task import Body, Task

__all__ = ("Body", "Engine", "EventsEngine", "Task")
