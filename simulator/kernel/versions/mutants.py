# SPDX-License-Identifier: MIT
"""
Kernels with a mistake
----------------------

Each class leaves out, or does too early or too late, one thing that v6.7 does, or a later
version that flushes without interrupts; none was ever posted.  They show that the checks find
what they are for.
"""

from __future__ import annotations

from typing import ClassVar

from simulator.kernel.base import KernelBase
from simulator.kernel.structs import (
    Folio,
    VmemmapPages,
)
from simulator.kernel.versions.arm64_hvo import Arm64Bbm2, Arm64Hvo
from simulator.kernel.versions.v6_7 import V6_7
from simulator.kernel.versions.v6_15 import V6_15

__all__ = (
    "Arm64NoBbm",
    "Arm64OtherDsb",
    "EarlyFree",
    "EarlyTlbsync",
    "LateFlag",
    "NoEnomemFlush",
    "NoFinalFlush",
    "NoPmdWmb",
    "NoPteWmb",
    "NoRecheck",
    "NoRestoreFlush",
    "NoSplitFlush",
    "OtherTlbsync",
)


class Mutant(V6_7):
    """v6.7 with a mistake."""

    base = "v6.7"
    commit = ""


class Unflushed(Mutant):
    """One of the flushes after a pass over a list of folios is left out."""

    left_out: ClassVar[str]

    def flush_batch(k, reason: str) -> None:
        """The flush after a pass over a list of folios, but for the one left out."""
        if reason != k.left_out:
            super().flush_batch(reason)


class NoSplitFlush(Unflushed):
    """No flush after the splits."""

    name = "v6.7-no-split-flush"
    subject = "no flush after the splits of a batch"
    summary = "PTEs are remapped while CPUs may hold the 2 MB translation"
    breaks = "size-and-frame"
    left_out = "batch_split"


class NoFinalFlush(Unflushed):
    """No flush after the remaps."""

    name = "v6.7-no-final-flush"
    subject = "no flush before the vmemmap pages of a batch are given back"
    summary = "pages are given back while CPUs may hold translations to them"
    breaks = "freed-while-held"
    left_out = "batch_remap"


class EarlyFree(Mutant):
    """Vmemmap pages are given back, then flushed."""

    name = "v6.7-early-free"
    subject = "vmemmap pages are given back before the flush"
    summary = "the flush comes too late"
    breaks = "freed-while-held"

    def free_batch(k, vmemmap_pages: VmemmapPages, reason: str) -> None:
        """Give back the vmemmap pages of a list of folios, then flush."""
        k.free_vmemmap_page_list(vmemmap_pages)
        k.flush_batch(reason)


class NoEnomemFlush(Unflushed):
    """No flush before the second try."""

    name = "v6.7-no-enomem-flush"
    subject = "no flush before a folio that ran out of memory is tried again"
    summary = "pages are given back early for want of memory, unflushed"
    breaks = "freed-while-held"
    left_out = "enomem"


class NoRestoreFlush(Mutant):
    """No flush after the restores."""

    name = "v6.7-no-restore-flush"
    subject = "no flush after the restores of a batch"
    summary = "folios go back while CPUs may write to the page that all had shared"
    breaks = "used-while-stale"

    def restore_ended(k, restored: int) -> None:
        """Flush nothing after the restores of a list."""


class LateFlag(Mutant):
    """HPageVmemmapOptimized is set after the remap."""

    name = "v6.7-late-flag"
    subject = "HPageVmemmapOptimized is set after the remap, the flush deferred"
    summary = "the flag may be written to the old head page"
    breaks = "flag-before-copy"

    def remap_begins(k, folio: Folio, flags: int) -> None:
        """Nothing before the remap of a folio."""

    def remap_ended(k, folio: Folio, ret: int) -> None:
        """Set the flag after it."""
        if not ret:
            k.folio_set_hugetlb_vmemmap_optimized(folio)


class NoRecheck(Mutant):
    """A PMD is populated whatever it is by then."""

    name = "v6.7-no-recheck"
    subject = "the leaf is not tested again under page_table_lock"
    summary = "of two tasks that split a PMD, one loses what it remapped"
    breaks = "lost-split"

    def pmd_leaf(k, pmd: int) -> bool:
        """Whether a PMD maps 2 MB, as it was when it was looked at last."""
        return k.cache.pmd == pmd or super().pmd_leaf(pmd)


class NoPmdWmb(Mutant):
    """No smp_wmb() before a PMD is populated."""

    name = "v6.7-no-pmd-wmb"
    subject = "no smp_wmb() before pmd_populate_kernel()"
    summary = "a walker may find an empty PTE below the PMD, unless on x86"
    breaks = "pte-before-pmd"

    def smp_wmb(k, nr: int = 1) -> None:
        """Order stores, but for those under page_table_lock."""
        if k.page_table_lock.owner is not k.current:
            super().smp_wmb(nr)


class NoPteWmb(Mutant):
    """No smp_wmb() before a copied page is mapped."""

    name = "v6.7-no-pte-wmb"
    subject = "no smp_wmb() before the PTE of a copied page is stored"
    summary = "another CPU may read the page before its contents, unless on x86"
    breaks = "contents-before-pte"

    def smp_wmb(k, nr: int = 1) -> None:
        """Order stores only under page_table_lock."""
        if k.page_table_lock.owner is k.current:
            super().smp_wmb(nr)


# --- flushes without interrupts, in the flush before pages are given back -----------------


class EarlyTlbsync(V6_15):
    """TLBSYNC comes back before other CPUs have invalidated."""

    name = "v6.15-early-tlbsync"
    base = "v6.15"
    subject = "TLBSYNC returns early"
    commit = ""
    summary = "as a CPU might that tlbi=ipi is for: pages are given back while CPUs hold them"
    breaks = "freed-while-held"
    example_machine = "epyc-9755-2s"

    def _tlbsync(k, cpu: int) -> None:
        """Wait for nothing."""
        if k.hardware.reason != "batch_remap":
            super()._tlbsync(cpu)


class Moved(KernelBase):
    """A task that moves to another CPU before it waits for what it has invalidated."""

    def smp_processor_id(k) -> int:
        """The CPU that the task has moved to."""
        cpu = super().smp_processor_id()
        return (cpu + 1) % k.platform.nr_cpus if k.hardware.reason == "batch_remap" else cpu


class OtherTlbsync(Moved, V6_15):
    """The task moves to another CPU between INVLPGB and TLBSYNC."""

    name = "v6.15-other-tlbsync"
    base = "v6.15"
    subject = "TLBSYNC on another CPU than INVLPGB"
    commit = ""
    summary = "TLBSYNC waits for its own CPU's INVLPGBs only, and there were none"
    breaks = "freed-while-held"
    example_machine = "epyc-9755-2s"


class Arm64OtherDsb(Moved, Arm64Bbm2):
    """The task moves to another CPU between TLBI and DSB."""

    name = "v6.12-arm64-other-dsb"
    subject = "DSB on another CPU than TLBI"
    summary = "DSB waits for its own CPU's TLBIs only, and there were none"
    proposed_in = ""
    breaks = "freed-while-held"


class Arm64NoBbm(Arm64Hvo):
    """HVO forced on arm64, as it was until v6.6."""

    name = "v6.12-arm64-no-bbm"
    subject = "HVO on arm64 without break-before-make"
    summary = "live entries change what they map"
    breaks = "needs-bbm"
