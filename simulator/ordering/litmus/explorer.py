# SPDX-License-Identifier: MIT
"""
All interleavings
-----------------

Breadth first over the states of a :class:`Machine`, so that what is found first is shortest.
Memory is finite and every operation is performed once: the search ends, unless it meets the
limit on states.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.errors import InputError
from simulator.ordering.litmus.machine import Machine, State
from simulator.ordering.litmus.models import Model
from simulator.ordering.litmus.program import Program

__all__ = ("LIMIT", "Found", "Move", "explore")

# States. The largest case has a tenth of them, the largest litmus test a hundredth.
LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Move:
    """One step of an interleaving: the CPU, and what it does."""

    cpu: int
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """
    What all interleavings of a program come to.

    ``verdict``: ``Never``, ``Sometimes`` or ``Always`` for a named condition, ``safe`` or
    ``unsafe`` for invariants, ``stuck`` if no execution comes to its end.  ``broken`` has an
    interleaving for every invariant that can be broken; ``witness`` is the shortest that meets
    the condition, or gets stuck.  ``needs_bbm`` names a live descriptor whose output address changes.
    """

    verdict: str
    states: int
    final_states: int
    broken: dict[str, tuple[Move, ...]]
    witness: tuple[Move, ...]
    needs_bbm: str


def explore(program: Program, model: Model, limit: int = LIMIT) -> Found:
    """
    Explore all interleavings of a program; raises InputError beyond `limit` states.
    """
    machine = Machine(program, model)
    first = machine.first()
    came_from: dict[State, State | None] = {first: None}
    reached: list[State] = [first]
    broken: dict[str, State] = {}
    finals: dict[tuple[object, ...], bool] = {}
    witness: State | None = None
    stuck: State | None = None
    for state in reached:
        if (name := machine.broken(state)) and name not in broken:
            broken[name] = state
        moved = False
        for _cpu, _text, after in machine.steps(state):
            moved = True
            if after not in came_from:
                came_from[after] = state
                reached.append(after)
        if len(reached) > limit:
            raise InputError(
                f"{program.name}: more than {limit:,} states under {model.name} (limit), "
                f"{len(finals):,} of them final; the longest interleaving had "
                f"{len(_way(came_from, state)):,} steps"
            )
        if machine.done(state):
            final = machine.final(state)
            if (name := machine.at_end(final)) and name not in broken:
                broken[name] = state
            asked = program.asked is not None and program.asked(final)
            finals[tuple(final.items())] = asked
            if asked and witness is None:
                witness = state
        elif not moved and not machine.ends(state) and machine.waits(state):
            stuck = stuck or state
    ways = {name: _moves(machine, _way(came_from, state)) for name, state in broken.items()}
    if program.asked is not None:
        verdict = _in_words(list(finals.values()))
    else:
        if stuck is not None and finals:
            ways.setdefault("deadlock", _moves(machine, _way(came_from, stuck)))
        verdict = "unsafe" if ways else "safe"
    if not finals and not broken:
        verdict, witness = "stuck", stuck
    return Found(
        verdict,
        len(reached),
        len(finals),
        ways,
        _moves(machine, _way(came_from, witness)) if witness is not None else (),
        machine.needs_bbm,
    )


def _in_words(asked: list[bool]) -> str:
    if all(asked):
        return "Always"
    return "Sometimes" if any(asked) else "Never"


def _way(came_from: dict[State, State | None], state: State) -> list[State]:
    way = [state]
    while (before := came_from[way[-1]]) is not None:
        way.append(before)
    return way[::-1]


def _moves(machine: Machine, way: list[State]) -> tuple[Move, ...]:
    return tuple(
        next(Move(cpu, text) for cpu, text, after in machine.steps(state) if after == then)
        for state, then in zip(way, way[1:], strict=False)
    )
