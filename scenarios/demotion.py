# SPDX-License-Identifier: MIT
"""
What does the demotion of 1 GB pages cost?
------------------------------------------

A page of 1 GB that is demoted gets its vmemmap back, and each of the
512 pages of 2 MB made of it is optimised again: one by one up to v6.11,
in a batch since v6.12.

Covers:
    - eight kernels, v6.1 to v7.3, HVO on
    - elapsed time, flushes, grace periods
    - what was published: 8m58 for 100 pages, 0.9 s when batched

Scenario:
    The pool of 1 GB pages is filled with N. One task writes N to
    demote.

Usage:
    python scenarios/demotion.py
    python scenarios/demotion.py --quick --machine laptop-8
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.demotion import Demotion

if __name__ == "__main__":
    sys.exit(script_status(Demotion, __doc__, __file__))
