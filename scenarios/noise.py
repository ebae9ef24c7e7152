# SPDX-License-Identifier: MIT
r"""
Does the conclusion survive what the other CPUs do?
---------------------------------------------------

Batching saves flushes. What a flush takes depends on the slowest CPU
that it interrupts: one that is idle, has interrupts off, handles
somebody else's shootdown, or is a virtual CPU that the host does not
run.

Covers:
    - v6.6 against v6.7 under every noise preset, and along one key of a
      noise
    - the speed-up with its interval, so that a change of it can be told
      from chance
    - the time of one flush: median, 99th percentile, maximum

Scenario:
    The pool is empty. One task asks for N huge pages of 2 MB and gives
    them back, several times with other draws. Replications of both
    kernels meet the same noise.

Usage:
    python scenarios/noise.py
    python scenarios/noise.py --quick --machine laptop-8 \
        --key idle_depth_ns --out /tmp/noise
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.noise import Noise

if __name__ == "__main__":
    sys.exit(script_status(Noise, __doc__, __file__))
