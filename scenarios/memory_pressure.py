# SPDX-License-Identifier: MIT
r"""
When memory is short: the answers to ENOMEM at a PMD split
----------------------------------------------------------

What hugetlb_vmemmap_optimize_folios() ends with if it cannot get all
the PTE pages that it wants: half of the discussion of "batch PMD split
for bulk vmemmap dedup" was about what it should do then.

Covers:
    - the answer that was merged (v6.7), the ones that were debated, and
      v6.6
    - few free base pages, from none to enough for all
    - huge pages that share vmemmap PMDs (64 to one) or have one each
    - one PTE page that cannot be had, though others can
    - head pages and restore pages that cannot be had

Scenario:
    The pool is empty, no PMD is split, and so many base pages are free.
    One task asks for N huge pages of 2 MB. Each PMD that is split takes
    a page, each optimised folio gives back 7 net: splitting can feed
    itself, if it is let.

Usage:
    python scenarios/memory_pressure.py
    python scenarios/memory_pressure.py --quick --machine laptop-8 \
        --out /tmp/pressure
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.memory_pressure import MemoryPressure

if __name__ == "__main__":
    sys.exit(script_status(MemoryPressure, __doc__, __file__))
