# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.machine import Noise, load_noise, noises
from simulator.machine.noise import NOISE_KEYS, Reasons

SHARES = ("idle_share", "irqs_off_share", "preempted_share")


def test_presets_are_the_named_ones_with_their_shares():
    shares = {n: tuple(getattr(load_noise(n), s) for s in SHARES) for n in noises()}
    assert shares == {
        "quiet": (0.05, 0.001, 1e-5),
        "idle": (0.95, 0.0005, 1e-5),
        "busy": (0.02, 0.01, 0.001),
        "production": (0.02, 0.01, 0.001),
        "kasan": (0.02, 0.03, 0.001),
        "overcommitted": (0.02, 0.01, 0.10),
    }


@pytest.mark.parametrize("name", noises())
def test_no_preset_switches_a_mechanism_off_and_each_share_has_a_reason(name):
    noise = load_noise(name)
    for share in SHARES:
        assert getattr(noise, share) > 0
        assert getattr(noise.reasons, share).startswith(("assumed", "derived"))


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


def test_every_field_of_a_noise_is_a_key_with_unit_bounds_and_reason():
    assert [f for f in Noise.model_fields if f not in ("name", "reasons")] == list(NOISE_KEYS)
    assert list(Reasons.model_fields) == list(NOISE_KEYS)
    for name, key in NOISE_KEYS.items():
        assert key.unit
        assert key.text
        assert key.low < key.high
        # A value is required unless something else holds where it is not set.
        assert Noise.model_fields[name].is_required() == (not key.default)


def test_with_values_changes_values_their_reasons_and_the_name():
    noise = load_noise("quiet").with_values({"idle_share": 0.3, "shootdowns_per_s": 1000})
    assert (noise.idle_share, noise.shootdowns_per_s) == (0.3, 1000)
    assert noise.name == "quiet, idle_share=0.3, shootdowns_per_s=1000"
    assert noise.reasons.shootdowns_per_s == noise.reasons.idle_share == "set by the user"
    assert noise.reasons.irqs_off_share == load_noise("quiet").reasons.irqs_off_share
    assert load_noise("quiet").with_values({}) == load_noise("quiet")


def test_noise_from_a_file_has_its_name_and_its_reasons(tmp_path):
    file = tmp_path / "my-guest.toml"
    file.write_text(
        'preset = "busy"\nidle_depth_ns = 50000\nidle_share = 0.4\n'
        '[reasons]\nidle_share = "measured: mpstat on the guest, 2023-09-06"\n'
    )
    for path in (file, str(file)):
        noise = load_noise(path)
        assert (noise.name, noise.idle_share, noise.idle_depth_ns) == ("my-guest", 0.4, 50000)
        assert noise.irqs_off_share == load_noise("busy").irqs_off_share
        assert noise.reasons.idle_share.startswith("measured: mpstat")
        assert noise.reasons.idle_depth_ns == "set by the user"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("idle_share = ", "noise: .*my.toml: not TOML: "),
        ('preset = "buzy"', "noise: .*my.toml: unknown preset 'buzy' .did you mean 'busy'"),
        (
            'preset = "busy"\nidle = 1',
            "noise: .*my.toml: unknown key 'idle' .did you mean 'idle_share'",
        ),
        ("idle_share = 0.1", "noise: .*my.toml: missing 'irqs_off_share'"),
        ('preset = "busy"\nreasons = 1', "noise: .*my.toml: reasons: must be a table"),
        (
            'preset = "busy"\nidle_share = 0.1\n[reasons]\nidle_shere = "x"',
            "noise: .*my.toml: reasons: unknown key 'idle_shere' .did you mean 'idle_share'",
        ),
        (
            'preset = "busy"\nidle_share = 0.1\n[reasons]\nidle_share = 3',
            "noise: .*my.toml: reasons.idle_share: must be text, not 3",
        ),
    ],
)
def test_wrong_files_are_one_line(tmp_path, text, expected):
    file = tmp_path / "my.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_noise(file)
    assert re.match(expected, str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line():
    with pytest.raises(InputError, match=r"noise: none\.toml: no such file"):
        load_noise(Path("none.toml"))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("quite", "noise: unknown preset 'quite' (did you mean 'quiet'?)"),
        ({"preset": 3}, "noise: unknown preset 3; known: quiet, idle, busy, production, kasan,"),
        ({"idle": 0.1}, "noise: unknown key 'idle' (did you mean 'idle_share'?)"),
        ({"foo": 0.1}, "noise: unknown key 'foo'; known: idle_share, irqs_off_share, "),
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
        (
            {"preset": "busy", "idle_depth_ns": 10},
            "noise: idle_depth_ns is 10, but must be 2000 to 1e+09 (nearest: 2000)",
        ),
        (
            {"preset": "busy", "shootdowns_per_s": -1},
            "noise: shootdowns_per_s is -1, but must be 0 to 1e+06 (nearest: 0)",
        ),
        (
            {"preset": "busy", "shootdown_per_s": 1},
            "noise: unknown key 'shootdown_per_s' (did you mean 'shootdowns_per_s'?)",
        ),
        (
            {"preset": "busy", "irqs_off_tail_share": 0.1},
            "noise: irqs_off_tail_share needs irqs_off_max_ns, the longest section",
        ),
        (5, "noise: must be a name or a table, not 5"),
    ],
)
def test_wrong_noise_is_one_line_with_the_nearest_value(wrong, expected):
    with pytest.raises(InputError) as caught:
        load_noise(wrong)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("huge", [10**400, "1" + "0" * 400])
def test_a_share_of_400_digits_is_one_line(tmp_path, huge):
    (tmp_path / "n.toml").write_text(f'preset = "busy"\nidle_share = {huge}\n')
    for make in (
        lambda: load_noise({"preset": "busy", "idle_share": huge}),
        lambda: load_noise("busy").with_values({"idle_share": huge}),
        lambda: load_noise(tmp_path / "n.toml"),
    ):
        with pytest.raises(InputError, match=r"idle_share.* must be ") as caught:
            make()
        assert len(str(caught.value)) < 500


def test_minus_zero_is_no_share():
    with pytest.raises(InputError, match=r"idle_share is -0, but must be 0 to 1 \(nearest: 0\)"):
        load_noise({"preset": "busy", "idle_share": -0.0})


def test_home_of_nobody_and_brackets_without_end_are_one_line(tmp_path):
    with pytest.raises(InputError, match="no such user as ~nosuchuser"):
        load_noise("~nosuchuser/a.toml")
    (tmp_path / "n.toml").write_text(f"preset = {'[' * 20_000}")
    with pytest.raises(InputError, match="too deep"):
        load_noise(tmp_path / "n.toml")
    (tmp_path / "a\nb.toml").write_text('preset = "busy"\n')
    with pytest.raises(InputError, match="cannot be printed"):
        load_noise(tmp_path / "a\nb.toml")
