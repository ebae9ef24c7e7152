# SPDX-License-Identifier: MIT
"""
What user space asks for
------------------------

A request turns the phases of a scenario into the bodies of tasks:

``pool``
    writers of nr_hugepages, each with its share; one hstate serialises them;
``boot``
    pinned threads that allocate their shares at boot, as since v6.9 (on an older
    kernel an extrapolation), freed by one writer of nr_hugepages;
``surplus``
    faults that take one folio each beyond the pool (overcommit), and the tasks
    that give theirs back, all at once; a kworker frees what is optimised.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from simulator.engine import Body
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.structs import Folio

__all__ = ("Requests",)


class Requests:
    """The bodies of a scenario's tasks; ``allocators`` of them share ``pages``."""

    def __init__(self, kernel: Hugetlb, path: str, pages: int, allocators: int) -> None:
        self._kernel = kernel
        self._path = path
        self._pages = pages
        self._shares = [pages // allocators + (i < pages % allocators) for i in range(allocators)]
        self._surplus: dict[int, list[Folio]] = {i: [] for i in range(allocators)}

    def bodies(self, phase: str) -> Sequence[Body]:
        """Return what each task does in a phase, ``alloc`` or ``free``."""
        kernel = self._kernel
        h = kernel.h
        if self._path == "surplus":
            fault = self._fault if phase == "alloc" else self._unmap
            return [partial(fault, nth, share) for nth, share in enumerate(self._shares)]
        if self._path == "boot":
            if phase == "free":
                return [partial(kernel.set_max_huge_pages, h, -self._pages)]
            return [partial(kernel.hugetlb_pages_alloc_boot_node, h, n) for n in self._shares]
        sign = 1 if phase == "alloc" else -1
        return [partial(kernel.set_max_huge_pages, h, sign * n) for n in self._shares]

    def _fault(self, nth: int, nr: int) -> None:
        for _ in range(nr):
            folio = self._kernel.alloc_surplus_hugetlb_folio(self._kernel.h)
            if folio is not None:
                self._surplus[nth].append(folio)

    def _unmap(self, nth: int, nr: int) -> None:
        mine = self._surplus[nth]
        for _ in range(min(nr, len(mine))):
            self._kernel.free_huge_folio(self._kernel.h, mine.pop())
        self._kernel.worker_thread()
