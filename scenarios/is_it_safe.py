# SPDX-License-Identifier: MIT
r"""
Is it safe?
-----------

A patch that trades flushes for batching wins time. Whether it also
frees a page that a CPU may still reach, no time tells.

Covers:
    - kernels that were merged, and a posted one whose flag is inverted
    - kernels with one mistake each: no flush after the splits, no final
      flush, pages freed before it, a second try without its flush, each
      smp_wmb() left out, the Optimized flag set after the remap, a leaf
      not tested again under its lock
    - x86-64, machines that order stores weakly, arm64, and another CPU
      that writes the head struct page meanwhile
    - what was expected beside what was found

Scenario:
    Each kernel fills a pool of 2 MB pages and empties it: as a list of
    folios, with splits that find no memory, and one by one.

Usage:
    python scenarios/is_it_safe.py
    python scenarios/is_it_safe.py --quick --kernel v6.7 \
        --kernel my_patch.py
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.is_it_safe import IsItSafe

if __name__ == "__main__":
    sys.exit(script_status(IsItSafe, __doc__, __file__))
