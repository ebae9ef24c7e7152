# SPDX-License-Identifier: MIT
"""
What does synchronize_rcu() of v6.12 cost?
------------------------------------------

Since commit bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with
speculative PFN walkers") (in v6.11) HVO waits for a grace period before
it remaps struct pages, and before it restores them: once to a batch, or
once to each folio that is worked on alone.

Covers:
    - v6.7 against v6.12, by the number of huge pages
    - a batch (writing nr_hugepages) against surplus pages, one by one
    - elapsed time, grace periods, flushes, the time in grace periods
    - from how many pages on a batch no longer feels its grace period
    - both ends of the range of a grace period, whose length is assumed

Scenario:
    The pool of 2 MB pages is empty. One task asks for N of them at once
    and gives them back; or it faults in N surplus pages, which are
    optimised one by one and, once freed, restored one by one.

Usage:
    python scenarios/synchronize_rcu.py
    python scenarios/synchronize_rcu.py --quick --machine laptop-8
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.synchronize_rcu import SynchronizeRcu

if __name__ == "__main__":
    sys.exit(script_status(SynchronizeRcu, __doc__, __file__))
