# SPDX-License-Identifier: MIT
"""
One measurement in a process of its own
---------------------------------------

``python -m benchmarks.child loop MACHINE CPUS TASKS FLUSHES`` runs the loop on the
compiled engine, ``job ARGUMENT...`` is ``tlbsim run``, ``checked NAME PAGES`` and
``unchecked NAME PAGES`` simulate with the checker and without; all end with a line of
JSON: CPU time since the process started, and peak memory.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time

from benchmarks.host import peak_bytes

__all__ = ("main",)


def main(arguments: list[str]) -> int:
    """Run; return the exit status."""
    status = 0
    if arguments[0] == "job":
        from simulator.cli import main as tlbsim

        with contextlib.redirect_stdout(io.StringIO()):
            status = tlbsim(["run", *arguments[1:]]) or 0
    elif arguments[0] in ("checked", "unchecked"):
        from benchmarks.kernel_side import CHECKED, MACHINE
        from simulator import Scenario, simulate
        from simulator.ordering.checker import Checks

        name, pages = arguments[1:]
        scenario = Scenario(machine=MACHINE, pages=int(pages), **CHECKED[name])
        simulate(scenario, checks=Checks() if arguments[0] == "checked" else None)
    else:
        from benchmarks.in_engines import Compiled
        from benchmarks.work import Work

        machine, *numbers = arguments[1:]
        cpus, tasks, flushes = map(int, numbers)
        Compiled().prepare(Work(machine, cpus, tasks, flushes), checked=False).run()
    taken = {"cpu_s": time.process_time(), "peak_bytes": peak_bytes()}
    print(json.dumps(taken))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
