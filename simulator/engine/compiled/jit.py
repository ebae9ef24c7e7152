# SPDX-License-Identifier: MIT
"""
Compilation, where it is possible
---------------------------------

:func:`compiled` is numba's ``njit`` with a cache on disk; without numba the same
functions run interpreted, slowly, with the same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np

__all__ = ("HAS_NUMBA", "compiled", "inlined", "wrapping")

F = TypeVar("F", bound=Callable[..., Any])

try:
    from numba import njit
except ImportError:
    HAS_NUMBA = False

    def compiled(function: F) -> F:
        """Return the function as it is."""
        return function

    def inlined(function: F) -> F:
        """Return the function as it is."""
        return function

    def wrapping() -> AbstractContextManager[Any]:
        """Let unsigned products wrap silently, as they do when compiled."""
        return np.errstate(over="ignore")

else:
    HAS_NUMBA = True

    def compiled(function: F) -> F:
        """Return the function, compiled at its first call."""
        return njit(cache=True, nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]  # numba is untyped

    def inlined(function: F) -> F:
        """Return the function, compiled into its callers."""
        return njit(cache=True, nogil=True, error_model="numpy", inline="always")(function)  # type: ignore[no-any-return]  # numba is untyped

    def wrapping() -> AbstractContextManager[Any]:
        """Do nothing: compiled products wrap."""
        return nullcontext()
