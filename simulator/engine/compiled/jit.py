# SPDX-License-Identifier: MIT
"""
Compilation, where it is possible
---------------------------------

:func:`compiled` is numba's ``njit`` with a cache on disk
(:mod:`simulator.engine.compiled.cache`); without numba the same functions run
interpreted, slowly, with the same answers.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, TypeVar

import numpy as np

__all__ = ("HAS_NUMBA", "compiled", "inlined", "wrapping")

F = TypeVar("F", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    HAS_NUMBA = False
else:
    HAS_NUMBA = not vars(numba.config)["DISABLE_JIT"]

if not HAS_NUMBA:

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
    from simulator.engine.compiled.cache import folder_for

    def _njit(function: F, inline: str) -> F:
        folder = folder_for(function.__code__.co_filename)
        # Arrays are never kept or made here: without reference counts, which are atomic
        # operations, the code is three times as fast.
        options: dict[str, Any] = {"inline": inline, "nogil": True, "_nrt": False}
        made = numba.njit(error_model="numpy", **options)(function)
        if folder is not None:
            settings = vars(numba.config)
            before, settings["CACHE_DIR"] = settings["CACHE_DIR"], folder
            try:
                made.enable_caching()
            finally:
                settings["CACHE_DIR"] = before
            _forgive(made)
        compiled: F = made
        return compiled

    def _forgive(made: Any) -> None:
        # A cache that cannot be read or written is none: a full disk, a folder that is not there
        # any more, a file that was cut short.
        cache = made._cache  # noqa: SLF001 - numba has no door to it
        load, save = cache.load_overload, cache.save_overload

        def load_overload(*args: Any) -> Any:
            try:
                return load(*args)
            except (OSError, EOFError, ValueError, LookupError, pickle.UnpicklingError):
                return None

        def save_overload(*args: Any) -> None:
            with suppress(OSError, EOFError, ValueError, LookupError, pickle.UnpicklingError):
                save(*args)

        cache.load_overload, cache.save_overload = load_overload, save_overload

    def compiled(function: F) -> F:
        """Return the function, compiled at its first call."""
        return _njit(function, "never")

    def inlined(function: F) -> F:
        """Return the function, compiled into its callers."""
        return _njit(function, "always")

    def wrapping() -> AbstractContextManager[Any]:
        """Do nothing: compiled products wrap."""
        return nullcontext()
