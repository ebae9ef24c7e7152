# SPDX-License-Identifier: MIT
"""
The split of a PMD, and smp_wmb() before pmd_populate_kernel()
--------------------------------------------------------------
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.vmemmap import (
    LEAF,
    VMEMMAP,
    reader,
    split_vmemmap_huge_pmd,
)

__all__ = ("CASES",)


def split_without_wmb(k: Cpu) -> None:
    """The mutant."""
    k.set_pte("pte_head", "page0")
    k.set_pte("pte_tail", "page1")
    k.pmd_populate_kernel("pmd", "pgtable")


CASES = (
    Protocol(
        "split",
        "a PMD is split while another CPU walks",
        (split_vmemmap_huge_pmd, reader),
        LEAF,
        {"sc": "safe", "tso": "safe", "arm64": "safe"},
        translation=VMEMMAP,
        on_fault="pte-before-pmd",
    ),
    Protocol(
        "split-no-wmb",
        "the same without smp_wmb() before pmd_populate_kernel()",
        (split_without_wmb, reader),
        LEAF,
        {"sc": "safe", "tso": "safe", "arm64": "unsafe pte-before-pmd"},
        translation=VMEMMAP,
        on_fault="pte-before-pmd",
    ),
)
