# SPDX-License-Identifier: MIT
"""
A line for each thing that is wrong
-----------------------------------

Turns pydantic's report into the lines that a user sees: the field, what is
wrong with it, and the nearest valid value.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from simulator.errors import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ("SeveralError", "explain", "explain_all")

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
Loc = tuple[int | str, ...]


class SeveralError(ValueError):
    """What a validator found wrong, one thing or several."""

    def __init__(self, found: Sequence[str]) -> None:
        super().__init__(found[0])
        self.found = tuple(found)


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """Return one line about the first thing that is wrong with data for `root`."""
    return explain_all(error, root)[0]


def explain_all(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """
    Return a line for each thing that is wrong with data for `root`, causes first.

    What is missing from one table is one thing; what was only mistyped is not missing.
    """
    found = error.errors(include_url=False)
    unknown = {f["loc"]: _line(f, root) for f in found if f["type"] == "extra_forbidden"}
    lines = [*unknown.values(), *_missing(found, unknown, root)]
    for f in found:
        if f["type"] not in ("extra_forbidden", "missing"):
            wrong = f.get("ctx", {}).get("error")
            if isinstance(wrong, SeveralError):
                lines += [_at(f["loc"]) + text for text in wrong.found]
            else:
                lines.append(_line(f, root))
    return lines


def _missing(
    found: Sequence[ErrorDetails], unknown: Mapping[Loc, str], root: type[BaseModel]
) -> Iterator[str]:
    by_table: dict[Loc, list[ErrorDetails]] = {}
    for f in found:
        *table, name = f["loc"] or ("",)
        hints = [line for loc, line in unknown.items() if loc[:-1] == tuple(table)]
        if f["type"] == "missing" and not any(f"mean {name!r}?" in line for line in hints):
            by_table.setdefault(tuple(table), []).append(f)
    for at, several in by_table.items():
        if len(several) == 1:
            yield _line(several[0], root)
        else:
            yield f"{_at(at)}missing {', '.join(repr(f['loc'][-1]) for f in several)}"


def _line(first: ErrorDetails, root: type[BaseModel]) -> str:
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
        table = f"a table with {wanted}" if wanted else "a table"
        return _at(loc) + f"must be {table}, not {_short(first['input'])}"
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
