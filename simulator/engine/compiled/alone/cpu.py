# SPDX-License-Identifier: MIT
"""
The CPU of an only task
-----------------------

Nobody interrupts it: only tasks send interrupts.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("OnlyCpu",)


@dataclass(slots=True)
class OnlyCpu:
    """A CPU that takes no interrupts."""

    number: int
    busy_until_ns: int
    irqs_off: bool = False
    stolen_ns: int = 0

    def enable_irqs(self, now_ns: int) -> None:  # noqa: ARG002 - as other CPUs
        """Turn interrupts on."""
        self.irqs_off = False

    def sleep(self, now_ns: int) -> None:
        """Go idle, which nobody sees."""

    def wake(self, now_ns: int) -> None:
        """Go on with the task."""

    def stall(self, ns: int) -> bool:
        """Lose time without an interrupt, which nobody is there to cause."""
        self.stolen_ns += ns
        return True

    def hold(self, ns: int, until_ns: int) -> None:
        """Stand still, for which nobody is there to ask."""
        self.stall(ns)
        self.busy_until_ns = max(self.busy_until_ns, until_ns)

    def leave(self, now_ns: int) -> None:
        """Go on without the task, which has ended."""
        self.busy_until_ns = max(self.busy_until_ns, now_ns)
