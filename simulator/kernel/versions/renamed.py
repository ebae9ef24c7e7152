# SPDX-License-Identifier: MIT
"""
Functions that a version renames
--------------------------------

A version has its functions under the names of its own release.  Where nothing but the
name changed, the class gives the parent's function the new name and, under the old one,
what :func:`calls` returns: so inherited code reaches a function that a user's patch
replaces by its new name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.kernel.base import KernelBase

__all__ = ("calls",)


def calls(name: str) -> Callable[..., Any]:
    """Return a function of a kernel that calls the one of a name."""

    def function(k: KernelBase, *args: Any, **kwargs: Any) -> Any:
        return getattr(k, name)(*args, **kwargs)

    function.calls = name  # type: ignore[attr-defined]
    return function
