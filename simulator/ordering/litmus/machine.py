# SPDX-License-Identifier: MIT
"""
A program on a memory model, as states and steps
------------------------------------------------

A state is a flat tuple: the invariant broken so far, memory, and of each CPU which operations
it has performed (a bit each), what its loads found, what its TLB may hold.  :class:`Machine`
says what can happen next in a state, and what a final one says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from simulator.ordering.litmus.cpu import Cpu
from simulator.ordering.litmus.memory import BROKEN, NOT_YET, Memory, State
from simulator.ordering.litmus.models import Model
from simulator.ordering.litmus.program import Program

__all__ = ("Machine",)

# After these a machine goes on in a way that is defined, and so does the exploration.
_GOES_ON: Final = ("", "size-and-frame")


class Machine:
    """The states of a program on a model: the first, the successors, what a final one says."""

    def __init__(self, program: Program, model: Model) -> None:
        self.program = program
        self.memory = Memory(program)
        self.cpus = [Cpu(self.memory, model, n, t) for n, t in enumerate(program.threads)]
        for cpu in self.cpus:
            cpu.compile(self.cpus)

    def first(self) -> State:
        """Return the state before anything was performed."""
        return self.memory.first()

    def broken(self, state: State) -> str:
        """Return the invariant that was broken on the way, or ``""``."""
        return str(state[BROKEN])

    def ends(self, state: State) -> bool:
        """Return whether an invariant was broken after which nothing is defined."""
        return state[BROKEN] not in _GOES_ON

    def steps(self, state: State) -> Iterator[tuple[int, str, State]]:
        """Yield (CPU, what it does, the state after) for everything that can happen."""
        if self.ends(state):
            return
        for cpu in self.cpus:
            for text, step in cpu.ready(state[cpu.mask]):
                for after in step(state):
                    yield cpu.number, text, after
        for n, slot in enumerate(self.memory.ipi):
            if state[slot] is not None:
                yield from self._take_ipi(state, n)

    def done(self, state: State) -> bool:
        """Return whether all threads have performed all they do."""
        return all(cpu.done(state) for cpu in self.cpus) and all(
            state[slot] is None for slot in self.memory.ipi
        )

    def waits(self, state: State) -> bool:
        """
        Return whether a state without successors is one in which CPUs wait for ever.

        Elsewhere a CPU has gone ahead on a guess that turned out wrong, which it would repeat.
        """
        return all(cpu.between_operations(state[cpu.mask]) for cpu in self.cpus)

    def final(self, state: State) -> dict[str, Any]:
        """Return what locations and registers hold, and which accesses faulted."""
        found = {name: state[slot] for name, slot in self.memory.slot.items()}
        for cpu in self.cpus:
            found.update(cpu.registers(state))
        return found

    def at_end(self, final: Mapping[str, Any]) -> str:
        """Return the invariant that a final state breaks, or ``""``."""
        return next((name for name, holds in self.program.at_end if not holds(final)), "")

    def told(self, cpu: int, text: str, before: State, after: State) -> str:
        """Return what a step does, with what a load finds."""
        for slot in self.cpus[cpu].loaded():
            if before[slot] is NOT_YET and after[slot] is not NOT_YET:
                return f"{text} -> {after[slot]}"
        return text

    def _take_ipi(self, state: State, n: int) -> Iterator[tuple[int, str, State]]:
        cpu = self.cpus[n]
        scope, how, acked = state[self.memory.ipi[n]]
        if not acked and not cpu.between_operations(state[cpu.mask]):
            return
        new = list(state)
        if how == "acknowledged early" and not acked:
            new[self.memory.ipi[n]] = (scope, how, True)
            yield n, "(IPI: acknowledge)", tuple(new)
            return
        self.memory.flush(new, n, scope, how)
        new[self.memory.ipi[n]] = None
        self.memory.refill(new)
        yield n, "(IPI: flush the TLB)", tuple(new)
