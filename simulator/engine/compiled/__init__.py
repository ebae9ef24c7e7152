# SPDX-License-Identifier: MIT
"""
The compiled engine: the same answers, far faster
-------------------------------------------------
"""

from __future__ import annotations

from simulator.engine.compiled.engine import CompiledEngine

__all__ = ("CompiledEngine",)
