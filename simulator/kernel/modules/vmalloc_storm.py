# SPDX-License-Identifier: MIT
"""
vmalloc_storm: purges of vmalloc, and patched code
--------------------------------------------------

What disturbs isolated CPUs on a machine that is otherwise left alone: so many purges of
large and of small ranges, and so many batches of patched code.

Modelled: one call after another, on one CPU.

Not modelled: the time between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from simulator.engine import Body
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.structs import PAGE_SIZE

__all__ = ("LARGE_PAGES", "SMALL_PAGES", "VmallocStorm")

#: Above the ceiling of single pages, and below.
LARGE_PAGES, SMALL_PAGES = 512, 8
_SITES = 256  # of one batch


class VmallocStorm:
    """The module: ``nr_all`` purges of large ranges, ``nr_range`` of small ones, patching."""

    name = "vmalloc_storm"
    masked = True

    def __init__(self, nr_all: int, nr_range: int, nr_patched: int) -> None:
        self._nr_all = nr_all
        self._nr_range = nr_range
        self._nr_patched = nr_patched

    def phases(self, k: Hugetlb) -> Mapping[str, Body]:
        """Return one phase for each kind."""
        return {
            "flush_all": partial(self._purge, k, LARGE_PAGES, self._nr_all),
            "flush_range": partial(self._purge, k, SMALL_PAGES, self._nr_range),
            "sync_core": partial(self._patch, k),
        }

    def _purge(self, k: Hugetlb, pages: int, times: int) -> None:
        for _ in range(times):
            k.purge_vmap_area_lazy(0, pages * PAGE_SIZE)

    def _patch(self, k: Hugetlb) -> None:
        for _ in range(self._nr_patched):
            k.text_poke_bp_batch(_SITES)
