# SPDX-License-Identifier: MIT
"""
The split as it was posted in version 3
---------------------------------------

Its inverted flag leaves a late split without a flush; what follows is the flush of the
remapped range, INVLPG by INVLPG.
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.batch import free_vmemmap_page_list
from simulator.ordering.litmus.protocols.vmemmap import (
    LEAF,
    VMEMMAP,
    reader,
    split_vmemmap_huge_pmd,
    vmemmap_remap_range,
)

__all__ = ("CASES",)


def late_split(k: Cpu) -> None:
    """The split is not flushed; the remapped range is."""
    split_vmemmap_huge_pmd(k)
    vmemmap_remap_range(k)
    k.flush_tlb_kernel_range("head", "tail")
    free_vmemmap_page_list(k)


def late_split_small_invlpg(k: Cpu) -> None:
    """The same on a machine whose INVLPG leaves the 2 MB entry that covers the address."""
    split_vmemmap_huge_pmd(k)
    vmemmap_remap_range(k)
    k.send_flush("head", "tail", how="4K entries only")
    k.csd_lock_wait()
    free_vmemmap_page_list(k)


CASES = (
    Protocol(
        "posted-v3",
        "late split unflushed, then INVLPG of the remapped range (@v3)",
        (late_split, reader),
        LEAF,
        dict.fromkeys(("sc", "tso", "arm64"), "unsafe size-and-frame"),
        translation=VMEMMAP,
        on_fault="pte-before-pmd",
    ),
    Protocol(
        "posted-v3-small-invlpg",
        "the same if INVLPG dropped only the 4 KB entry",
        (late_split_small_invlpg, reader),
        LEAF,
        dict.fromkeys(("sc", "tso"), "unsafe freed-while-held size-and-frame"),
        translation=VMEMMAP,
        on_fault="pte-before-pmd",
    ),
)
