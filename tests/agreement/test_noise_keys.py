# SPDX-License-Identifier: MIT
"""The oracle of the compiled engine is the events engine, also under every key of a noise."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import simulator as sim
from simulator.machine.noise import NOISE_KEYS
from tests.agreement.equality import differences

#: Noisy enough for every spell to decide something in a few flushes.
KEYS = {
    "idle_share": {"idle_share": 0.6},
    "irqs_off_share": {"irqs_off_share": 0.018},
    "preempted_share": {"preempted_share": 0.3},
    "idle_depth_ns": {"idle_share": 0.8, "idle_depth_ns": 60_000},
    "idle_guess_factor": {"idle_share": 0.8, "idle_depth_ns": 60_000, "idle_guess_factor": 8},
    "irqs_off_tail_share": {
        "irqs_off_share": 0.05, "irqs_off_tail_share": 0.5, "irqs_off_max_ns": 5e5,
    },
    "irqs_off_max_ns": {
        "irqs_off_share": 0.003, "irqs_off_tail_share": 0.01, "irqs_off_max_ns": 2e5,
    },
    "shootdowns_per_s": {"shootdowns_per_s": 8000},
    "shootdown_ns": {"shootdowns_per_s": 2000, "shootdown_ns": 9000},
}  # fmt: skip


@pytest.mark.parametrize("key", NOISE_KEYS)
@pytest.mark.parametrize("machine", ["laptop-8", "epyc-7j13-vm252", "xeon-e7-8895-8s"])
def test_engines_agree_under_every_key(machine, key):
    fields = {
        "machine": machine, "cpus": 8, "pages": 120, "placement": "pmds=8",
        "noise": {"preset": "quiet", **KEYS[key]},
    }  # fmt: skip
    assert differences(fields) == []
    with_key = sim.simulate(sim.Scenario(**fields))
    if machine == "epyc-7j13-vm252" or key != "preempted_share":
        # The key decides something, or this test would compare nothing.
        without = sim.simulate(sim.Scenario(**fields | {"noise": "quiet"}))
        same = with_key.flushes.equals(without.flushes) and with_key.cpus.equals(without.cpus)
        assert not same


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_engines_agree_on_vcpus_with_several_competitors(share):
    noise = {"preset": "busy", "preempted_share": share}
    for more in ({}, {"irqs_off_share": 0.1}, {"idle_share": 0.5}):
        fields = {
            "machine": "epyc-7j13-vm252", "cpus": 6, "pages": 12, "placement": "pmds=4",
            "noise": noise | more,
        }  # fmt: skip
        assert differences(fields) == []
        boot = fields | {"path": "boot", "allocators": 3, "phases": ("alloc",)}
        assert differences(boot) == []


@st.composite
def noises(draw):
    noise = {"preset": draw(st.sampled_from(sim.noises()))}
    share = st.floats(0, 1)
    if draw(st.booleans()):
        noise["idle_share"] = draw(share)
    if draw(st.booleans()):
        noise["idle_depth_ns"] = draw(st.floats(2e3, 2e7))
    if draw(st.booleans()):
        noise["irqs_off_share"] = draw(st.floats(0, 0.001))
        noise["irqs_off_tail_share"] = draw(share)
        noise["irqs_off_max_ns"] = draw(st.floats(1.1e5, 1e6))
    if draw(st.booleans()):
        noise["irqs_off_share"] = draw(st.floats(0, 0.0005))
        noise["shootdowns_per_s"] = draw(st.floats(0, 500))
        noise["shootdown_ns"] = draw(st.floats(1, 3e3))
    return noise


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    noise=noises(),
    machine=st.sampled_from(["laptop-8", "epyc-7j13-vm252", "xeon-e7-8895-8s"]),
    path=st.sampled_from(["pool", "boot", "surplus"]),
    allocators=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_engines_agree_under_random_noise(noise, machine, path, allocators, seed):
    fields = {
        "machine": machine, "cpus": 8, "pages": 12, "path": path, "allocators": allocators,
        "seed": seed, "noise": noise,
    }  # fmt: skip
    assert differences(fields) == []
