# SPDX-License-Identifier: MIT
r"""
Where should the ceiling of single-page flushes be?
---------------------------------------------------

x86 flushes up to 33 pages one by one, and everything where there are
more: commit a5102476a24b ("x86/mm: Set TLB flush tunable to sane value
(33)") (in v3.17). When is it cheaper to flush everything, and to miss
the rest again?

Covers:
    - flushes by their number of pages, published and simulated
    - the number of pages from which a full flush is cheaper, by how
      much of the TLB is used again after it
    - the same on other machines, as their profiles have it

Scenario:
    One CPU flushes over and over, with the ceiling out of the way;
    nobody else is there. What a flush takes from the TLB is missed
    again afterwards.

Usage:
    python scenarios/flush_ceiling.py
    python scenarios/flush_ceiling.py --quick --machine laptop-8 \
        --out /tmp/ceiling
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.flush_ceiling import FlushCeiling

if __name__ == "__main__":
    sys.exit(script_status(FlushCeiling, __doc__, __file__))
