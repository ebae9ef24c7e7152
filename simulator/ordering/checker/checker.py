# SPDX-License-Identifier: MIT
"""
What is attached where
----------------------
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.ordering.checker.report import Reporter
from simulator.ordering.checker.stores import Stores

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("Checks", "attach_checker")


@dataclass(frozen=True, slots=True)
class Checks:
    """What is checked; see :mod:`simulator.ordering.invariants`."""


#: What every run checks unless it is told otherwise.
_ALWAYS = (
    "freed-while-held", "size-and-frame", "flag-before-copy", "used-while-stale", "lost-split",
)  # fmt: skip


def attach_checker(k: Hugetlb, checks: Checks) -> tuple[str, ...]:
    """Check a kernel from now on; returns the names of the invariants that are looked after."""
    report = Reporter(k)
    stores = Stores(k, report)
    for around, name in (
        (stores.populated, "pmd_populate_kernel"),
        (stores.stored, "set_ptes"),
        (stores.copied, "copy_page"),
        (stores.remap_ended, "vmemmap_remap_free"),
        (stores.listed, "list_add_pages"),
        (stores.unlisted, "list_del_pages"),
        (stores.list_freed, "free_page_list"),
        (stores.flagged, "folio_set_hugetlb_vmemmap_optimized"),
        (stores.returned, "free_huge_page"),
        (stores.flushed, "on_each_cpu"),
    ):
        k.attach(name, around)
    return _ALWAYS
