# SPDX-License-Identifier: MIT
"""
mm/page_alloc.c: order-0 pages
------------------------------

Modelled: a finite number of free base pages, apart from the memory for huge
pages; failures injected by ordinal, as fail_page_alloc does; one cost to take a
page and one to give it back, besides cold struct pages (see
:mod:`simulator.kernel.cache`).  The pages of one folio are taken at one instant.

Not modelled: reclaim, the OOM killer, watermarks, zones; a page of one node where
another has none.
"""

from __future__ import annotations

from simulator.engine import Steps, Task
from simulator.kernel.cache import Cache

__all__ = ("PageAlloc",)


class PageAlloc(Cache):
    """Order-0 allocation and freeing."""

    def alloc_pages(
        k,
        task: Task,
        kind: str,
        nr_pages: int = 1,
        category: str = "page_alloc",
        nid: int | None = None,
    ) -> Steps:
        """
        Take pages of a node, the task's own if none is given; generator.

        Returns how many it got: fewer than ``nr_pages`` where memory ran out or a
        failure of this ``kind`` was injected.
        """
        if not task.ready():
            yield from task.meet()
        got = nr_pages if nr_pages <= k.nr_free_pages else k.nr_free_pages
        if kind in k.config.faults:
            first = k.nr_allocs[kind] + 1
            for nth in k.config.faults[kind]:
                if first <= nth < first + got:
                    got = nth - first
        # The allocation that failed was tried, and counts.
        k.nr_allocs[kind] += got if got == nr_pages else got + 1
        k.nr_free_pages -= got
        phase = k.recorder.phase
        if k.nr_free_pages < phase.free_pages_min:  # noqa: PLR1730 - min() is slower
            phase.free_pages_min = k.nr_free_pages
        ns = k.cost.page_alloc.times[got]
        task.work(category, ns if nid is None else ns + k.new_pages_ns(task, nid, got))
        return got

    def free_pages(k, task: Task, nr_pages: int, category: str = "page_free") -> Steps:
        """Give pages back; generator."""
        if not task.ready():
            yield from task.meet()
        k.nr_free_pages += nr_pages
        task.work(category, k.cost.page_free.times[nr_pages])
