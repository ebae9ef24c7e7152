# SPDX-License-Identifier: MIT
"""Results with nothing but a summary, for tests of the comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from simulator.analysis import METRICS


@dataclass(frozen=True)
class Scenario:
    machine: Any = "laptop-8"
    kernel: str = "v6.6"
    pages: int = 256
    hvo: bool = True
    cpus: int | None = None
    seed: int = 1
    replication: int = 0
    engine: str = "auto"


@pytest.fixture
def run():
    """Return a maker of results: every metric has the given value in every phase."""

    def make(value=1.0, phases=("alloc",), *, metrics=None, **fields):
        columns = {metric: [float(value)] * len(phases) for metric in METRICS}
        columns.update({m: [float(v)] * len(phases) for m, v in (metrics or {}).items()})
        summary = pd.DataFrame({"phase": pd.Categorical(phases, phases), **columns})
        return SimpleNamespace(
            scenario=replace(Scenario(), **fields),
            summary=summary,
            latency=pd.DataFrame(
                {"phase": [], "what": [], "low_ns": [], "high_ns": [], "count": []}
            ),
            time_by=pd.DataFrame({"phase": [], "category": [], "ns": []}),
            provenance={},
        )

    return make
