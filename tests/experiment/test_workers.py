# SPDX-License-Identifier: MIT
"""Simulations beside each other: the same answers as one by one, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from simulator.analysis import Totals
from simulator.experiment import simulate_totals
from simulator.run import simulate
from simulator.scenario import Scenario

SCENARIOS = [
    Scenario(machine="laptop-8", kernel=kernel, pages=pages)
    for kernel, pages in (("v6.6", 64), ("v6.7", 8), ("v6.6+8", 4))
]
# Half a minute of simulation, if nobody stops it.
LONG = """
import signal
from simulator.experiment import simulate_totals
from simulator.scenario import Scenario

def say():
    print("one is done", flush=True)

if __name__ == "__main__":
    # What is started in the background of a shell ignores SIGINT, and so do its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sizes = (1, 500_000, 500_000)
    list(simulate_totals([Scenario(pages=n) for n in sizes], jobs=2, progress=say))
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_totals_are_those_of_one_simulation_after_another(jobs):
    progress = []
    found = list(simulate_totals(SCENARIOS, jobs, lambda: progress.append(1)))
    assert len(progress) == len(found) == len(SCENARIOS)
    assert {r.scenario.key for r in found} == {s.key for s in SCENARIOS}
    for totals in found:
        assert totals.scenario in SCENARIOS
        want = Totals.of(simulate(totals.scenario))
        assert totals.provenance == want.provenance
        for name in ("summary", "counts", "cpus", "time_by", "throughput", "latency"):
            pd.testing.assert_frame_equal(getattr(totals, name), getattr(want, name))


def alive_in_session(session):
    """Return the processes of a session; the dead that nobody waited for are not among them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.parent.name, stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(rest[3]) == session and rest[0] != "Z":
            found.append(int(pid))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "number"),
    [
        (os.killpg, signal.SIGINT),  # as a terminal does
        (os.kill, signal.SIGINT),
        (os.kill, signal.SIGTERM),
        (os.kill, signal.SIGKILL),
    ],
)
def test_nothing_goes_on_without_the_one_who_asked(tmp_path, send, number):
    script = tmp_path / "long.py"
    script.write_text(LONG)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout.readline() == "one is done\n"
        assert len(alive_in_session(process.pid)) >= 3
        send(process.pid, number)
        before = time.monotonic()
        process.wait(timeout=20)
        while alive_in_session(process.pid) and time.monotonic() < before + 20:
            time.sleep(0.05)
        assert not alive_in_session(process.pid)
        assert time.monotonic() < before + 10
        # Of this process alone, and none from those that worked for it.
        assert process.stderr.read().count("Traceback") == (number == signal.SIGINT)
