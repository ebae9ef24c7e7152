# SPDX-License-Identifier: MIT
"""
Axes: what an experiment varies
-------------------------------

An axis is a field of a scenario, a value of its machine (``costs.inject``) or of
its noise (``noise.idle_share``), or a tunable of its kernel, with the values that it
takes. Several names may go together, value by value: a zipped axis. The points of
an experiment are the product of its axes.

Each point has a baseline: the point that differs from it in one axis alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.analysis.frames import name_of
from simulator.errors import InputError, nearest
from simulator.kernel import kernels, load_kernel
from simulator.machine.noise import NOISE_KEYS
from simulator.scenario import Scenario

__all__ = ("Axis", "Plan", "Point", "as_axes", "plan", "with_values")

# What is compared where several axes could be: the first of these that is one.
_COMPARED = ("kernel", "hvo")
# An experiment of more is a mistake more often than not.
_MOST_POINTS = 10_000


@dataclass(frozen=True)
class Axis:
    """Names that vary together, and a value of each for every step."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise InputError(f"{','.join(self.names)}: has no values")
        if len(self.values) > _MOST_POINTS:
            raise InputError(
                f"{','.join(self.names)}: {len(self.values)} values; at most {_MOST_POINTS} points"
                " are simulated"
            )
        seen: list[tuple[Any, ...]] = []
        for value in self.values:
            if value in seen:
                told = ",".join(map(name_of, value))
                raise InputError(f"{','.join(self.names)}: {told} is there twice")
            seen.append(value)


@dataclass(frozen=True)
class Point:
    """
    A scenario of an experiment.

    ``changes`` is what the axes say of it, ``given`` that and all else that it was made
    of, as the user named it; ``baseline`` is the place of its baseline in the plan.
    """

    changes: Mapping[str, Any]
    given: Mapping[str, Any]
    scenario: Scenario
    baseline: int

    @property
    def label(self) -> str:
        """Return the point in words, as a user would type it."""
        return _told(self.changes)


@dataclass(frozen=True)
class Plan:
    """The points of an experiment; ``compared`` names the axis along which they are compared."""

    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    compared: tuple[str, ...]

    def groups(self) -> list[tuple[int, ...]]:
        """Return the points that are compared with each other, the baseline first."""
        found: dict[int, list[int]] = {}
        for i, point in enumerate(self.points):
            found.setdefault(point.baseline, [point.baseline])
            if i != point.baseline:
                found[point.baseline].append(i)
        return [tuple(group) for group in found.values()]


def as_axes(axes: Mapping[str | tuple[str, ...], Iterable[Any]] | Sequence[Axis]) -> list[Axis]:
    """
    Return axes, given as values by name; a tuple of names has tuples of values.

    >>> as_axes({"cpus": [8, 32], ("machine", "pages"): [("laptop-8", 64)]})[1].names
    ('machine', 'pages')
    """
    if not isinstance(axes, Mapping):
        return list(axes)
    found = []
    for key, given in axes.items():
        names = (key,) if isinstance(key, str) else tuple(key)
        values = [(value,) if isinstance(key, str) else tuple(value) for value in given]
        for value in values:
            if len(value) != len(names):
                raise InputError(f"{','.join(names)}: {len(value)} values for {len(names)} names")
        found.append(Axis(names, tuple(values)))
    return found


def plan(
    base: Scenario | Mapping[str, Any],
    axes: Mapping[str | tuple[str, ...], Iterable[Any]] | Sequence[Axis],
    baseline: Mapping[str, Any] | None = None,
) -> Plan:
    """
    Return the points of an experiment around `base`, a scenario or fields of one.

    ``baseline`` names one value of one axis, such as ``{"kernel": "v6.6"}``.  Without it,
    that is the first value of ``kernel``, of ``hvo`` or of the first axis, whichever
    there is.  InputError, with the point, where a scenario is impossible.
    """
    found = as_axes(axes)
    names = [name for axis in found for name in axis.names]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name}: is an axis twice")
    nr_points = 1
    for axis in found:
        nr_points *= len(axis.values)
    if nr_points > _MOST_POINTS:
        raise InputError(f"axes: {nr_points} points; at most {_MOST_POINTS} are simulated")
    which, step = _baseline(found, baseline)
    given = _fields_of(base) if isinstance(base, Scenario) else dict(base)
    steps = list(itertools.product(*(range(len(axis.values)) for axis in found)))
    place = {at: i for i, at in enumerate(steps)}
    points = []
    for at in steps:
        changes = {
            name: value
            for axis, i in zip(found, at, strict=True)
            for name, value in zip(axis.names, axis.values[i], strict=True)
        }
        of = at if which is None else (*at[:which], step, *at[which + 1 :])
        try:
            scenario = with_values(given, changes)
        except InputError as error:
            if nr_points == 1:
                raise
            raise InputError(f"{error} (at {_told(changes)})") from None
        points.append(Point(changes, {**given, **changes}, scenario, place[of]))
    return Plan(tuple(found), tuple(points), () if which is None else found[which].names)


# A kernel from a file is what it was when the scenario was made.
def _fields_of(base: Scenario) -> dict[str, Any]:
    fields = {name: getattr(base, name) for name in Scenario.model_fields}
    return fields | ({"kernel": base.kernel_class} if base.kernel_class.own_text else {})


def _baseline(axes: Sequence[Axis], baseline: Mapping[str, Any] | None) -> tuple[int | None, int]:
    if baseline is None:
        wanted = [i for name in _COMPARED for i, axis in enumerate(axes) if name in axis.names]
        wanted += range(len(axes))
        return next((i for i in wanted if len(axes[i].values) > 1), None), 0
    if len(baseline) != 1:
        raise InputError(f"baseline: must be one value of one axis, not {len(baseline)}")
    ((name, value),) = baseline.items()
    known = [n for axis in axes for n in axis.names]
    for i, axis in enumerate(axes):
        if name not in axis.names:
            continue
        of_name = [step[axis.names.index(name)] for step in axis.values]
        told = [name_of(v) for v in of_name]
        if name_of(value) not in told:
            raise InputError(
                f"baseline: {name}={name_of(value)} is none of the values of the axis,"
                f" {', '.join(told)}{nearest(name_of(value), told)}"
            )
        return i, told.index(name_of(value))
    raise InputError(f"baseline: {name!r} is no axis{nearest(name, known)}")


def _told(changes: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={name_of(value)}" for name, value in changes.items())


def with_values(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> Scenario:
    """
    Return the scenario of some fields with changes to it, its machine, noise or tunables.

    >>> s = with_values({"machine": "laptop-8", "pages": 4}, {"cpus": 2, "costs.invlpg": 90})
    >>> s.cpus, float(s.machine_model.costs.invlpg.exact_ns)
    (2, 90.0)
    """
    given = {**fields, **changes}
    own = {name: value for name, value in given.items() if name in Scenario.model_fields}
    scenario = Scenario(**own)
    machine: dict[str, Any] = {}
    noise: dict[str, Any] = {}
    tunables: dict[str, Any] = {}
    for name, value in given.items():
        if name in own:
            continue
        if name.startswith("noise."):
            noise[name.removeprefix("noise.")] = value
        elif "." in name:
            machine[name] = value
        elif name in scenario.kernel_class.TUNABLES:
            tunables[name] = value
        else:
            elsewhere = [k for k in kernels() if name in load_kernel(k).TUNABLES]
            if elsewhere:
                own_name, have = scenario.kernel_class.name, ", ".join(elsewhere)
                raise InputError(f"set: {own_name} has no tunable {name!r}; these have: {have}")
            known = _known(scenario)
            # Whoever leaves out what a value is of has named it all the same.
            ends = [key for key in known if key.endswith(f".{name}")]
            raise InputError(f"set: unknown key {name!r}{nearest(name, ends or known)}")
    try:
        if machine:
            scenario = scenario.replace(machine=scenario.machine_model.with_values(machine))
        if noise:
            scenario = scenario.replace(noise=scenario.noise_model.with_values(noise))
    except InputError as error:
        raise InputError(f"set: {error}") from None
    if tunables:
        scenario = scenario.replace(tunables={**scenario.tunables, **tunables})
    return scenario


def _known(scenario: Scenario) -> tuple[str, ...]:
    noises = (f"noise.{name}" for name in NOISE_KEYS)
    tunables = scenario.kernel_class.TUNABLES
    return (*Scenario.model_fields, *tunables, *scenario.machine_model.keys(), *noises)
