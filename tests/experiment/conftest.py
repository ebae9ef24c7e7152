# SPDX-License-Identifier: MIT
"""Small experiments, simulated once."""

from __future__ import annotations

import pytest

from simulator.experiment import sweep

BASE = {"machine": "laptop-8", "pages": 2, "phases": ("alloc",)}
AXES = {"cpus": [2, 4], "kernel": ["v6.6", "v6.7"]}

OWN_KERNEL = """
from simulator.kernel import load_kernel

class Own(load_kernel("v6.7")):
    name = "own"
    subject = "what a user tries"
    commit = ""
    summary = ""
"""


#: What makes it one that fails.
NEVER_BOOTS = """
    def __init__(k, *parts):
        raise OSError
"""


@pytest.fixture(scope="session")
def swept():
    """Return a small sweep: two numbers of CPUs, two kernels, two replications."""
    return sweep(BASE, AXES, replications=2)


@pytest.fixture
def own_kernel(tmp_path):
    """Return the file of a user's kernel."""
    file = tmp_path / "own.py"
    file.write_text(OWN_KERNEL)
    return file
