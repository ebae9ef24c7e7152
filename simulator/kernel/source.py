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
from types import CodeType
from typing import Any

__all__ = ("TEXT", "line_of", "own_classes", "said_by", "source_of")

#: A global of modules that are users' kernel files: what the file said.
TEXT = "__tlbsim_kernel_text__"
_PACKAGE = __name__.partition(".")[0]


def line_of(code: CodeType, module: Mapping[str, Any], line: int) -> str:
    """Return a line, counted from 1, of the file that code is of; empty where nobody knows it."""
    if _kept(code, module):
        return _lines(module)[line - 1].strip()
    return linecache.getline(code.co_filename, line).strip()


def source_of(function: Any) -> str:
    """Return the text of a function as it was when its file was loaded."""
    inner = inspect.unwrap(function)
    code: CodeType = inner.__code__
    if _kept(code, inner.__globals__):
        lines = _lines(inner.__globals__)[code.co_firstlineno - 1 :]
        return "".join(inspect.getblock(lines))
    return inspect.getsource(function)


def own_classes(kernel: type) -> list[type]:
    """Return the classes of a kernel that are not of the package, itself first."""
    return [
        owner
        for owner in kernel.__mro__
        if owner is not object and owner.__module__.partition(".")[0] != _PACKAGE
    ]


def said_by(kernel: type) -> tuple[object, ...]:
    """
    Return what those classes have: while it is the same, so is the text that they were made of.

    ``%autoreload`` of a notebook puts other functions into a class that there is.
    """
    return tuple(
        (name, getattr(inspect.unwrap(getattr(value, "__func__", value)), "__code__", repr(value)))
        for owner in own_classes(kernel)
        for name, value in vars(owner).items()
        if not name.startswith("__") or name == "__init__"
    )


# Not of what the file made by exec(), as dataclasses do.
def _kept(code: CodeType, module: Mapping[str, Any]) -> bool:
    return TEXT in module and code.co_filename == module["__file__"]


def _lines(module: Mapping[str, Any]) -> list[str]:
    return list(StringIO(module[TEXT], newline=None))
