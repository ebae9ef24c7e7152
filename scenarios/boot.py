# SPDX-License-Identifier: MIT
"""
What does a release do to the allocation at boot?
-------------------------------------------------

Huge pages of the kernel command line: releases differ in how many tasks
and lists allocate them, in what they do to pages of 1 GB, and in how
much of the memory a boot gets that asks for all of it.

Covers:
    - eight kernels, v6.1 to v7.3, HVO on
    - tasks and lists by each version's own rule; pre-HVO since v6.15
    - elapsed time, flushes, grace periods
    - the pages missed because a batch holds its vmemmap until the flush

Scenario:
    hugepages=N for as much memory as there is; huge pages and base
    pages come from one memory. Then half of it as pages of 1 GB.

Usage:
    python scenarios/boot.py
    python scenarios/boot.py --quick --machine laptop-8
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.boot import Boot

if __name__ == "__main__":
    sys.exit(script_status(Boot, __doc__, __file__))
