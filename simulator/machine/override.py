# SPDX-License-Identifier: MIT
"""
Values changed by the user
--------------------------

What ``--set KEY=VALUE`` does to a machine: the value changes, its kind becomes
``assumed`` and its source :data:`SET_BY_USER`, by which it is found again, so that a
report can say so.  A range that does not hold the new value is widened to it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from string import ascii_letters
from typing import Any

from pydantic import BaseModel

from simulator.errors import InputError, nearest
from simulator.inputs import number
from simulator.machine.schema import IdleState
from simulator.machine.units import SIZE_UNITS, TIME_UNITS
from simulator.machine.values import Count, Fact, Quantity, Size, Time

__all__ = ("SET_BY_USER", "amount_text", "changed_data", "leaves")

SET_BY_USER = "set by the user"


def leaves(machine: BaseModel) -> dict[str, Quantity | Fact[Any]]:
    """Return all values of a machine that can be set, by their dotted names."""
    found: dict[str, Quantity | Fact[Any]] = {}

    def walk(prefix: str, node: object) -> None:
        # A matrix cannot be typed on a command line.
        if isinstance(node, Quantity) or (
            isinstance(node, Fact) and not isinstance(node.value, tuple)
        ):
            found[prefix] = node
        elif isinstance(node, BaseModel) and not isinstance(node, Fact):
            for name in type(node).model_fields:
                walk(f"{prefix}.{name}" if prefix else name, getattr(node, name))
        elif isinstance(node, tuple):
            for item in node:
                if isinstance(item, IdleState):
                    walk(f"{prefix}.{item.name}", item)

    walk("", machine)
    return found


def amount_text(leaf: Quantity | Fact[Any]) -> str:
    """Return what a value is, with its unit."""
    if isinstance(leaf, Size | Time):
        return f"{leaf.value:.12g} {leaf.unit}"
    return str(leaf.value).lower() if isinstance(leaf.value, bool) else str(leaf.value)


def changed_data(machine: BaseModel, values: Mapping[str, bool | float | str]) -> dict[str, Any]:
    """Return a machine as plain data, with `values` in place of its own."""
    known = leaves(machine)
    data = machine.model_dump()
    for key, value in values.items():
        leaf = known.get(key)
        if leaf is None:
            raise InputError(f"{key}: {_unknown(key, known)}")
        table = _table(data, key)
        if isinstance(leaf, Quantity):
            _set_quantity(key, leaf, table, value)
        else:
            table["value"] = _fact(key, leaf.value, value)
            if isinstance(leaf, Count):
                low, high = leaf.range
                table["range"] = (min(low, table["value"]), max(high, table["value"]))
        table.update(kind="assumed", source=SET_BY_USER, note="", machine="", date="")
    return data


def _unknown(key: str, known: Mapping[str, object]) -> str:
    below = [name for name in known if name.startswith(key + ".")]
    if below:
        return f"has several values: {', '.join(below[:4])}"
    hint = nearest(key, known)
    return f"the machine has no such value{hint}"


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    node: Any = data
    for part in key.split("."):
        # Idle states are a list; their names stand for their places.
        node = (
            node[part]
            if isinstance(node, dict)
            else next(state for state in node if state["name"] == part)
        )
    found: dict[str, Any] = node
    return found


def _set_quantity(
    key: str, old: Quantity, table: dict[str, Any], value: bool | float | str
) -> None:
    units = SIZE_UNITS if isinstance(old, Size) else TIME_UNITS
    amount, unit = _parse(key, value, units)
    scale = units[table["unit"]] / units[unit]
    low, high = (bound * scale for bound in old.range)
    table["value"], table["unit"] = amount, unit
    table["range"] = (min(low, amount), max(high, amount))
    if table.get("quantiles") is not None:
        # The shape stays, the mean moves.
        ratio = amount / old.value if old.value else 0.0
        table["quantiles"] = tuple((p, v * ratio) for p, v in table["quantiles"])


def _parse(key: str, value: bool | float | str, units: Mapping[str, int]) -> tuple[float, str]:
    base = next(iter(units))
    if isinstance(value, bool):
        raise InputError(f"{key}: must be a number, not {value!r}")
    unit = base
    if isinstance(value, str):
        digits = value.strip().rstrip(ascii_letters)
        unit = value.strip()[len(digits) :] or base
        given = number(digits.strip())
    else:
        given = value
    if isinstance(given, str):
        raise InputError(
            f"{key}: {value!r} is not a number with one of the units {', '.join(units)}"
        )
    if unit not in units:
        raise InputError(
            f"{key}: {unit!r} is not one of the units {', '.join(units)}{nearest(unit, units)}"
        )
    # Of an integer, too: one of 400 digits is no float.
    if not -sys.float_info.max <= given <= sys.float_info.max:
        raise InputError(f"{key}: must be a finite number, not {value!r}")
    return float(given), unit


def _fact(key: str, old: object, value: bool | float | str) -> bool | int | str:
    # The command line has only text.
    given = number(value.strip()) if isinstance(value, str) else value
    if isinstance(old, bool):
        words = {"true": True, "false": False}
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        if isinstance(value, bool):
            return value
        raise InputError(f"{key}: must be true or false, not {value!r}")
    if isinstance(old, int):
        if isinstance(given, float) and given.is_integer() and not isinstance(value, str):
            return int(given)
        if isinstance(given, bool) or not isinstance(given, int):
            raise InputError(f"{key}: must be a whole number, not {value!r}")
        return given
    if not isinstance(value, str):
        raise InputError(f"{key}: must be text, not {value!r}")
    return value
