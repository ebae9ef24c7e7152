# SPDX-License-Identifier: MIT
"""
The head page, and smp_wmb() before set_pte()
---------------------------------------------
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.vmemmap import (
    SPLIT,
    VMEMMAP,
    reader,
    vmemmap_remap_range,
)

__all__ = ("CASES",)


def remap_without_wmb(k: Cpu) -> None:
    """The mutant."""
    head = k.read("head")
    k.write_page("new", head)
    k.set_pte("pte_head", "new")
    k.set_pte("pte_tail", "new")


CASES = (
    Protocol(
        "head-remap",
        "the head is copied and mapped to its new page while another CPU reads it",
        (vmemmap_remap_range, reader),
        SPLIT,
        {"sc": "safe", "tso": "safe", "arm64": "safe"},
        translation=VMEMMAP,
    ),
    Protocol(
        "head-remap-no-wmb",
        "the same without smp_wmb() before set_pte()",
        (remap_without_wmb, reader),
        SPLIT,
        {"sc": "safe", "tso": "safe", "arm64": "unsafe contents-before-pte"},
        translation=VMEMMAP,
    ),
)
