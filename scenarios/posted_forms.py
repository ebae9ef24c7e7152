# SPDX-License-Identifier: MIT
r"""
The PMD split as it was posted: what does each form flush?
----------------------------------------------------------

The patch "hugetlb: batch PMD split for bulk vmemmap dedup" was posted
eight times, in four forms that differ in when they flush the TLBs: v1,
v2 (the one with remap_pte), v3 and v4 (with an inverted flag), v5 to v8
(as merged).

Covers:
    - number and kind of the flushes of each form, beside their formulas
    - what a split that fails, for want of memory, does to them
    - the path of single folios
    - the same with the next patch on top, which batches the remaps
    - which forms give pages back while a split PMD was never flushed

Scenario:
    The pool of 2 MB pages is empty, and one task asks for N of them.
    Once they lie together, 64 to a vmemmap PMD; once each in a PMD of
    its own, and the PTE page of the split in the middle cannot be had;
    once they are surplus pages, which are optimised one by one.

Usage:
    python scenarios/posted_forms.py
    python scenarios/posted_forms.py --quick --machine laptop-8 \
        --out /tmp/posted
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.posted_forms import PostedForms

if __name__ == "__main__":
    sys.exit(script_status(PostedForms, __doc__, __file__))
