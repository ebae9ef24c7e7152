# SPDX-License-Identifier: MIT
"""
What is attached where
----------------------
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.ordering.checker.accounting import Accounting
from simulator.ordering.checker.barriers import Barriers
from simulator.ordering.checker.held_locks import HeldLocks
from simulator.ordering.checker.live_entries import LiveEntries
from simulator.ordering.checker.other_writers import HeadWriter
from simulator.ordering.checker.report import Reporter
from simulator.ordering.checker.stores import Stores

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("Checker", "Checks")

Function = Callable[..., Any]
Around = Callable[[Function], Function]
#: Names of invariants, and what looks after them by the function that it is put around.
Part = tuple[list[str], list[tuple[Around, str]]]

_TOTAL_STORE_ORDER = {"x86-64"}
_NEEDS_BREAK_BEFORE_MAKE = {"arm64"}
#: What asks other CPUs to flush without an interrupt, and what waits for that.
_ASKS_HARDWARE = ("_invlpgb", "_tlbi", "_sbi_rfence", "_rar_request")
_WAITS_FOR_HARDWARE = ("_tlbsync", "_dsb_ish", "_sbi_done", "_rar_wait")


@dataclass(frozen=True, slots=True)
class Checks:
    """
    What a run is held against; see :mod:`simulator.ordering.invariants`.

    ``isa``: that of a machine, whose memory model and page tables these are (None: that of the
    scenario's).  Stores of a CPU become visible in their order on x86-64 alone; elsewhere barriers
    are checked.  ``head_writer``: another CPU may write the head struct page of any folio.
    """

    isa: str | None = None
    head_writer: bool = False


class Checker:
    """
    What holds a kernel against invariants until it is detached, and their names.

    With ``places`` it knows where locks were taken, see :attr:`wants_places`.
    """

    def __init__(self, k: Hugetlb, checks: Checks, isa: str, *, places: bool = False) -> None:
        report = Reporter(k)
        self._locks = HeldLocks(k, report, places=places)
        checked: list[str] = []
        for names, attached in (
            *_page_tables(k, report, self._locks, isa if checks.isa is None else checks.isa),
            _locks(report, self._locks),
            *([_head_writer(k, report)] if checks.head_writer else []),
        ):
            checked += names
            for around, name in attached:
                if hasattr(k, name):  # versions have functions of their own
                    k.attach(name, around)
        self.checked = tuple(checked)

    @property
    def wants_places(self) -> bool:
        """Whether it had to tell where a lock was taken, and did not know."""
        return self._locks.wants_places

    def detach(self) -> None:
        """Put back the functions of locks; those of the kernel are for the kernel to put back."""
        self._locks.detach()


def _page_tables(k: Hugetlb, report: Reporter, locks: HeldLocks, isa: str) -> Iterator[Part]:
    stores = Stores(k, report, locks.check_flush)
    accounting = Accounting(k, stores, report)
    yield (
        [
            "freed-while-held", "size-and-frame", "flag-before-copy", "used-while-stale",
            "lost-split", "pages-lost",
        ],
        [
            (stores.populated, "pmd_populate_kernel"),
            (stores.stored, "set_ptes"),
            (stores.listed, "list_add_pages"),
            (stores.unlisted, "list_del_pages"),
            (stores.list_freed, "free_page_list"),
            (stores.flagged, "folio_set_hugetlb_vmemmap_optimized"),
            (stores.returned, "free_huge_page"),
            (stores.flushed, "on_each_cpu"),
            *((stores.broadcast, name) for name in _ASKS_HARDWARE),
            *((stores.synchronized, name) for name in _WAITS_FOR_HARDWARE),
            (accounting.taken, "alloc_buddy_hugetlb_folio"),
            (accounting.taken, "memblock_alloc_huge_page"),
            (accounting.phase_ended, "end_phase"),
        ],
    )  # fmt: skip
    if isa not in _TOTAL_STORE_ORDER:
        barriers = Barriers(k, report)
        yield (
            ["pte-before-pmd", "contents-before-pte"],
            [
                (barriers.filled, "set_ptes_of_leaf"),
                (barriers.copied, "copy_page"),
                (barriers.ordered, "orders_stores"),
                (barriers.populated, "pmd_populate_kernel"),
                (barriers.stored, "set_ptes"),
            ],
        )
    if isa in _NEEDS_BREAK_BEFORE_MAKE and not k.ASSUMES_BBM:
        entries = LiveEntries(k, report)
        yield (
            ["needs-bbm"],
            [
                (entries.stored, "set_ptes"),
                (entries.flushed, "_dsb_ish"),
                (entries.made, "make_entries"),
            ],
        )


def _locks(report: Reporter, locks: HeldLocks) -> Part:
    return (
        [
            "lock-not-held", "lock-order", "lock-held-at-end", "sleep-in-atomic", "irqs-off-flush",
        ],
        [(report.not_held, "lock_not_held"), (locks.sleeps, "sleeps_in_atomic")],
    )  # fmt: skip


def _head_writer(k: Hugetlb, report: Reporter) -> Part:
    writer = HeadWriter(k, report)
    return (
        ["write-lost"],
        [
            (writer.taken, "alloc_buddy_hugetlb_folio"),
            (writer.waited, "synchronize_rcu"),
            (writer.stored, "set_ptes"),
        ],
    )
