# SPDX-License-Identifier: MIT
r"""
Whether batching the PMD split pays, and what to mail about it
--------------------------------------------------------------

What a reviewer of "hugetlb: batch PMD split for bulk vmemmap dedup"
wants beside the patch, in one folder.

Covers:
    - before the series, before the patch, with it, the whole series
    - every format: cover letter, lkp, mmtests, histograms, page
    - every plot: change, where it comes from, tails, other CPUs
    - whether each kernel keeps what must hold

Scenario:
    The pool of 2 MB pages is empty. One task asks for N of them, then
    gives all back, on the two machines of the series' cover letter.

Usage:
    python scenarios/patch_review.py
    python scenarios/patch_review.py --quick --machine laptop-8 \
        --out /tmp/review
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.patch_review import PatchReview

if __name__ == "__main__":
    sys.exit(script_status(PatchReview, __doc__, __file__))
