# SPDX-License-Identifier: MIT
"""
The engines on large runs, every IPI
------------------------------------

Outside the fast suite: ``make test-slow``.  Off-by-one rules at ties have shown
only after many millions of random interrupts.
"""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

import simulator as sim
from tests.agreement.equality import FRAMES

pytestmark = pytest.mark.slow

GUEST = {"machine": "epyc-7j13-vm252", "kernel": "v6.6", "noise": "busy"}


@pytest.mark.parametrize(
    ("fields", "ipis"),
    [
        ({**GUEST, "pages": 40_000, "phases": ("alloc",)}, 10**7),
        ({**GUEST, "pages": 60_000, "path": "boot", "allocators": 16, "phases": ("alloc",)}, 10**6),
    ],
    ids=["one task", "16 tasks"],
)
def test_every_ipi_of_a_large_run_equals_the_events_engine(tmp_path, fields, ipis):
    s = sim.Scenario(**fields)
    events, compiled = (sim.simulate(s.replace(engine=name)) for name in ("events", "compiled"))
    assert compiled.summary.ipis.sum() >= ipis
    for frame in FRAMES:
        assert getattr(events, frame).equals(getattr(compiled, frame)), frame
    files = tmp_path / "events.parquet", tmp_path / "compiled.parquet"
    events.write_ipis(files[0])
    compiled.write_ipis(files[1])
    batches = zip(*(pq.ParquetFile(file).iter_batches(100_000) for file in files), strict=True)
    for ours, theirs in batches:
        assert ours.equals(theirs)
