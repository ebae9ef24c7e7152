# SPDX-License-Identifier: MIT
"""
What is attached where
----------------------
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.ordering.checker.barriers import Barriers
from simulator.ordering.checker.report import Reporter
from simulator.ordering.checker.stores import Stores

if TYPE_CHECKING:
    from simulator.kernel.hugetlb import Hugetlb

__all__ = ("Checks", "attach_checker")

Function = Callable[..., Any]
Around = Callable[[Function], Function]


@dataclass(frozen=True, slots=True)
class Checks:
    """
    What a run is held against; see :mod:`simulator.ordering.invariants`.

    ``weakly_ordered``: stores of a CPU become visible in any order, as on arm64; the barriers
    are checked.
    """

    weakly_ordered: bool = False


def attach_checker(k: Hugetlb, checks: Checks) -> tuple[str, ...]:
    """Check a kernel from now on; return the invariants that it is held against."""
    report = Reporter(k)
    checked = []
    for names, attached in _attached(k, report, checks):
        checked += names
        for around, name in attached:
            k.attach(name, around)
    return tuple(checked)


def _attached(
    k: Hugetlb, report: Reporter, checks: Checks
) -> Iterator[tuple[list[str], list[tuple[Around, str]]]]:
    stores = Stores(k, report)
    yield (
        [
            "freed-while-held", "size-and-frame", "flag-before-copy", "used-while-stale",
            "lost-split",
        ],
        [
            (stores.populated, "pmd_populate_kernel"),
            (stores.stored, "set_ptes"),
            (stores.copied, "copy_page"),
            (stores.remap_ended, "vmemmap_remap_free"),
            (stores.remap_ended, "vmemmap_remap_alloc"),
            (stores.listed, "list_add_pages"),
            (stores.unlisted, "list_del_pages"),
            (stores.list_freed, "free_page_list"),
            (stores.flagged, "folio_set_hugetlb_vmemmap_optimized"),
            (stores.returned, "free_huge_page"),
            (stores.flushed, "on_each_cpu"),
        ],
    )  # fmt: skip
    if checks.weakly_ordered:
        barriers = Barriers(k, report)
        yield (
            ["pte-before-pmd", "contents-before-pte"],
            [
                (barriers.filled, "set_ptes_of_leaf"),
                (barriers.copied, "copy_page"),
                (barriers.ordered, "smp_wmb"),
                (barriers.populated, "pmd_populate_kernel"),
                (barriers.stored, "set_ptes"),
            ],
        )
