# SPDX-License-Identifier: MIT
"""The oracle of the compiled engine is the events engine, also when memory runs out."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.kernel import kernels, proposals
from tests.agreement.equality import differences
from tests.kernel.helpers import of_the_laptop

ANSWERS = [name for name in proposals() if "enomem" in name]
# What leaves out CPUs has no IPIs to replay.
EVERY = [name for name in of_the_laptop(*kernels(), *proposals()) if "defer" not in name]


@pytest.mark.parametrize("kernel", ["v6.7", *ANSWERS])
@pytest.mark.parametrize("free_pages", [0, 1, 20])
def test_engines_agree_on_every_answer(kernel, free_pages):
    fields = {
        "kernel": kernel, "pages": 40, "placement": "pmds=40", "free_pages": free_pages,
        "noise": "busy",
    }  # fmt: skip
    assert differences(fields) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kernel=st.sampled_from(EVERY),
    path=st.sampled_from(["pool", "boot", "surplus"]),
    allocators=st.integers(1, 5),
    pages=st.integers(5, 40),
    spread=st.booleans(),
    free_pages=st.integers(0, 60),
    seed=st.integers(0, 1000),
)
def test_engines_agree_under_random_pressure(
    kernel, path, allocators, pages, spread, free_pages, seed
):
    fields = {
        "kernel": kernel, "path": path, "allocators": allocators, "pages": pages, "seed": seed,
        "placement": f"pmds={pages}" if spread else "aligned", "free_pages": free_pages,
    }  # fmt: skip
    assert differences(fields) == []
