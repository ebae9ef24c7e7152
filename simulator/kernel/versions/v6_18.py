# SPDX-License-Identifier: MIT
"""
Linux v6.18
-----------

6.18.15, as its calls were counted: v6.15 under other names.  walk_page_range_novma() is
walk_kernel_page_table_range() since v6.17, as far as is known.

Source: counted in Linux 6.18.15.
"""

from __future__ import annotations

from typing import ClassVar

from simulator.kernel.versions.renamed import calls
from simulator.kernel.versions.v6_15 import V6_15

__all__ = ("V6_18",)


class V6_18(V6_15):
    """v6.15, with one function renamed."""

    name = "v6.18"
    base = "v6.18"
    subject = "Linux 6.18"
    commit = "7d0a66e4bb90"
    summary = "v6.15, with one function renamed"
    RENAMED: ClassVar[dict[str, str]] = V6_15.RENAMED | {
        "walk_page_range_novma": "walk_kernel_page_table_range"
    }

    walk_kernel_page_table_range = V6_15.walk_page_range_novma
    walk_page_range_novma = calls("walk_kernel_page_table_range")
