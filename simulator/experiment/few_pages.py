# SPDX-License-Identifier: MIT
"""
Few pages in place of many
--------------------------

What a folio costs depends on how many there are by what is still cached when the kernel
comes back to it.  The last-level cache of a run of fewer folios is as much smaller as
they are fewer, but holds what is done to one folio of every node.
"""

from __future__ import annotations

from simulator.geometry import PageSize, struct_page_bytes
from simulator.machine import Machine

__all__ = ("with_cache_for",)


def with_cache_for(pages: int, page_size: PageSize, machine: Machine, wanted: int) -> Machine:
    """Return a machine whose last-level cache is to ``pages`` what its own is to ``wanted``."""
    cache = machine.memory.last_level_cache
    scaled = int(cache.exact_bytes) * pages // wanted
    least = machine.nr_nodes * 2 * struct_page_bytes(page_size)
    nr_bytes = float(min(max(scaled, least), int(cache.exact_bytes)))
    smaller = cache.model_copy(
        update={"value": nr_bytes, "unit": "bytes", "range": (nr_bytes, nr_bytes)}
    )
    memory = machine.memory.model_copy(update={"last_level_cache": smaller})
    return machine.model_copy(update={"memory": memory})
