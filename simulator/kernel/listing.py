# SPDX-License-Identifier: MIT
"""
A kernel as it finally runs
---------------------------

:func:`listing` puts together what a version has of its own and what of those that it
builds on: every function once, under the name that it has in this version, with the
version that it comes from.  Where a function goes on to that of its parent (``super()``),
this one stands below it.

Modelled: a function stands in the group of the class that had it first.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

from simulator.kernel.base import KernelBase
from simulator.kernel.source import source_of

__all__ = ("Definition", "Listed", "listing")

#: What the code of mm/ is as long as no version changes it.
_FIRST = "v6.1"


@dataclass(frozen=True)
class Definition:
    """The code of a function and the version that it comes from."""

    version: str
    source: str


@dataclass(frozen=True)
class Listed:
    """A function of a kernel, what it is a part of, and its code, that which runs first first."""

    name: str
    group: str
    definitions: tuple[Definition, ...]


def listing(kernel: type[KernelBase]) -> tuple[Listed, ...]:
    """
    Return every function of a kernel.

    >>> from simulator.kernel import load_kernel
    >>> [found] = [f for f in listing(load_kernel("v7.3")) if f.name == "vmemmap_pmd_entry"]
    >>> [definition.version for definition in found.definitions]
    ['v6.11']
    """
    names: dict[str, type] = {}
    for base in reversed(kernel.__mro__):
        if base is not KernelBase and issubclass(base, KernelBase):
            for name, value in vars(base).items():
                if inspect.isfunction(value) and not name.startswith("__"):
                    names.setdefault(name, base)
    return tuple(
        Listed(name, _title(base), tuple(_definitions(kernel, name)))
        for name, base in names.items()
        if name not in kernel.RENAMED
    )


def _definitions(kernel: type[KernelBase], name: str) -> list[Definition]:
    functions: list[tuple[type, Any]] = [
        (base, vars(base)[name]) for base in kernel.__mro__ if name in vars(base)
    ]
    definitions = []
    for base, function in functions:
        source = textwrap.dedent(source_of(function)).strip()
        definitions.append(Definition(_version(kernel, base), _renamed(kernel, source, name)))
        if not _goes_on(source, name):
            break
    return definitions


# Whether a function calls that of its parent: by super(), or by the name of the class.
def _goes_on(source: str, name: str) -> bool:
    return "super()" in source or re.search(rf"\bV\w+\.{name}\(k\b", source) is not None


# Of a class that a version mixes in, the version is the first that builds on it.
def _version(kernel: type[KernelBase], base: type) -> str:
    if "name" in vars(base):
        return str(vars(base)["name"])
    builders = [c for c in kernel.__mro__ if issubclass(c, base) and "name" in vars(c)]
    return str(vars(builders[-1])["name"]) if builders else _FIRST


def _title(base: type) -> str:
    module = inspect.getmodule(base)
    lines = (inspect.getdoc(module) or "").splitlines()
    return lines[0] if lines else base.__name__


def _renamed(kernel: type[KernelBase], source: str, name: str) -> str:
    source = re.sub(r"^def \w+", f"def {name}", source, count=1, flags=re.MULTILINE)
    for old in kernel.RENAMED:
        new = old
        while new in kernel.RENAMED:
            new = kernel.RENAMED[new]
        source = re.sub(rf"\b(k|super\(\))\.{old}\b", rf"\1.{new}", source)
    return source
