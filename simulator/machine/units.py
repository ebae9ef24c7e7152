# SPDX-License-Identifier: MIT
"""
Units
-----

The units in which a profile may state a time or a size, and the one place
where they are converted.  Conversion is exact: a decimal number in a profile
becomes a fraction of nanoseconds or bytes, never a rounded float.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

__all__ = ("SIZE_UNITS", "TIME_UNITS", "SizeUnit", "TimeUnit", "to_bytes", "to_ns")

TimeUnit = Literal["ns", "us", "ms", "s"]
SizeUnit = Literal["bytes", "KiB", "MiB", "GiB", "TiB"]

TIME_UNITS: dict[str, int] = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
SIZE_UNITS: dict[str, int] = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def to_ns(value: float, unit: str) -> Fraction:
    """
    Return a time in nanoseconds, exactly as its decimal digits say.

    >>> to_ns(1.05, "us")
    Fraction(1050, 1)
    """
    return Fraction(repr(value)) * TIME_UNITS[unit]


def to_bytes(value: float, unit: str) -> Fraction:
    """
    Return a size in bytes.

    >>> to_bytes(2, "KiB")
    Fraction(2048, 1)
    """
    return Fraction(repr(value)) * SIZE_UNITS[unit]
