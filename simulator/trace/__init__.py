# SPDX-License-Identifier: MIT
"""
What was seen
-------------

Records of a simulation, the frames made of them, and traces of real machines
read into the same frames (:func:`read_ftrace`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.trace.exchange.ftrace import Ftrace, read_ftrace

__all__ = ("Ftrace", "read_ftrace")


def __getattr__(name: str) -> object:
    # Looked up when first used: the model records without knowing of any file format.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from simulator.trace.exchange import ftrace

    return getattr(ftrace, name)
