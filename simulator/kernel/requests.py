# SPDX-License-Identifier: MIT
"""
What user space asks for
------------------------

A request turns the phases of a scenario into the bodies of tasks.  Those of ``alloc``
and ``free`` depend on its path:

``pool``
    writers of nr_hugepages, each with its share; one hstate serialises them;
``boot``
    pinned threads that allocate their shares at boot, as since v6.9 (on an older
    kernel an extrapolation), freed by one writer of nr_hugepages;
``surplus``
    faults that take one folio each beyond the pool (overcommit), and the tasks
    that give theirs back, all at once; a kworker frees what is optimised.

All others have one task, but for a boot: as many as the version has.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from simulator.engine import Body
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.phases import Phase
from simulator.kernel.structs import Folio

__all__ = ("Requests",)


class Requests:
    """The bodies of a scenario's tasks; ``allocators`` of them share ``pages``."""

    def __init__(self, kernel: Hugetlb, path: str, pages: int, allocators: int) -> None:
        self._kernel = kernel
        self._path = path
        self._pages = pages
        self._shares = _shares(pages, allocators)
        self._surplus: dict[int, list[Folio]] = {i: [] for i in range(allocators)}
        self._gathered = False  # whether the pages of memblock were looked for
        self._mapped: list[Folio] = []  # by the process of map, unmap, mbind and exit

    def bodies(self, phase: Phase) -> Sequence[Body]:
        """Return what each task does in a phase."""
        kernel = self._kernel
        h = kernel.hstate(str(phase.page_size))
        if phase.action in ("alloc", "free"):
            return self._of_path(phase.action)
        if phase.action == "boot":
            return self._boot(phase)
        number = phase.number
        bodies: dict[str, Body] = {
            "write": partial(kernel.nr_hugepages_store, h, number, phase.node),
            "demote": partial(kernel.demote_store, h, number, phase.node),
            "map": partial(self._map, number),
            "unmap": partial(self._unmap_mapped, number),
            "mbind": partial(self._mbind, number, phase.node or 0, phase.to_node or 0),
            "exit": self._exit,
        }
        return [bodies[phase.action]]

    def _of_path(self, action: str) -> Sequence[Body]:
        kernel = self._kernel
        h = kernel.h
        if self._path == "surplus":
            fault = self._fault if action == "alloc" else self._unmap
            return [partial(fault, nth, share) for nth, share in enumerate(self._shares)]
        if self._path == "boot":
            if action == "free":
                return [partial(kernel.set_max_huge_pages, h, -self._pages)]
            return [partial(kernel.hugetlb_pages_alloc_boot_node, h, n) for n in self._shares]
        sign = 1 if action == "alloc" else -1
        return [partial(kernel.set_max_huge_pages, h, sign * n) for n in self._shares]

    def _boot(self, phase: Phase) -> Sequence[Body]:
        kernel = self._kernel
        h = kernel.hstate(str(phase.page_size))
        gathered, self._gathered = self._gathered, True
        if phase.page_size == "1G":
            return [partial(kernel.gather_bootmem_prealloc, h, phase.number)]
        nr_cpus, nr_nodes = kernel.platform.nr_cpus, kernel.platform.nr_nodes
        wanted = kernel.boot_threads(nr_cpus, nr_nodes)
        threads = max(1, min(phase.threads or wanted, nr_cpus, phase.number))
        # As padata_do_multithreaded() has it: min_chunk pages to a list, what is left to the last.
        chunk = max(1, phase.number // max(wanted, threads))
        lists = [min(chunk, phase.number - at) for at in range(0, phase.number, chunk)]

        def thread(nth: int) -> None:
            for nr in lists[nth::threads]:
                kernel.hugetlb_pages_alloc_boot_node(h, nr)
            if not nth and not gathered:
                kernel.gather_bootmem_prealloc(h, 0)

        return [partial(thread, nth) for nth in range(threads)]

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

    def _map(self, nr: int) -> None:
        for _ in range(nr):
            folio = self._kernel.alloc_hugetlb_folio(self._kernel.hstate("2M"))
            if folio is None:
                return  # the process gets a SIGBUS
            self._mapped.append(folio)

    def _unmap_mapped(self, nr: int) -> None:
        for _ in range(min(nr, len(self._mapped))):
            self._kernel.free_huge_folio(self._kernel.hstate("2M"), self._mapped.pop())
        self._kernel.worker_thread()

    def _mbind(self, nr: int, nid: int, to_nid: int) -> None:
        kernel = self._kernel
        for nth, folio in enumerate(self._mapped):
            if nr and folio.nid == nid:
                nr -= 1
                moved = kernel.unmap_and_move_huge_page(kernel.hstate("2M"), folio, to_nid)
                self._mapped[nth] = moved
        kernel.worker_thread()

    def _exit(self) -> None:
        self._kernel.unreserve(self._kernel.hstate("2M"))
        self._unmap_mapped(len(self._mapped))


def _shares(pages: int, tasks: int) -> list[int]:
    return [pages // tasks + (i < pages % tasks) for i in range(tasks)]
