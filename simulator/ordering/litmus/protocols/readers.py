# SPDX-License-Identifier: MIT
"""
Split and remap under the eyes of two readers
---------------------------------------------
"""

from __future__ import annotations

from simulator.ordering.litmus.protocol import Cpu, Protocol
from simulator.ordering.litmus.protocols.batch import optimize_folios
from simulator.ordering.litmus.protocols.vmemmap import LEAF, VMEMMAP

__all__ = ("CASES",)


def reads_twice(k: Cpu) -> None:
    """Read the head, and again."""
    k.require("contents-before-pte", k.read("head") == 1)
    k.require("contents-before-pte", k.read("head") == 1)


CASES = (
    Protocol(
        "two-readers",
        "split, flush, remap, flush, free; two CPUs read the head all the while",
        (optimize_folios, reads_twice, reads_twice),
        LEAF,
        dict.fromkeys(("sc", "tso", "arm64"), "safe"),
        translation=VMEMMAP,
        on_fault="pte-before-pmd",
    ),
)
