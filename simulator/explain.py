# SPDX-License-Identifier: MIT
"""
One line for what is wrong
--------------------------

Turns pydantic's report into the one line that a user sees: the field, what is
wrong with it, and the nearest valid value.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from simulator.errors import nearest

__all__ = ("explain",)

_WANTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "tuple_type": "a list",
    "finite_number": "a finite number",
}
# A mistyped key also makes the right one missing: report the cause first.
_FIRST = ("extra_forbidden", "missing")


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """Return one line about the first thing that is wrong with data for `root`."""
    found = error.errors(include_url=False)
    order = [f for kind in _FIRST for f in found if f["type"] == kind]
    first = (order or found)[0]
    loc, kind = first["loc"], first["type"]
    if kind == "extra_forbidden":
        known = _fields(root, loc[:-1])
        hint = nearest(str(loc[-1]), known) or f" (known: {', '.join(sorted(known))})"
        return _at(loc[:-1]) + f"unknown key {str(loc[-1])!r}{hint}"
    if kind == "missing":
        return _at(loc[:-1]) + f"missing {str(loc[-1])!r}{_choices(root, loc)}"
    if kind == "literal_error":
        value = first["input"]
        valid = _literals(root, loc)
        hint = nearest(value, valid) if isinstance(value, str) else ""
        return _at(loc) + f"{value!r} is not one of {', '.join(valid)}{hint}"
    if kind == "value_error":
        return _at(loc) + str(first["ctx"]["error"])
    if kind in ("model_type", "model_attributes_type"):
        wanted = ", ".join(_required(root, loc))
        return _at(loc) + f"must be a table with {wanted}, not {_short(first['input'])}"
    if kind in ("too_long", "too_short"):
        return _at(loc) + f"has the wrong number of items: {_short(first['input'])}"
    return _at(loc) + f"must be {_WANTED.get(kind, 'valid')}, not {_short(first['input'])}"


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _at(loc: Sequence[int | str]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{path.lstrip('.')}: " if path else ""


def _type_at(root: type[BaseModel], loc: Sequence[int | str]) -> Any:
    node: Any = root
    for part in loc:
        node = _plain(node)
        if isinstance(part, int):
            arguments = [a for a in typing.get_args(node) if a is not Ellipsis]
            node = arguments[min(part, len(arguments) - 1)]
        else:
            node = node.model_fields[part].annotation
    return _plain(node)


def _plain(node: Any) -> Any:
    if typing.get_origin(node) in (typing.Union, types.UnionType):
        return next(a for a in typing.get_args(node) if a is not type(None))
    return node


def _fields(root: type[BaseModel], loc: Sequence[int | str]) -> tuple[str, ...]:
    return tuple(_type_at(root, loc).model_fields)


def _required(root: type[BaseModel], loc: Sequence[int | str]) -> tuple[str, ...]:
    fields = _type_at(root, loc).model_fields
    return tuple(name for name, field in fields.items() if field.is_required())


def _literals(root: type[BaseModel], loc: Sequence[int | str]) -> tuple[str, ...]:
    return tuple(str(a) for a in typing.get_args(_type_at(root, loc)))


def _choices(root: type[BaseModel], loc: Sequence[int | str]) -> str:
    at = _type_at(root, loc)
    if typing.get_origin(at) is not typing.Literal:
        return ""
    return f" (one of {', '.join(str(a) for a in typing.get_args(at))})"
