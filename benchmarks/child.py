# SPDX-License-Identifier: MIT
"""
One measurement in a process of its own
---------------------------------------

``python -m benchmarks.child loop MACHINE CPUS TASKS FLUSHES`` runs the loop on the
compiled engine, ``job ARGUMENT...`` is ``tlbsim run``; both end with a line of
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
