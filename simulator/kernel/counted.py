# SPDX-License-Identifier: MIT
"""
Calls counted as kprobes count them
-----------------------------------

:func:`counted` makes a kernel that behaves as another one, and counts besides what its
counts have already: which functions were entered, flushes by length, cross-calls
queued, PTEs rewritten, the pools at the end of a phase.  The names are those of the
columns of a file of counts (:mod:`simulator.published.counts`).

Modelled: a function is counted under the name that it has in this version.  One of
those that restore a folio is entered only for a folio that is optimised, as in v6.7.

Not modelled: cross-calls of the rest of a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

from simulator.engine import Engine
from simulator.engine.calls import Call
from simulator.kernel.hugetlb import Hugetlb
from simulator.kernel.placement import HugeMemory
from simulator.kernel.structs import PAGE_SIZE, KernelConfig
from simulator.machine import Platform

__all__ = ("BOOT_COUNTS", "CALL_COUNTS", "counted")

# Columns by the first name of a function.
_ENTERED: Final = {
    "hugetlb_vmemmap_optimize_folios": ("optimize_folios_calls",),
    "hugetlb_vmemmap_restore_folios": ("restore_folios_calls",),
    "_hugetlb_vmemmap_optimize": ("optimize_folio_runs",),
    "hugetlb_vmemmap_optimize": ("single_optimize_calls",),
    "vmemmap_remap_range": ("vmemmap_remap_range_calls", "remap_range_calls"),
    "hugetlb_pages_alloc_boot_node": ("alloc_boot_node_calls",),
    "gather_bootmem_prealloc_node": ("gather_bootmem_calls",),
    "hugetlb_vmemmap_optimize_bootmem_folios": ("optimize_bootmem_folios_calls",),
    "vmemmap_wrprotect_hvo": ("wrprotect_hvo_calls",),
}
_ENTERED_OPTIMIZED: Final = {
    "_hugetlb_vmemmap_restore": "restore_folio_runs",
    "hugetlb_vmemmap_restore": "single_restore_calls",
}
_PTES: Final = {"remap": "pte_remapped", "restore": "pte_restored"}
_LENGTHS: Final = (7, 8, 512, 4095, 4096)
_QUEUED: Final = {
    "do_flush_tlb_all": "csd_queued_full_flush",
    "do_kernel_range_flush": "csd_queued_range_flush",
    "do_sync_core": "csd_queued_sync_core",
}

#: What is counted besides, in a phase.
CALL_COUNTS: Final = (
    "pages_before",
    "shared_tail_pages_allocated",
    *(f"fkr_len{length}" for length in _LENGTHS),
    "do_sync_core_broadcasts",
    "optimize_folios_calls",
    "restore_folios_calls",
    "optimize_folio_runs",
    *_ENTERED_OPTIMIZED.values(),
    "single_optimize_calls",
    "vmemmap_remap_range_calls",
    *_PTES.values(),
    *_QUEUED.values(),
    "pool_2m_after",
    "pool_1g_after",
    "surplus_2m_after",
)

#: What is counted besides, of a boot.
BOOT_COUNTS: Final = (
    "pool_2m",
    "pool_1g",
    "alloc_boot_node_calls",
    "distinct_tasks",
    "gather_bootmem_calls",
    "optimize_folios_calls",
    "optimize_bootmem_folios_calls",
    "optimize_folio_runs",
    "remap_range_calls",
    "wrprotect_hvo_calls",
    "flush_tlb_all_calls",
    "flush_tlb_kernel_range_calls",
    "on_each_cpu_calls_direct",
    "do_flush_tlb_all_exec_hugetlb",
    "synchronize_rcu_calls",
    "threads_reported",
)

Function = Callable[..., Any]


def counted(kernel: type[Hugetlb]) -> type[Hugetlb]:
    """Return a kernel that behaves as the given one, and counts more."""

    class Counted(kernel):  # type: ignore[misc, valid-type]
        def __init__(
            k, engine: Engine, platform: Platform, memory: HugeMemory, config: KernelConfig
        ) -> None:
            super().__init__(engine, platform, memory, config)
            k.tasks_at_boot: set[int] = set()
            for name, columns in _ENTERED.items():
                _attach(k, name, partial(_count, k, columns))
            for name, column in _ENTERED_OPTIMIZED.items():
                _attach(k, name, partial(_count_optimized, k, column))
            _attach(k, "set_ptes", partial(_count_ptes, k))
            engine.on_each_cpu = _count_calls(k, engine.on_each_cpu)  # type: ignore[method-assign]

        def begin_phase(k, label: str, start_ns: int, initiators: Collection[int]) -> None:
            super().begin_phase(label, start_ns, initiators)
            k.counts["pages_before"] = k.h_of_phase.nr_huge_pages

        def end_phase(k, end_ns: int) -> None:
            counts = k.counts
            for size in ("2M", "1G"):
                counts[f"pool_{size.lower()}_after"] = k.hstate(size).nr_huge_pages
                counts[f"pool_{size.lower()}"] = k.hstate(size).nr_huge_pages
            counts["surplus_2m_after"] = k.hstate("2M").surplus_huge_pages
            counts["distinct_tasks"] = counts["threads_reported"] = len(k.tasks_at_boot)
            counts["do_flush_tlb_all_exec_hugetlb"] = counts["do_flush_tlb_all_exec_total"]
            counts["on_each_cpu_calls_direct"] = (
                counts["on_each_cpu_calls"] - counts["do_sync_core_broadcasts"]
            )
            super().end_phase(end_ns)

        def flush_tlb_kernel_range(k, start: int, end: int, reason: str) -> None:
            length = (end - start) // PAGE_SIZE
            if length in _LENGTHS:
                k.counts[f"fkr_len{length}"] += 1
            super().flush_tlb_kernel_range(start, end, reason)

        def hugetlb_pages_alloc_boot_node(k, h: Any, nr: int) -> None:
            k.tasks_at_boot.add(k.current.number)
            super().hugetlb_pages_alloc_boot_node(h, nr)

    return Counted


def _attach(k: Hugetlb, name: str, around: Callable[[Function], Function]) -> None:
    # Under the name that a version has, every caller comes past.
    while name in k.RENAMED:
        name = k.RENAMED[name]
    if hasattr(k, name):
        k.attach(name, around)


def _count(k: Hugetlb, columns: tuple[str, ...], function: Function) -> Function:
    def entered(*args: Any, **kwargs: Any) -> Any:
        for column in columns:
            k.counts[column] += 1
        return function(*args, **kwargs)

    return entered


def _count_optimized(k: Hugetlb, column: str, function: Function) -> Function:
    def entered(h: Any, folio: Any, *args: Any) -> Any:
        k.counts[column] += folio.hugetlb_vmemmap_optimized
        return function(h, folio, *args)

    return entered


def _count_ptes(k: Hugetlb, function: Function) -> Function:
    def set_ptes(addr: int, nr: int, category: str) -> None:
        k.counts[_PTES[category]] += nr
        function(addr, nr, category)

    return set_ptes


def _count_calls(k: Hugetlb, function: Function) -> Function:
    def on_each_cpu(call: Call) -> None:
        k.counts[_QUEUED[call.function]] += k.platform.nr_cpus - 1
        if call.function == "do_sync_core":
            k.counts["do_sync_core_broadcasts"] += 1
        function(call)

    return on_each_cpu
