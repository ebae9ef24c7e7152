# SPDX-License-Identifier: MIT
"""
Are the results of two engines equal?

Run as a script, compares a fixed set of small scenarios with each other, and exits
with 1 at the first difference: for runs without numba, and of broken rules.
"""

from __future__ import annotations

import sys
import warnings

import simulator as sim

FRAMES = (
    "summary", "counts", "folios", "flushes", "cpus", "time_by", "throughput", "latency",
)  # fmt: skip

#: Small, and between them every rule of the compiled engine decides something.
SMALL = (
    {"cpus": 4, "pages": 6},
    {"cpus": 8, "pages": 12, "path": "boot", "allocators": 4, "noise": "busy"},
    {"cpus": 6, "pages": 12, "path": "surplus", "allocators": 5, "noise": "idle", "kernel": "v6.1"},
    {"cpus": 8, "pages": 24, "path": "boot", "allocators": 3, "noise": "idle", "seed": 4},
    {
        "machine": "epyc-7j13-vm252",
        "cpus": 20,
        "pages": 24,
        "path": "surplus",
        "allocators": 8,
        "noise": "overcommitted",
    },
    {
        "machine": "xeon-e7-8895-8s",
        "cpus": 40,
        "pages": 40,
        "path": "boot",
        "allocators": 10,
        "noise": "busy",
    },
)


def differences(fields):
    """Return the names of the frames, that of all IPIs too, in which the engines differ."""
    s = sim.Scenario(**{"machine": "laptop-8", **fields})
    events = sim.simulate(s.replace(engine="events"))
    compiled = sim.simulate(s.replace(engine="compiled"))
    different = [n for n in FRAMES if not getattr(events, n).equals(getattr(compiled, n))]
    every = range(len(events.flushes))
    if not events.ipis(every).equals(compiled.ipis(every)):
        different.append("ipis")
    return different


def main():
    warnings.simplefilter("error")
    for fields in SMALL:
        different = differences(fields)
        if different:
            print(fields, different)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
