# SPDX-License-Identifier: MIT
"""Traces of real kernels, and small ones written by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from simulator.trace import read_ftrace

DATA = Path(__file__).parents[2] / "data" / "ftrace"


def text_of(name):
    """Return the text of a recorded trace."""
    return gzip.decompress((DATA / f"{name}.gz").read_bytes()).decode()


@pytest.fixture
def read(tmp_path):
    """Read a trace given as text."""

    def from_text(text, **options):
        path = tmp_path / "trace.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_ftrace(path, **options)

    return from_text
