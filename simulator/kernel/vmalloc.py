# SPDX-License-Identifier: MIT
"""
mm/vmalloc.c: what vfree() leaves is flushed later
--------------------------------------------------

Modelled: the flush of __purge_vmap_area_lazy(), a range of kernel addresses.

Not modelled: areas, their lists, and when a purge is due; kernel modules say so.

Source: mm/vmalloc.c of v6.12.
"""

from __future__ import annotations

from simulator.kernel.tlb import Tlb

__all__ = ("Vmalloc",)


class Vmalloc(Tlb):
    """The purge of lazily freed areas."""

    def purge_vmap_area_lazy(k, start: int, end: int) -> None:
        """Flush the addresses of areas that were freed."""
        k.flush_tlb_kernel_range(start, end, reason="vmalloc")
