# SPDX-License-Identifier: MIT
"""Fixtures for the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from simulator.cli import main


@dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def tlbsim(capsys):
    """Run a command in this process."""

    def run(*argv):
        status = main([str(arg) for arg in argv])
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return run
