# SPDX-License-Identifier: MIT
"""
TOML text
---------

Python reads TOML but does not write it.  This writes the little of it that a
profile needs: text, numbers, truth values, lists, tables and lists of tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from simulator.outputs import Kind

__all__ = ("PROFILE", "inline_text", "toml_text")

# A key or a table that profiles have, and hardly another file.
_PROFILE = re.compile(rb"^\s*(inherits\s*=|\[(topology|memory|costs|ipi|spells)\b)", re.MULTILINE)
PROFILE = Kind("a machine profile", lambda head: _PROFILE.search(head) is not None)

Value = object


def toml_text(data: Mapping[str, Value]) -> str:
    """
    Return TOML that reads as ``data``; what is None is left out.

    >>> print(toml_text({"a": 1, "b": {"c": {"value": 0.5, "range": (0, 1)}}, "d": [{"e": "x"}]}))
    a = 1
    <BLANKLINE>
    [b.c]
    value = 0.5
    range = [0, 1]
    <BLANKLINE>
    [[d]]
    e = "x"
    <BLANKLINE>
    """
    return "\n".join([*_table(data, ()), ""]).lstrip("\n")


def _table(data: Mapping[str, Value], path: tuple[str, ...]) -> list[str]:
    lines = []
    below: list[str] = []
    for key, value in data.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            below += _below(value, (*path, key))
        elif _is_tables(value):
            for item in value:  # type: ignore[attr-defined]
                below += ["", f"[[{'.'.join((*path, key))}]]", *_table(item, (*path, key))]
        else:
            lines.append(f"{key} = {inline_text(value)}")
    return lines + below


def _below(value: Mapping[str, Value], path: tuple[str, ...]) -> list[str]:
    lines = _table(value, path)
    # A table that holds only tables needs no heading of its own.
    if lines and lines[0]:
        return ["", f"[{'.'.join(path)}]", *lines]
    return lines


def _is_tables(value: Value) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(item, Mapping) for item in value)
    )


def inline_text(value: Value) -> str:
    """
    Return a value as it stands on one line, a table too.

    >>> inline_text({"value": 2, "range": (1, 4)})
    '{ value = 2, range = [1, 4] }'
    """
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {inline_text(item)}' for key, item in value.items())} }}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON writes text as TOML does, but for DEL.
        return json.dumps(value).replace("\x7f", "\\u007F")
    if isinstance(value, Sequence):
        return f"[{', '.join(inline_text(item) for item in value)}]"
    raise TypeError(f"no TOML for {type(value).__name__}")
