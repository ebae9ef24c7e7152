# SPDX-License-Identifier: MIT
"""
What does ordering cost a fill?
-------------------------------

HVO orders a new page table before the PMD that points to it, and a new
page before the PTE that maps it. That is free on x86, and a barrier
instruction on arm64 and RISC-V.

Covers:
    - x86-64 (v6.12), arm64 (what if it had HVO), RISC-V (v6.12)
    - pages of 2 MB (8 PTEs each) and of 1 GB (4096)
    - smp_wmb() as assumed, and at both ends of its range

Scenario:
    One task fills the pool, HVO on, and empties it.

Usage:
    python scenarios/ordering_cost.py
    python scenarios/ordering_cost.py --quick
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.ordering_cost import OrderingCost

if __name__ == "__main__":
    sys.exit(script_status(OrderingCost, __doc__, __file__))
