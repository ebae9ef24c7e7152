# SPDX-License-Identifier: MIT
"""
Does batching still pay with INVLPGB?
-------------------------------------

AMD's INVLPGB and TLBSYNC flush all CPUs without an interrupt. What is
left of the gain of batching flushes, if each of them is so cheap?

Covers:
    - v7.3, and the same kernel without batching
    - flushes by INVLPGB and by interrupts (tlbi=ipi)
    - by the number of CPUs; how long TLBSYNC would have to take for
      batching to double the speed
    - all of it extrapolated: nobody has published such a run

Scenario:
    One task fills the pool with huge pages of 2 MB, HVO on, and empties
    it, on a 2-socket Turin.

Usage:
    python scenarios/does_batching_still_pay.py
    python scenarios/does_batching_still_pay.py --quick
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.does_batching_still_pay import DoesBatchingStillPay

if __name__ == "__main__":
    sys.exit(script_status(DoesBatchingStillPay, __doc__, __file__))
