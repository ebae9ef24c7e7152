# SPDX-License-Identifier: MIT
r"""
Per-folio against batched split and remap of the vmemmap
--------------------------------------------------------

What the series "Batch hugetlb vmemmap modification operations" (v6.6 to
v6.7) does to the time of `echo N > nr_hugepages`, to the TLB flushes,
and to the other CPUs meanwhile.

Covers:
    - the kernels of the series, patch by patch, as a table for a mail
    - the published times of both machines, beside the simulated ones
    - HVO off beside on, so that what should not change is seen not to
    - the price of batching: pages held, locks held, interrupts off
    - plots of time, latency, throughput, number of CPUs, and single
      flushes

Scenario:
    The pool of 2 MB pages is empty. One task asks for N of them, then
    gives all back; each flush on the way interrupts every other CPU.
    The two machines are those on which the series was measured, and N
    is as large as it was there: half a million. The plots of the number
    of CPUs and of single flushes are of fewer pages, which is enough
    for what they show.

Usage:
    python scenarios/batch_pmd_split.py
    python scenarios/batch_pmd_split.py --quick --machine laptop-8 \
        --out /tmp/laptop
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.batch_pmd_split import BatchPmdSplit

if __name__ == "__main__":
    sys.exit(script_status(BatchPmdSplit, __doc__, __file__))
