# SPDX-License-Identifier: MIT
"""
Kernel modules
--------------

Code that insmod runs: benchmarks of what the kernel is built from.  A module
stands in for the request of a scenario, see
:func:`simulator.run.simulate_module`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from simulator.engine import Body
from simulator.kernel.hugetlb import Hugetlb

__all__ = ("Module",)


class Module(Protocol):
    """What insmod runs."""

    @property
    def name(self) -> str: ...

    #: Whether it calls functions on some CPUs only.
    @property
    def masked(self) -> bool: ...

    def phases(self, k: Hugetlb) -> Mapping[str, Body | Mapping[int, Body]]:
        """
        Return what it does, one part after another, by the names in the results.

        A part is a task on one CPU, or tasks by CPU.
        """
        ...
