# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from simulator.errors import InputError
from simulator.machine import load_noise, noises

SHARES = ("idle_share", "irqs_off_share", "preempted_share")


def test_presets_are_the_four_named_ones_with_their_shares():
    shares = {n: tuple(getattr(load_noise(n), s) for s in SHARES) for n in noises()}
    assert shares == {
        "quiet": (0.05, 0.001, 1e-5),
        "idle": (0.95, 0.0005, 1e-5),
        "busy": (0.02, 0.01, 0.001),
        "overcommitted": (0.02, 0.01, 0.10),
    }


@pytest.mark.parametrize("name", noises())
def test_no_preset_switches_a_mechanism_off_and_each_share_has_a_reason(name):
    noise = load_noise(name)
    for share in SHARES:
        assert getattr(noise, share) > 0
        assert getattr(noise.reasons, share).startswith("assumed")


def test_own_noise_states_all_shares():
    noise = load_noise({"idle_share": 0, "irqs_off_share": 0.01, "preempted_share": 0})
    assert (noise.idle_share, noise.irqs_off_share, noise.preempted_share) == (0, 0.01, 0)
    assert noise.reasons.idle_share == "set by the user"


def test_own_noise_may_differ_from_a_preset_in_some_shares():
    noise = load_noise({"preset": "busy", "idle_share": 0.3})
    busy = load_noise("busy")
    assert noise.idle_share == 0.3
    assert noise.irqs_off_share == busy.irqs_off_share
    assert noise.reasons.idle_share == "set by the user"
    assert noise.reasons.irqs_off_share == busy.reasons.irqs_off_share
    assert load_noise({"preset": "busy"}) == busy


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("quite", "noise: unknown preset 'quite' (did you mean 'quiet'?)"),
        ({"preset": 3}, "noise: unknown preset 3; known: quiet, idle, busy, overcommitted"),
        ({"idle": 0.1}, "noise: unknown key 'idle' (did you mean 'idle_share'?)"),
        ({"idle_share": 0.1}, "noise: missing 'irqs_off_share' (or a 'preset' to take it from)"),
        (
            {"preset": "busy", "idle_share": 1.5},
            "noise: idle_share is 1.5, but must be 0 to 1 (nearest: 1)",
        ),
        (
            {"preset": "busy", "idle_share": -0.5},
            "noise: idle_share is -0.5, but must be 0 to 1 (nearest: 0)",
        ),
        (
            {"preset": "busy", "idle_share": "much"},
            "noise: idle_share: must be a number, not 'much'",
        ),
        (
            {"preset": "busy", "idle_share": float("nan")},
            "noise: idle_share: must be a finite number, not nan",
        ),
        (5, "noise: must be a name or a table, not 5"),
    ],
)
def test_wrong_noise_is_one_line_with_the_nearest_value(wrong, expected):
    with pytest.raises(InputError) as caught:
        load_noise(wrong)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)
