# SPDX-License-Identifier: MIT
"""
What a revision takes, by its public face
-----------------------------------------

``python probe.py FIELDS SMALL LARGE`` simulates alloc and free of two numbers of pages in turn
and prints CPU seconds for each, as JSON; ``python probe.py one`` makes one small simulation
and ends.  Run by its path, with the revision's tree on PYTHONPATH: it uses nothing but what
every revision offers, and nothing of this package.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import simulator

__all__ = ("main",)

_REPEATS = 3


def main(arguments: list[str]) -> None:
    """Measure, and print a line of JSON."""
    if arguments == ["one"]:
        simulator.simulate(simulator.Scenario(machine="laptop-8", kernel="v6.6", pages=64))
        return
    fields: dict[str, Any] = json.loads(arguments[0])
    if fields.pop("patched", False):
        # What a user's patch is to the simulator: a class of its own.
        base = simulator.load_kernel(fields["kernel"])
        fields["kernel"] = type("Patched", (base,), {"name": "patched"})
    sizes = [int(pages) for pages in arguments[1:]]
    best = dict.fromkeys(sizes, float("inf"))
    flushes = {}
    for _ in range(_REPEATS):
        for pages in sizes:
            scenario = simulator.Scenario(pages=pages, seed=1, **fields)
            begin_s = time.process_time()
            result = simulator.simulate(scenario)
            best[pages] = min(best[pages], time.process_time() - begin_s)
            flushes[pages] = int(result.summary["flushes"].sum())
    print(json.dumps({"s": list(best.values()), "flushes": list(flushes.values())}))


if __name__ == "__main__":
    main(sys.argv[1:])
