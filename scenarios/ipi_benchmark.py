# SPDX-License-Identifier: MIT
r"""
ipi_benchmark: what does KVM's "send IPI" hypercall save?
---------------------------------------------------------

A broadcast that leaves the guest once, instead of once for every
cluster of CPUs or for every CPU: the benchmark behind Linux commit
4180bf1b655a ("KVM: X86: Implement "send IPI" hypercall") (in v4.19), on
the machine of that commit.

Covers:
    - one IPI, a broadcast, a broadcast whose function takes a lock
    - x2APIC cluster mode and physical mode, each with and without the
      hypercall
    - the published figures beside the simulated ones, and which were
      fitted
    - another machine, as its profile has it

Scenario:
    The kernel module ipi_benchmark on one CPU. Nothing else runs, and a
    vCPU that halts answers as one that runs: its host polls for it for
    longer than the time between two IPIs.

Usage:
    python scenarios/ipi_benchmark.py
    python scenarios/ipi_benchmark.py --quick --machine xeon-8375c-2s \
        --out /tmp/ipi
"""

from __future__ import annotations

import sys

from simulator.cli.script import script_status
from simulator.studies.ipi_benchmark import IpiBenchmarkStudy

if __name__ == "__main__":
    sys.exit(script_status(IpiBenchmarkStudy, __doc__, __file__))
