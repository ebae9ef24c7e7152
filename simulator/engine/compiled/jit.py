# SPDX-License-Identifier: MIT
"""
Compilation, where it is possible
---------------------------------

:func:`compiled` is numba's ``njit`` with a cache on disk; without numba the same
functions run interpreted, slowly, with the same answers.

numba takes a cached function for current as long as the one file that defines it
is unchanged, whatever it inlines from others.  So the cache lies in a folder that
is named after the contents of all files of this package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

__all__ = ("HAS_NUMBA", "compiled", "inlined", "wrapping")

F = TypeVar("F", bound=Callable[..., Any])

try:
    import numba
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

    _DIGITS = 16

    def _cache_folder() -> str:
        here = Path(__file__).parent
        digest = hashlib.sha256()
        for file in sorted(here.rglob("*.py")):
            digest.update(file.read_bytes())
        own = here / "__pycache__"
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        parent = own if os.access(own if own.exists() else here, os.W_OK) else Path(home, "tlbsim")
        folder = parent / digest.hexdigest()[:_DIGITS]
        if parent == own and not folder.exists():
            # What earlier versions of these files have left.
            for old in own.glob("[0-9a-f]" * _DIGITS):
                shutil.rmtree(old, ignore_errors=True)
        return str(folder)

    _CACHE = _cache_folder()

    def _njit(function: F, inline: str) -> F:
        # Arrays are never kept or made here: without reference counts, which are atomic
        # operations, the code is three times as fast.
        options: dict[str, Any] = {"inline": inline, "cache": True, "nogil": True, "_nrt": False}
        settings = vars(numba.config)
        before, settings["CACHE_DIR"] = settings["CACHE_DIR"], _CACHE
        try:
            made: F = numba.njit(error_model="numpy", **options)(function)
        finally:
            settings["CACHE_DIR"] = before
        return made

    def compiled(function: F) -> F:
        """Return the function, compiled at its first call."""
        return _njit(function, "never")

    def inlined(function: F) -> F:
        """Return the function, compiled into its callers."""
        return _njit(function, "always")

    def wrapping() -> AbstractContextManager[Any]:
        """Do nothing: compiled products wrap."""
        return nullcontext()
