# SPDX-License-Identifier: MIT
"""
Linux v6.7
----------

v6.6 with the whole series.
"""

from __future__ import annotations

from simulator.kernel.versions.v6_6_8 import V6_6_8

__all__ = ("V6_7",)


class V6_7(V6_6_8):
    """The whole series: two flushes to a fill, one to a free."""

    name = "v6.7"
    base = "v6.7"
    subject = "Linux 6.7"
    commit = "0dd3ee311255"
    summary = "the batching series as released: 2 flushes to a fill, 1 to a free"
