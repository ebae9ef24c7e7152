# SPDX-License-Identifier: MIT
"""
Split, flush, remap, flush, free
--------------------------------

hugetlb_vmemmap_optimize_folios() of v6.7, and what goes wrong when one of its two flushes is
missing or misplaced.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.vmemmap import (
    LEAF,
    VMEMMAP,
    reader,
    split_vmemmap_huge_pmd,
    vmemmap_remap_range,
)

__all__ = ("CASES", "free_vmemmap_page_list")


def free_vmemmap_page_list(k: Cpu) -> None:
    """Give back the pages that head and tail were on."""
    k.free_page("page0")
    k.free_page("page1")


def optimize_folios(k: Cpu) -> None:
    """As merged."""
    split_vmemmap_huge_pmd(k)
    k.flush_tlb_all()
    vmemmap_remap_range(k)
    k.flush_tlb_all()
    free_vmemmap_page_list(k)


def no_first_flush(k: Cpu) -> None:
    """Only the flush before the free."""
    split_vmemmap_huge_pmd(k)
    vmemmap_remap_range(k)
    k.flush_tlb_all()
    free_vmemmap_page_list(k)


def no_final_flush(k: Cpu) -> None:
    """Only the flush after the split."""
    split_vmemmap_huge_pmd(k)
    k.flush_tlb_all()
    vmemmap_remap_range(k)
    free_vmemmap_page_list(k)


def freed_before_flush(k: Cpu) -> None:
    """The flush comes after the free."""
    split_vmemmap_huge_pmd(k)
    k.flush_tlb_all()
    vmemmap_remap_range(k)
    free_vmemmap_page_list(k)
    k.flush_tlb_all()


def flush_too_early(k: Cpu) -> None:
    """The tail is remapped after the flush."""
    split_vmemmap_huge_pmd(k)
    k.flush_tlb_all()
    k.write_page("new", k.read("head"))
    k.smp_wmb()
    k.set_pte("pte_head", "new")
    k.flush_tlb_all()
    k.set_pte("pte_tail", "new")
    free_vmemmap_page_list(k)


def acknowledged_early(k: Cpu) -> None:
    """The final flush does not wait: each csd is given back before its function has run."""
    split_vmemmap_huge_pmd(k)
    k.flush_tlb_all()
    vmemmap_remap_range(k)
    k.send_flush(how="acknowledged early")
    k.csd_lock_wait()
    free_vmemmap_page_list(k)


def no_last_dsb(k: Cpu) -> None:
    """The final flush does not wait: TLBI, and no DSB after it."""
    split_vmemmap_huge_pmd(k)
    k.flush_tlb_all()
    vmemmap_remap_range(k)
    k.dsb("ishst")
    k.tlbi()
    free_vmemmap_page_list(k)


def flush_and_tell(k: Cpu) -> None:
    """TLBI here; another CPU executes the DSB, and frees."""
    split_vmemmap_huge_pmd(k)
    k.flush_tlb_all()
    vmemmap_remap_range(k)
    k.dsb("ishst")
    k.tlbi()
    k.smp_store_release("sent", 1)


def wait_and_free(k: Cpu) -> None:
    """A DSB completes the TLBIs of its own CPU only."""
    k.smp_cond_load_acquire("sent", 1)
    k.dsb("ish")
    free_vmemmap_page_list(k)


def _case(
    name: str,
    summary: str,
    verdict: str,
    *cpus: Callable[[Cpu], None],
    models: str = "sc tso arm64",
) -> Protocol:
    return Protocol(
        name,
        summary,
        (*cpus, reader),
        LEAF,
        dict.fromkeys(models.split(), verdict),
        translation=VMEMMAP,
        on_fault="pte-before-pmd",
    )


_FREED = "unsafe freed-while-held"
CASES = (
    _case("batch", "split, flush, remap, flush, free: v6.7", "safe", optimize_folios),
    _case("batch-no-first-flush", "no flush between split and remap",
          "unsafe size-and-frame", no_first_flush),
    _case("batch-no-final-flush", "no flush between remap and free", _FREED, no_final_flush),
    _case("batch-freed-before-flush", "the pages are freed before the final flush",
          _FREED, freed_before_flush),
    _case("batch-flush-too-early", "the final flush comes before the last remap",
          _FREED, flush_too_early),
    _case("batch-csd-acked-early", "a csd is acknowledged before its flush has run",
          _FREED, acknowledged_early, models="sc tso"),
    _case("batch-no-last-dsb", "the final TLBI is not waited for",
          _FREED, no_last_dsb, models="arm64"),
    _case("batch-dsb-elsewhere", "the final TLBI is waited for by another CPU's DSB",
          _FREED, flush_and_tell, wait_and_free, models="arm64"),
)  # fmt: skip
