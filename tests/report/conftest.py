# SPDX-License-Identifier: MIT
"""Results made by hand, as fixtures."""

from __future__ import annotations

from tests.made import ipis, laptop, result, vm, xeon

__all__ = ("ipis", "laptop", "result", "vm", "xeon")
