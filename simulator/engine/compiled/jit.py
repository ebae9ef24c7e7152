# SPDX-License-Identifier: MIT
"""
What is compiled
----------------

Decorators that say so, and leave functions as they are: Python runs them interpreted,
slowly, with the same answers.  What numba makes of them
(:mod:`simulator.engine.compiled.bitcode`) is kept on disk and loaded without it
(:mod:`simulator.engine.compiled.machine_code`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

__all__ = ("MARKED", "Marked", "compiled", "entry", "inlined", "wrapping")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Marked:
    """A function that is to be compiled: into its callers, or for Python to call."""

    function: Callable[..., Any]
    inlined: bool = False
    entered: bool = False


#: Every such function, as modules define them.
MARKED: Final[list[Marked]] = []


def compiled(function: F) -> F:
    """
    Return the function, which other compiled functions call.

    Arrays that it is given do not overlap, as the state and a part of it would: LLVM relies on it.
    """
    MARKED.append(Marked(function))
    return function


def inlined(function: F) -> F:
    """Return the function, which is compiled into its callers."""
    MARKED.append(Marked(function, inlined=True))
    return function


def entry(function: F) -> F:
    """
    Return the function, which Python calls as :func:`.machine_code.bound` gives it.

    It has arrays first, then whole numbers, and returns a whole number or nothing.
    """
    MARKED.append(Marked(function, entered=True))
    return function


def wrapping() -> np.errstate:
    """Let unsigned products wrap silently where functions are interpreted, as when compiled."""
    return np.errstate(over="ignore")
