# SPDX-License-Identifier: MIT
r"""
What does one more CPU cost?
----------------------------

A flush of one page against the number of CPUs that it has to reach, on
machines from a desktop to 8 sockets, bare metal and guests.

Covers:
    - the published cost of madvise() with 1, 2 and 4 threads on a
      Haswell
    - the same beside one peer in a small cloud VM, and what the peer
      loses
    - what the first other CPU costs, and each further one, on every
      machine

Scenario:
    One CPU flushes over and over; the others run. A flush of user pages
    reaches the CPUs of its process, one of kernel pages all of them:
    the first N CPUs of a machine stand for either.

Usage:
    python scenarios/shootdown_cpus.py
    python scenarios/shootdown_cpus.py --quick --machine core-i5-4590 \
        --out /tmp/cpus
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.shootdown_cpus import ShootdownCpus

if __name__ == "__main__":
    sys.exit(script_status(ShootdownCpus, __doc__, __file__))
