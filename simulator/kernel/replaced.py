# SPDX-License-Identifier: MIT
"""
What a user's kernel replaces
-----------------------------

A class of a user's own replaces functions by their names.  A replacement that would
do nothing, or could not be called, would give wrong numbers without a word, or an
error far from its line: it is refused when the kernel is loaded.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from simulator.errors import InputError, nearest
from simulator.kernel.base import KernelBase
from simulator.kernel.source import names_in, own_classes

__all__ = ("check_functions", "patch_notes", "replacements")

_PACKAGE = __name__.partition(".")[0]


def check_functions(kernel: type[KernelBase]) -> None:
    """
    Raise InputError, with file and line, for a function that cannot stand where it is put.

    A generator and a coroutine do nothing when they are called as plain functions, as all
    kernel code is; a function under a name that this version no longer uses is not called;
    one with other parameters than the function it replaces cannot be.
    """
    for owner in own_classes(kernel):
        # Slots, annotations and the like are Python's; __init__() is as others.
        for name, value in list(vars(owner).items()):
            if name.startswith("__") and name != "__init__":
                continue
            function = inspect.unwrap(getattr(value, "__func__", value))
            where = _where(kernel, owner, function)
            if inspect.isfunction(function):
                _check_plain(where, name, function)
            _check_name(where, name, owner)
            replaced = _replaced(owner, kernel, name)
            if inspect.isfunction(replaced):
                _check_parameters(where, name, value, replaced)


def patch_notes(kernel: type[KernelBase]) -> list[str]:
    """
    Return what a reader has to know of a kernel from a user's file; nothing of others.

    Which functions it replaces, and a short hash of the file; and which of its functions
    nothing calls, since neither the kernel nor the file knows them.
    """
    if not kernel.own_file:
        return []
    own = _own_functions(kernel)
    replaces = [name for owner, name, _ in own if _replaced(owner, kernel, name) is not None]
    called = {name for _, _, value in own for name in names_in(getattr(value, "__code__", None))}
    digest = hashlib.sha256(kernel.own_text.encode()).hexdigest()[:8]
    names = ", ".join(dict.fromkeys(replaces)) or "nothing"
    notes = [f"{kernel.name} ({digest}) replaces {names}"]
    known = [name for name in dir(kernel) if not name.startswith("__")]
    for _, name, _ in own:
        if name not in replaces and name not in called and not name.startswith("__"):
            hint = nearest(name, [other for other in known if other != name])
            notes.append(f"{kernel.name}: {name}() overrides nothing, and nothing calls it{hint}")
    return notes


def replacements(kernel: type[KernelBase]) -> dict[str, tuple[FunctionType, FunctionType]]:
    """
    Return by name: a plain function outside the package, and the package's that it replaces.

    Of functions that replace each other only the one that is called.
    """
    found: dict[str, tuple[FunctionType, FunctionType]] = {}
    for owner, name, value in reversed(_own_functions(kernel)):
        replaced = _replaced(owner, kernel, name)
        if inspect.isfunction(value) and inspect.isfunction(replaced):
            found[name] = value, replaced
        else:
            found.pop(name, None)
    return found


def _own_functions(kernel: type[KernelBase]) -> list[tuple[type, str, Any]]:
    return [
        (owner, name, value)
        for owner in own_classes(kernel)
        for name, value in vars(owner).items()
        if inspect.isfunction(inspect.unwrap(getattr(value, "__func__", value)))
    ]


def _where(kernel: type[KernelBase], owner: type, function: object) -> str:
    code = getattr(function, "__code__", None)
    if code is not None:
        return f"kernel: {code.co_filename}, line {code.co_firstlineno}"
    return f"kernel: {kernel.own_file or owner.__qualname__}"


def _check_plain(where: str, name: str, function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function):
        raise InputError(
            f"{where}: {name}() is a generator: kernel code is plain functions now; delete"
            ' "yield from" (and the task parameter)'
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InputError(
            f"{where}: {name}() is a coroutine: kernel code is plain functions; delete"
            ' "async" and "await"'
        )


def _check_name(where: str, name: str, owner: type) -> None:
    # By its old name it would be called by old code alone, or by nothing.
    for base in owner.__mro__[1:]:
        renamed = vars(base).get("RENAMED", {})
        if name not in renamed:
            continue
        new = name
        while new in renamed:
            new = renamed[new]
        release = vars(base).get("name", base.__name__)
        raise InputError(f"{where}: {name}() is {new}() in {release}; give it that name")


def _replaced(owner: type, kernel: type[KernelBase], name: str) -> Any:
    # What the package has under a name, as the kernel would find it without the user's classes.
    if name == "__init__":
        return None
    mro = kernel.__mro__
    for base in mro[mro.index(owner) + 1 :]:
        if name in vars(base) and base.__module__.partition(".")[0] == _PACKAGE:
            return vars(base)[name]
    return None


def _check_parameters(where: str, name: str, value: Any, replaced: Callable[..., Any]) -> None:
    if not callable(value) and not isinstance(value, classmethod | staticmethod | property):
        raise InputError(f"{where}: {name} must be a function, not {value!r}")
    given = _positional(replaced)
    if not inspect.isfunction(value) or given is None:
        return
    try:
        signature = inspect.signature(value)
        signature.bind(None, *given)
    except TypeError:
        ours = str(inspect.signature(value))
        raise InputError(
            f"{where}: {name}{ours} must take what it is called with: ({', '.join(['k', *given])})"
        ) from None


def _positional(function: Callable[..., Any]) -> list[str] | None:
    # The names of the parameters after k; None of a function that takes any.
    names = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return None
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            names.append(parameter.name)
    return names
