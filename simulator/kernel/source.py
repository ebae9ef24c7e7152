# SPDX-License-Identifier: MIT
"""
The text of kernel code
-----------------------

A user edits a file and loads it again while what was made of it before is still there: the
text of a file that was loaded is kept with its functions, and the file is not asked again.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Mapping
from io import StringIO
from types import CellType, CodeType, FunctionType
from typing import Any

__all__ = ("TEXT", "line_of", "names_in", "own_classes", "said_by", "source_of")

#: A global of modules that are users' kernel files: what the file said.
TEXT = "__tlbsim_kernel_text__"
_PACKAGE = __name__.partition(".")[0]


def line_of(code: CodeType, module: Mapping[str, Any], line: int) -> str:
    """Return a line, counted from 1, of the file that code is of; empty where nobody knows it."""
    if _kept(code, module):
        return _lines(module)[line - 1].strip()
    return linecache.getline(code.co_filename, line).strip()


def source_of(function: Any) -> str:
    """Return the text of a function as it was when its file was loaded; a remark if it has none."""
    inner = inspect.unwrap(function)
    code: CodeType = inner.__code__
    if _kept(code, inner.__globals__):
        lines = _lines(inner.__globals__)[code.co_firstlineno - 1 :]
        return "".join(inspect.getblock(lines))
    try:
        return inspect.getsource(function)
    except OSError:  # made by exec()
        return f"# {code.co_name}(): its text is in no file\n"


def own_classes(kernel: type) -> list[type]:
    """Return the classes of a kernel that are not of the package, itself first."""
    return [
        owner
        for owner in kernel.__mro__
        if owner is not object and owner.__module__.partition(".")[0] != _PACKAGE
    ]


def names_in(code: CodeType | None) -> set[str]:
    """Return the names that code uses but its own, and that code within it does."""
    if code is None:
        return set()
    within = (names_in(const) for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*within)


def said_by(kernel: type) -> tuple[object, ...]:
    """
    Return what those classes have: while it is the same, so is the text that they were made of.

    A notebook that reloads a module puts other functions into a class that there is, or other
    values into the globals that they read.  What was loaded from a file keeps its text.
    """
    return tuple(
        (name, _said(value, frozenset()))
        for owner in own_classes(kernel)
        if "own_text" not in vars(owner)
        for name, value in vars(owner).items()
        if not name.startswith("__") or name == "__init__"
    )


def _said(value: Any, seen: frozenset[CodeType]) -> object:
    # A function: its code, and what that reads, functions of the same module with theirs.
    if isinstance(value, type):
        return value
    inner = inspect.unwrap(getattr(value, "__func__", value))
    code = getattr(inner, "__code__", None)
    if code is None or code in seen:
        return repr(value) if code is None else code
    module = inner.__globals__
    read: list[object] = [repr(inner.__defaults__), repr(inner.__kwdefaults__)]
    there = [module[name] for name in sorted(names_in(code)) if name in module]
    there += [found for cell in inner.__closure__ or () for found in _contents(cell)]
    for thing in there:
        elsewhere = isinstance(thing, FunctionType) and thing.__globals__ is not module
        read.append(repr(thing) if elsewhere else _said(thing, seen | {code}))
    return code, *read


def _contents(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # nothing yet
        return []


# Not of what the file made by exec(), as dataclasses do.
def _kept(code: CodeType, module: Mapping[str, Any]) -> bool:
    return TEXT in module and code.co_filename == module["__file__"]


def _lines(module: Mapping[str, Any]) -> list[str]:
    return list(StringIO(module[TEXT], newline=None))
