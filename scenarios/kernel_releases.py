# SPDX-License-Identifier: MIT
"""
What did each release since v6.1 do to my 2 MB and 1 GB fill?
-------------------------------------------------------------

Each release from v6.1 to v7.3 changed how often HVO flushes, waits for
grace periods and patches code. This is the same fill on all of them.

Covers:
    - ten kernels, v6.1 to v7.3, HVO on
    - pages of 2 MB, and as much memory in pages of 1 GB
    - elapsed time, flushes, grace periods, static-key broadcasts
    - what the other CPUs lose meanwhile

Scenario:
    The pool is empty. One task writes N to nr_hugepages, then 0.

Usage:
    python scenarios/kernel_releases.py
    python scenarios/kernel_releases.py --quick --machine laptop-8
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.kernel_releases import KernelReleases

if __name__ == "__main__":
    sys.exit(script_status(KernelReleases, __doc__, __file__))
