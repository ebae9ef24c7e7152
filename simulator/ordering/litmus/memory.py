# SPDX-License-Identifier: MIT
"""
What the CPUs of a program share: memory, page tables, TLBs, pages given back
------------------------------------------------------------------------------

A state is a flat tuple.  :class:`Memory` lays it out (a CPU adds what it needs with
:meth:`Memory.add`) and changes what is in it.

Modelled: an IPI is taken between two operations of its target with the store buffer empty
(``sc``, ``tso``).

Not modelled: interrupts off, other handlers; an IPI that is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from simulator.errors import InputError, nearest
from simulator.ordering.litmus.program import Op, Program
from simulator.ordering.litmus.tlb import Entry, Translation

__all__ = ("BROKEN", "FAULT", "NOT_YET", "Memory", "State", "Step")

State = tuple[Any, ...]
Step = Callable[[State], Iterable[State]]

#: Where in a state the invariant is that was broken so far.
BROKEN = 0
#: What a load has found before it was performed.
NOT_YET = None
#: What an access reaches that is not mapped.
FAULT = "fault"


class Memory:
    """The part of a state that is no CPU's own: ``slot`` says where each location is."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.needs_bbm = ""
        self._table = table = program.translation or Translation({"": {}})
        self._first: list[Any] = [""]
        self.slot: dict[str, int] = {}
        for name in _locations(program, table):
            self.slot[name] = self.add(program.memory.get(name, 0))
        #: Where what walkers read is in a state.
        self.walked = {self.slot[loc] for loc in table.locations()}
        kinds = {op.kind for thread in program.threads for op in thread.ops}
        # A state is compared and hashed: what no operation changes stays out of it.
        used = table.locations() or kinds & {"IPI", "TLBI", "WAIT", "FREE"}
        tlbs = program.threads if used else ()
        self._tlb = [self.add(frozenset[Entry]()) for _ in tlbs]
        #: Where of each CPU the IPI is that it has still to take.
        self.ipi = [self.add(None) for _ in tlbs]
        self._freed = self.add(frozenset[str]()) if tlbs else -1

    def add(self, value: Any) -> int:
        """Add something to the state; return where it is."""
        self._first.append(value)
        return len(self._first) - 1

    def first(self) -> State:
        """Return the state before anything was performed."""
        state = list(self._first)
        self.refill(state)
        return tuple(state)

    def refill(self, state: list[Any]) -> None:
        """Let every TLB hold what its walker may find now."""
        table, slot = self._table, self.slot

        def read(loc: str) -> Any:
            return state[slot[loc]]

        for tlb in self._tlb:
            state[tlb] = held = state[tlb] | table.walk(read, state[tlb])
            if table.reaches(held, state[self._freed]):
                state[BROKEN] = "freed-while-held"
            elif table.size_and_frame(held):
                state[BROKEN] = state[BROKEN] or "size-and-frame"
        if self.program.on_fault and table.faults(read):
            state[BROKEN] = self.program.on_fault

    def store(self, state: list[Any], slot: int, value: Any) -> None:
        """Write memory; a descriptor may be walked at once."""
        old, state[slot] = state[slot], value
        if slot in self.walked:
            if old and value and old != value and self._output_changes(old, value):
                changed = next(name for name, at in self.slot.items() if at == slot)
                self.needs_bbm = self.needs_bbm or changed
            self.refill(state)

    # A leaf replaced by a table of the same frames is no change of the output address.
    def _output_changes(self, old: Any, new: Any) -> bool:
        return not {old, new} & {*self._table.tables, *self._table.leaves}

    def flush(self, state: list[Any], cpu: int, scope: frozenset[str], how: str) -> None:
        """Drop what the TLB of a CPU may hold; it may walk again at once."""
        state[self._tlb[cpu]] = self._table.invalidate(state[self._tlb[cpu]], scope, how)

    def send(self, state: list[Any], n: int, op: Op) -> None:
        """Flush here, and ask all other CPUs to."""
        self.flush(state, n, op.scope, op.how)
        for other, slot in enumerate(self.ipi):
            if other != n:
                state[slot] = (op.scope, op.how, False)
        self.refill(state)

    def answered(self, state: State, n: int) -> bool:
        """Return whether no other CPU has still to acknowledge."""
        waiting = (state[slot] for other, slot in enumerate(self.ipi) if other != n)
        return all(ipi is None or ipi[2] for ipi in waiting)

    def free(self, state: list[Any], frame: str) -> None:
        """Give a page back."""
        state[self._freed] |= {frame}
        if any(self._table.reaches(state[tlb], state[self._freed]) for tlb in self._tlb):
            state[BROKEN] = "freed-while-held"

    def reached(self, state: State, n: int, va: str) -> list[str]:
        """Return the frames that an access of a CPU may reach, ``fault`` for none."""
        frames = sorted(self._table.frames(va, state[self._tlb[n]]))
        if self._table.faults(lambda loc: state[self.slot[loc]], va):
            frames.append(FAULT)
        return frames

    def explained(self, state: State) -> Iterator[tuple[int, str]]:
        """Yield (CPU, what its TLB may hold) where that breaks an invariant."""
        for n, slot in enumerate(self._tlb):
            if state[BROKEN] == "freed-while-held":
                found = self._table.reaches(state[slot], state[self._freed])
            elif state[BROKEN] == "size-and-frame":
                found = self._table.size_and_frame(state[slot])
            else:
                found = []
            if found:
                yield n, f"(TLB may hold {' and '.join(found)})"


# All locations, those of pages too that are mapped and never named otherwise.
def _locations(program: Program, table: Translation) -> list[str]:
    ops = [op for thread in program.threads for op in thread.ops]
    addresses = {va for one in (*table.tables.values(), *table.leaves.values()) for va in one}
    for op in ops:
        if op.va and op.va not in addresses:
            hint = nearest(op.va, addresses)
            raise InputError(f"{program.name}: no table translates address {op.va!r}{hint}")
    walked = table.locations()
    mapped = [op.value for op in ops if op.loc in walked]
    mapped += [value for loc, value in program.memory.items() if loc in walked]
    tables = {*table.tables, *table.leaves}
    frames = [value for value in mapped if isinstance(value, str) and value not in tables]
    frames += [frame for leaf in table.leaves.values() for frame in leaf.values()]
    named = sorted({op.loc for op in ops if op.loc})
    return list(
        dict.fromkeys((*named, *sorted(walked), *frames, *program.memory, *program.locations))
    )
