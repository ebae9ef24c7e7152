# SPDX-License-Identifier: MIT
"""
tlb_flush: how long does a flush take?
--------------------------------------

Flushes so many pages, over and over, on every CPU, or everything.

Modelled: flush_tlb_kernel_range() and flush_tlb_all().  A flush of user pages,
flush_tlb_mm_range(), takes the same way through smp_call_function_many_cond()
to the CPUs of the process; with as many CPUs as the process has threads this
module stands for it.

Not modelled: what comes before a flush of user pages (system call, page fault,
page tables), lazy TLBs, generations.

Sources: arch/x86/mm/tlb.c of Linux v6.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from simulator.engine import Body
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.structs import PAGE_SIZE

__all__ = ("ALL", "TlbFlush")

#: The phase of flush_tlb_all().
ALL = "all"


class TlbFlush:
    """The module; ``ntimes`` flushes of each size, in pages (None: everything)."""

    name = "tlb_flush"
    masked = False

    def __init__(self, sizes: Sequence[int | None], ntimes: int) -> None:
        self._sizes = tuple(sizes)
        self._ntimes = ntimes

    def phases(self, k: Hugetlb) -> Mapping[str, Body]:
        """Return the flushes of each size, by the number of pages."""
        return {
            ALL if size is None else str(size): partial(self._flush, k, size)
            for size in self._sizes
        }

    def _flush(self, k: Hugetlb, size: int | None) -> None:
        for _ in range(self._ntimes):
            if size is None:
                k.flush_tlb_all("benchmark")
            else:
                k.flush_tlb_kernel_range(0, size * PAGE_SIZE, "benchmark")
