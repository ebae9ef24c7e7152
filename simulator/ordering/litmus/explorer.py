# SPDX-License-Identifier: MIT
"""
All interleavings
-----------------

Breadth first over the states of a :class:`Machine`, so that what is found first is shortest.
Memory is finite and every operation is performed once: the search ends, unless it meets the
limit on states.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from simulator.errors import InputError
from simulator.ordering.litmus.machine import Machine
from simulator.ordering.litmus.memory import State
from simulator.ordering.litmus.models import Model
from simulator.ordering.litmus.program import Program

__all__ = ("LIMIT", "Found", "Move", "explore")

# States. The largest case has a tenth of them, the largest litmus test a hundredth.
LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Move:
    """One step of an interleaving: the CPU, and what it does; or a remark after the last."""

    cpu: int
    text: str
    is_step: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """
    What all interleavings of a program come to.

    ``final_states``: how many states an execution can end in, done or with an invariant broken.
    ``verdict``: ``Never``, ``Sometimes`` or ``Always`` for a named condition, ``safe`` or
    ``unsafe`` for invariants, ``stuck`` if no execution comes to its end.  ``broken`` has an
    interleaving for every invariant that can be broken; ``witness`` is the shortest that meets
    the condition, or gets stuck.  ``needs_bbm`` names a live descriptor that gets another output
    address.
    """

    verdict: str
    states: int
    final_states: int
    broken: dict[str, tuple[Move, ...]]
    witness: tuple[Move, ...]
    needs_bbm: str


def explore(program: Program, model: Model, limit: int = LIMIT) -> Found:
    """Explore all interleavings of a program; raises InputError beyond `limit` states."""
    search = _Search(Machine(program, model))
    for state in search.reached:
        search.expand(state)
        if len(search.reached) > limit:
            raise InputError(
                f"{program.name}: more than {limit:,} states under {model.name} (limit), "
                f"{len(search.finals):,} of them final, after {search.depth(state):,} steps"
            )
    return search.found()


class _Search:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        first = machine.first()
        self.reached = [first]
        self.finals: dict[tuple[object, ...], bool] = {}
        self._came_from: dict[State, State | None] = {first: None}
        self._broken: dict[str, State] = {}
        self._nr_ended = 0
        self._witness: State | None = None
        self._stuck: State | None = None

    def expand(self, state: State) -> None:
        """Note what a state says, and what can follow it."""
        machine, came_from = self.machine, self._came_from
        if name := machine.broken(state):
            self._broken.setdefault(name, state)
            self._nr_ended += machine.ends(state)
        moved = False
        for _cpu, _text, after in machine.steps(state):
            moved = True
            if after not in came_from:
                came_from[after] = state
                self.reached.append(after)
        if machine.done(state):
            self._end(state)
        elif not moved and not machine.ends(state) and machine.waits(state):
            self._stuck = self._stuck or state

    def _end(self, state: State) -> None:
        final = self.machine.final(state)
        if name := self.machine.at_end(final):
            self._broken.setdefault(name, state)
        ask = self.machine.program.asked
        asked = ask is not None and ask(final)
        self.finals[tuple(final.items())] = asked
        if asked:
            self._witness = self._witness or state

    def found(self) -> Found:
        """Return what it all comes to."""
        asks = self.machine.program.asked is not None
        broken, witness = dict(self._broken), self._witness
        if self._stuck is not None and self.finals and not asks:
            broken["deadlock"] = self._stuck
        if not self.finals and not broken:
            verdict, witness = "stuck", self._stuck
        elif asks:
            verdict = _in_words(list(self.finals.values()))
        else:
            verdict = "unsafe" if broken else "safe"
        return Found(
            verdict,
            len(self.reached),
            len(self.finals) + self._nr_ended,
            {name: self._moves(state) for name, state in broken.items()},
            self._moves(witness) if witness is not None else (),
            self.machine.memory.needs_bbm,
        )

    def _way(self, state: State) -> list[State]:
        way = [state]
        while (before := self._came_from[way[-1]]) is not None:
            way.append(before)
        return way[::-1]

    def depth(self, state: State) -> int:
        """Return how many steps lead to a state."""
        return len(self._way(state)) - 1

    def _moves(self, last: State) -> tuple[Move, ...]:
        machine = self.machine
        moves = [
            next(
                Move(cpu, machine.told(cpu, text, state, then))
                for cpu, text, after in machine.steps(state)
                if after == then
            )
            for state, then in itertools.pairwise(self._way(last))
        ]
        return (
            *moves,
            *(Move(cpu, text, is_step=False) for cpu, text in machine.memory.explained(last)),
        )


def _in_words(asked: list[bool]) -> str:
    if all(asked):
        return "Always"
    return "Sometimes" if any(asked) else "Never"
