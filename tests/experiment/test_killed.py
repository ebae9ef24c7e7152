# SPDX-License-Identifier: MIT
"""The command itself, killed as a process in the middle of a sweep: nothing lost, equal bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

SWEEP = (
    "sweep", "--machine", "laptop-8,epyc-zen4-vm2", "--cpus", "1,2", "--kernel", "v6.6,v6.7",
    "--pages", "64", "--replications", "12", "--json", "--store",
)  # fmt: skip
CELLS = 2 * 2 * 2 * 12


def started(store, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *SWEEP, str(store), *options],
        stdout=subprocess.PIPE,
        text=True,
    )


def content(store):
    return {path.name: path.read_bytes() for path in store.glob("cells/*/*.cell")}


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--jobs", "2")])
def test_a_sweep_killed_twice_as_a_process_ends_as_one_that_was_not(tmp_path, options):
    for at in (CELLS // 4, CELLS // 2):
        with started(tmp_path / "killed", *options) as process:
            while len(list(tmp_path.glob("killed/cells/*/*.cell"))) < at:
                assert process.poll() is None
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    before = content(tmp_path / "killed")
    assert CELLS // 2 <= len(before) < CELLS
    printed = {}
    for name in ("killed", "whole"):
        with started(tmp_path / name) as process:
            printed[name] = process.communicate()[0]
            assert process.returncode == 0
    assert printed["killed"] == printed["whole"]
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert len(content(tmp_path / "whole")) == CELLS
    # What the killed ones had begun to write is gone.
    assert not list(tmp_path.rglob(".tlbsim-*"))
