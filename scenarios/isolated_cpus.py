# SPDX-License-Identifier: MIT
"""
May isolated CPUs be left alone?
--------------------------------

A CPU that runs one task in user mode has no need of kernel translations
until it enters the kernel. The posted deferral spares it the interrupts
of vmalloc and patched code; HVO's flushes it does not.

Covers:
    - what was counted on an E5-2699 with 26 isolated CPUs
    - v6.18 with RFC v8, and what if HVO were deferred too
    - 0 to 10,000 kernel entries a second, each of which flushes

Scenario:
    The broadcasts that were counted; then one task fills the pool, HVO
    on, and empties it, while isolated CPUs stay in user mode.

Usage:
    python scenarios/isolated_cpus.py
    python scenarios/isolated_cpus.py --quick
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.isolated_cpus import IsolatedCpus

if __name__ == "__main__":
    sys.exit(script_status(IsolatedCpus, __doc__, __file__))
