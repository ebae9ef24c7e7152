# SPDX-License-Identifier: MIT
"""
Noise
-----

What else the CPUs are doing while a request runs: the share of time that a CPU
is idle, has interrupts off, or (a virtual CPU) is not running at all.  How long
such a spell lasts is a property of the machine; how frequent it is, of the
noise.

Modelled: three shares, the same for every CPU, as independent spells.

Not modelled: load that moves between CPUs or that reacts to the request.

Sources: assumptions, each with its reason in ``noise.toml``; no
published measurement states these shares for the calibrated machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from simulator.errors import InputError, nearest
from simulator.machine.explain import explain
from simulator.machine.load import read_toml
from simulator.machine.schema import Strict

__all__ = ("Noise", "Reasons", "load_noise", "noises")

_SHARES = ("idle_share", "irqs_off_share", "preempted_share")


class Reasons(Strict):
    """Why a share is what it is."""

    idle_share: str
    irqs_off_share: str
    preempted_share: str


class Noise(Strict):
    """
    Shares of time, 0 to 1; 0 switches a mechanism off.

    `preempted_share` is for virtual machines; bare metal has no such spells and
    ignores it.
    """

    name: str
    idle_share: float
    irqs_off_share: float
    preempted_share: float
    reasons: Reasons

    @model_validator(mode="after")
    def _are_shares(self) -> Noise:
        for name in _SHARES:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                near = 0 if value < 0 else 1
                raise ValueError(f"{name} is {value:g}, but must be 0 to 1 (nearest: {near})")
        return self


def noises() -> tuple[str, ...]:
    """Return the names of the presets, from the least noise to the most."""
    return tuple(_presets())


def load_noise(noise: str | Mapping[str, Any]) -> Noise:
    """
    Return a preset by its name, or a noise of one's own.

    A mapping states all three shares, or a preset and what differs from it:
    ``{"preset": "busy", "idle_share": 0.3}``.
    """
    presets = _presets()
    if isinstance(noise, str):
        return _preset(presets, noise)
    if not isinstance(noise, Mapping):
        raise InputError(f"noise: must be a name or a table, not {noise!r}")
    given = dict(noise)
    own = {key: given[key] for key in _SHARES if key in given}
    reasons = dict.fromkeys(own, "set by the user")
    name = "own"
    for key in given:
        if key not in (*_SHARES, "preset"):
            known = nearest(str(key), (*_SHARES, "preset"))
            raise InputError(f"noise: unknown key {str(key)!r}{known}")
    if "preset" in given:
        base = _preset(presets, given["preset"])
        name = base.name if not own else f"{base.name}, changed"
        own = {key: getattr(base, key) for key in _SHARES} | own
        reasons = base.reasons.model_dump() | reasons
    for key in _SHARES:
        if key not in own:
            raise InputError(f"noise: missing {key!r} (or a 'preset' to take it from)")
    return _build({"name": name, **own, "reasons": reasons})


def _presets() -> dict[str, Any]:
    label = "noise.toml"
    return read_toml(Path(str(resources.files("simulator.machine") / label)), label)


def _preset(presets: Mapping[str, Any], name: object) -> Noise:
    if not isinstance(name, str) or name not in presets:
        hint = nearest(name, presets) if isinstance(name, str) else ""
        raise InputError(f"noise: unknown preset {name!r}{hint}; known: {', '.join(presets)}")
    return _build({"name": name, **presets[name]})


def _build(data: dict[str, Any]) -> Noise:
    try:
        return Noise.model_validate(data)
    except ValidationError as error:
        raise InputError(f"noise: {explain(error, Noise)}") from None
