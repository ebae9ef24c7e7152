# SPDX-License-Identifier: MIT
"""
The first published figures of HVO: does the model give them?
-------------------------------------------------------------

Before HVO was merged its author published how long 10240 huge pages
take with it and without, and histograms of the time of each page, on a
machine that is not stated.

Covers:
    - the four times, published and simulated
    - the four histograms, as bpftrace prints them
    - what the one prediction hangs on: how soon an idle CPU goes into
      C1E

Scenario:
    Kernel v5.14: 6 of 8 vmemmap pages go back, nothing is split, every
    page flushes. The machine is a guess, fitted to the times with HVO
    off and to the allocation with HVO on; freeing with HVO on, and both
    histograms with HVO on, are predicted. With --quick the last-level
    cache is made smaller by as much as the number of pages, or all
    struct pages would be in it, and freeing with HVO off would take
    half the time.

Usage:
    python scenarios/hvo_2021.py
    python scenarios/hvo_2021.py --quick --out /tmp/hvo
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.hvo_2021 import Hvo2021

if __name__ == "__main__":
    sys.exit(script_status(Hvo2021, __doc__, __file__))
