# SPDX-License-Identifier: MIT
"""
What of a machine is fitted, and to which timings
-------------------------------------------------

The text after ``--fit`` is one step of a fit::

    huge_alloc_2m,huge_free_2m@off      two parameters, fitted to the cells with HVO off
    enqueue+ack@on                      one factor on all costs of both, HVO on
    enqueue.hop1                        the cost at one distance, all cells

A parameter is a cost of the machine (``inject``), or several that keep their
ratios (``enqueue+ack``; a cost by distance is such a group by itself).  Its
range is that of the cost; of a group, as far as all its members stay in theirs.
After ``@`` come conditions that the cells have to meet, joined by ``+``.

Without ``--fit`` there are two steps: the base costs of a huge page to the
cells with HVO off, then one cost per target to the cells with HVO on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simulator.analysis.calibrate import Parameter
from simulator.errors import InputError, nearest
from simulator.machine import Machine
from simulator.machine.schema import Costs
from simulator.machine.units import to_ns
from simulator.machine.values import Cost, CostByDistance, Time
from simulator.published.times import Timing

__all__ = ("Group", "Step", "default_steps", "parse_steps")

_CONDITIONS = ("off", "on", "alloc", "free", "2M", "1G")


@dataclass(frozen=True)
class Group:
    """
    One parameter: costs of a machine that keep their ratios.

    ``members`` are their full names, such as ``costs.enqueue.hop1``; ``costs`` the names that a
    profile records.
    """

    name: str
    costs: tuple[str, ...]
    members: Mapping[str, Time]

    @property
    def unit(self) -> str:
        """What the parameter counts: ``"ns"`` of a single cost, ``"factor"`` of several."""
        return "ns" if len(self.members) == 1 else "factor"

    def parameter(self) -> Parameter:
        """Return it with its start and range; InputError if there is nothing to vary."""
        if self.unit == "ns":
            (time,) = self.members.values()
            start = _ns(time, time.value)
            low, high = (_ns(time, bound) for bound in time.range)
        else:
            # A cost of 0 stays 0 under any factor.
            varied = [time for time in self.members.values() if time.value]
            start = 1.0
            low = max((time.range[0] / time.value for time in varied), default=1.0)
            high = min((time.range[1] / time.value for time in varied), default=1.0)
        if not low < high:
            names = ", ".join(self.members)
            raise InputError(f"fit: {self.name}: the machine leaves {names} no range to vary in")
        return Parameter(self.name, start, low, high)

    def values_ns(self, value: float) -> dict[str, float]:
        """Return what the members are in nanoseconds where the parameter is ``value``."""
        if self.unit == "ns":
            return dict.fromkeys(self.members, value)
        return {name: _ns(time, time.value) * value for name, time in self.members.items()}


@dataclass(frozen=True)
class Step:
    """Parameters that are fitted at the same time, and the conditions of their cells."""

    groups: tuple[Group, ...]
    conditions: tuple[str, ...]

    def takes(self, timing: Timing) -> bool:
        """Whether a timing meets the conditions."""
        hvo = "on" if timing.hvo else "off"
        phase = timing.phase.rstrip("0123456789")
        return set(self.conditions) <= {hvo, phase, timing.page_size}

    @property
    def text(self) -> str:
        """The step as it can be given to ``--fit``."""
        names = ",".join(group.name for group in self.groups)
        return f"{names}@{'+'.join(self.conditions)}" if self.conditions else names


def parse_steps(texts: Sequence[str], machine: Machine) -> tuple[Step, ...]:
    """
    Return the steps that the texts after ``--fit`` describe.

    >>> from simulator.machine import load_machine
    >>> (step,) = parse_steps(["enqueue+ack.core@on"], load_machine("laptop-8"))
    >>> list(step.groups[0].members)
    ['costs.enqueue.core', 'costs.enqueue.socket', 'costs.ack.core']
    """
    steps = tuple(_step(text, machine) for text in texts)
    seen: set[str] = set()
    for group in (group for step in steps for group in step.groups):
        for member in group.members:
            if member in seen:
                raise InputError(f"fit: {member} is there twice")
            seen.add(member)
    return steps


def default_steps(machine: Machine, timings: Iterable[Timing]) -> tuple[Step, ...]:
    """
    Return what is fitted unless the user says otherwise.

    The cost per target is what a guest pays inside the hypervisor, one vCPU after another, and
    what bare metal pays in cache lines, at the sender and while it waits.
    """
    timings = tuple(timings)
    texts = []
    sizes = {t.page_size for t in timings if not t.hvo}
    for size in sorted(sizes, reverse=True):
        phases = {t.phase.rstrip("0123456789") for t in timings if t.page_size == size}
        names = [f"huge_{phase}_{size.lower()}" for phase in ("alloc", "free") if phase in phases]
        only = f"+{size}" if len(sizes) > 1 else ""
        texts.append(f"{','.join(names)}@off{only}")
    if any(t.hvo for t in timings):
        texts.append(f"{'inject' if machine.costs.inject.value else 'enqueue+ack'}@on")
    return parse_steps(texts, machine)


def _step(text: str, machine: Machine) -> Step:
    names, at, conditions = text.partition("@")
    wanted = tuple(conditions.split("+")) if at else ()
    for condition in wanted:
        if condition not in _CONDITIONS:
            hint = nearest(condition, _CONDITIONS)
            raise InputError(
                f"fit: {text}: {condition!r} is not one of {', '.join(_CONDITIONS)}{hint}"
            )
    return Step(tuple(_group(name, machine) for name in names.split(",")), wanted)


def _group(text: str, machine: Machine) -> Group:
    members: dict[str, Time] = {}
    names = []
    for part in text.split("+"):
        name, found = _members(part, machine)
        names.append(name)
        for member in found:
            if member in members:
                raise InputError(f"fit: {text}: {member} is there twice")
        members |= found
    short = "+".join(name.removeprefix("costs.") for name in names)
    return Group(short, tuple(names), members)


def _members(text: str, machine: Machine) -> tuple[str, dict[str, Time]]:
    name, _, distance = text.removeprefix("costs.").partition(".")
    if name not in Costs.model_fields:
        costs = Costs.model_fields
        hint = nearest(name, costs) or f"; known: {', '.join(costs)}"
        raise InputError(f"fit: {machine.name} has no cost {text!r}{hint}")
    cost: Cost | CostByDistance = getattr(machine.costs, name)
    full = f"costs.{name}"
    if isinstance(cost, Cost):
        if distance:
            raise InputError(f"fit: {text}: {name} does not depend on distance (nearest: {name!r})")
        return full, {full: cost}
    given = cost.times
    if distance in ("", "*"):
        return full, {f"{full}.{d}": time for d, time in given.items()}
    if distance not in given:
        hint = nearest(distance, given)
        raise InputError(f"fit: {text}: {name} has only {', '.join(given)}{hint}")
    return f"{full}.{distance}", {f"{full}.{distance}": given[distance]}


def _ns(time: Time, value: float) -> float:
    return float(to_ns(value, time.unit))
