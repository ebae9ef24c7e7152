# SPDX-License-Identifier: MIT
"""
Noise
-----

What else the CPUs are doing while a request runs: how much of the time a CPU is
idle and for how long, how much and how long it has interrupts off, how often
other address spaces' shootdowns interrupt it, and how much of the time a virtual
CPU is not running at all.

Modelled: the same noise on every CPU, as independent spells; what a key leaves
out, the machine says (how long a spell lasts, what a handler costs).

Modelled as something else: a CPU in the handler of a background shootdown is one
with interrupts off for that long.  It delays an interrupt as the handler would.

Not modelled: load that moves between CPUs or that reacts to the request; that an
IPI is saved where a background shootdown is still in the CPU's queue; what such
shootdowns do to the interrupt controller, to the sender, or to a CPU with a task;
that they reset the depth of an idle CPU (those of user memory spare idle CPUs);
the TLB misses after them.

Sources: assumptions, each with its reason in ``noise.toml``; no published
measurement states these shares for the calibrated machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from math import copysign
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from simulator.errors import InputError, nearest, number_text
from simulator.explain import explain
from simulator.inputs import user_path
from simulator.machine.load import read_toml
from simulator.machine.values import Strict

__all__ = ("NOISE_KEYS", "Noise", "NoiseKey", "load_noise", "noises")


@dataclass(frozen=True)
class NoiseKey:
    """What a key of a noise means: its unit, its bounds, and a text for the user."""

    unit: str
    low: float
    high: float
    text: str
    #: Of what holds where nothing is set; empty: has to be set.
    default: str = ""

    def problem(self, name: str, value: float) -> str:
        """Return what is wrong with a value, or an empty text."""
        # Minus zero is no share.
        if self.low <= value <= self.high and copysign(1, value) > 0:
            return ""
        near = self.high if value > self.high else self.low
        return (
            f"{name} is {number_text(value)}, but must be {self.low:g} to {self.high:g}"
            f" (nearest: {near:g})"
        )


#: Every key of a noise.
NOISE_KEYS: Mapping[str, NoiseKey] = {
    "idle_share": NoiseKey("of time", 0, 1, "a CPU is idle"),
    "irqs_off_share": NoiseKey("of time", 0, 1, "a CPU that is not idle has interrupts off"),
    "preempted_share": NoiseKey(
        "of time", 0, 1, "the host does not run a vCPU; bare metal ignores it"
    ),
    "idle_depth_ns": NoiseKey(
        "ns",
        2e3,
        1e9,
        "how long a CPU found idle has been so, on average; decides its C-state",
        "the machine's spells.idle.frame, times idle_share + 1/2",
    ),
    "idle_guess_factor": NoiseKey(
        "times",
        1,
        100,
        "how far off the governor's guess of an idle time is at most, either way",
        "1: a C-state is reached at its residency",
    ),
    "irqs_off_tail_share": NoiseKey(
        "of sections",
        0,
        1,
        "interrupts-off sections longer than the longest of the machine",
        "none; the machine's spells.irqs_off.length",
    ),
    "irqs_off_max_ns": NoiseKey(
        "ns",
        1e3,
        4e9,
        "the longest of these; bounded Pareto of exponent 2 from the machine's longest",
        "the machine's longest",
    ),
    "shootdowns_per_s": NoiseKey(
        "per s",
        0,
        1e6,
        "TLB shootdowns of others that interrupt a CPU that is not idle",
        "none beside what irqs_off_share stands for",
    ),
    "shootdown_ns": NoiseKey(
        "ns",
        1,
        4e9,
        "what each of these takes on the CPU that it interrupts",
        "the machine's handler_entry + invlpg + handler_exit",
    ),
}
_REQUIRED = tuple(name for name, key in NOISE_KEYS.items() if not key.default)
_NOT_SET = {name: f"not set: {key.default}" for name, key in NOISE_KEYS.items() if key.default}
_BY_USER = "set by the user"


class Reasons(Strict):
    """Why a value is what it is: kind and source."""

    idle_share: str
    irqs_off_share: str
    preempted_share: str
    idle_depth_ns: str = _NOT_SET["idle_depth_ns"]
    idle_guess_factor: str = _NOT_SET["idle_guess_factor"]
    irqs_off_tail_share: str = _NOT_SET["irqs_off_tail_share"]
    irqs_off_max_ns: str = _NOT_SET["irqs_off_max_ns"]
    shootdowns_per_s: str = _NOT_SET["shootdowns_per_s"]
    shootdown_ns: str = _NOT_SET["shootdown_ns"]


class Noise(Strict):
    """
    What other CPUs do; a share or rate of 0 switches a mechanism off.

    :data:`NOISE_KEYS` says what each field means; None leaves it to the machine.
    """

    name: str
    idle_share: float
    irqs_off_share: float
    preempted_share: float
    idle_depth_ns: float | None = None
    idle_guess_factor: float = 1.0
    irqs_off_tail_share: float = 0.0
    irqs_off_max_ns: float | None = None
    shootdowns_per_s: float = 0.0
    shootdown_ns: float | None = None
    reasons: Reasons

    @property
    def asks_for_preemption(self) -> bool:
        """
        Whether preempted vCPUs are what the noise is about, or were set by the user.

        Presets are for any machine, and most have just a little of it.
        """
        asked = self.reasons.preempted_share == _BY_USER
        return self.preempted_share > (0 if asked else self.irqs_off_share)

    def with_values(self, values: Mapping[str, Any]) -> Noise:
        """Return a noise that differs in some values, see :data:`NOISE_KEYS`."""
        _check_keys(values, NOISE_KEYS)
        _check_values({key: value for key, value in values.items() if value is not None})
        changes = ", ".join(f"{key}={_plain(values[key])}" for key in values)
        data = self.model_dump()
        reasons = data.pop("reasons") | dict.fromkeys(values, _BY_USER)
        name = f"{self.name}, {changes}" if changes else self.name
        return _build({**data, **values, "name": name, "reasons": reasons})

    @model_validator(mode="after")
    def _in_bounds(self) -> Noise:
        if not self.name.isprintable():
            raise ValueError(f"name {self.name!r} has characters that cannot be printed")
        for name, key in NOISE_KEYS.items():
            value = getattr(self, name)
            if value is not None and (problem := key.problem(name, value)):
                raise ValueError(problem)
        if self.irqs_off_tail_share and self.irqs_off_max_ns is None:
            raise ValueError("irqs_off_tail_share needs irqs_off_max_ns, the longest section")
        return self


def noises() -> tuple[str, ...]:
    """Return the names of the presets, from the least noise to the most."""
    return tuple(_presets())


def load_noise(noise: str | Path | Mapping[str, Any]) -> Noise:
    """
    Return a preset by its name, a noise from a TOML file, or one of one's own.

    A mapping states all three shares, or a preset and what differs from it:
    ``{"preset": "busy", "idle_share": 0.3}``.  A file holds the same, and may say
    why in a table ``reasons``.  A text with a slash or the ending ``.toml`` is a path.
    """
    if isinstance(noise, Path) or (
        isinstance(noise, str) and ("/" in noise or noise.endswith(".toml"))
    ):
        return _from_file(user_path(noise, "noise"))
    if isinstance(noise, str):
        return _preset(_presets(), noise)
    if not isinstance(noise, Mapping):
        raise InputError(f"noise: must be a name or a table, not {noise!r}")
    return _own(noise, "own", {})


def _from_file(path: Path) -> Noise:
    data = read_toml(path, f"noise: {path}")
    reasons = data.pop("reasons", {})
    if not isinstance(reasons, dict):
        raise InputError(f"noise: {path}: reasons: must be a table")
    try:
        _check_keys(reasons, {key: None for key in data if key != "preset"}, "reasons: ")
        return _own(data, path.stem, reasons)
    except InputError as error:
        raise InputError(f"noise: {path}: {str(error).removeprefix('noise: ')}") from None


def _own(given: Mapping[str, Any], name: str, reasons: Mapping[str, Any]) -> Noise:
    _check_keys(given, (*NOISE_KEYS, "preset"))
    own = {key: given[key] for key in NOISE_KEYS if key in given}
    why: dict[str, Any] = dict.fromkeys(own, _BY_USER) | dict(reasons)
    if "preset" in given:
        base = _preset(_presets(), given["preset"])
        if name == "own":
            name = f"{base.name}, changed" if own else base.name
        own = base.model_dump(exclude={"name", "reasons"}) | own
        why = base.reasons.model_dump() | why
    for key in _REQUIRED:
        if key not in own:
            # A wrong value comes before a missing one: it is what the user wrote.
            _check_values(own)
            raise InputError(f"noise: missing {key!r} (or a 'preset' to take it from)")
    return _build({"name": name, **own, "reasons": why})


def _check_keys(given: Mapping[str, Any], known: Any, where: str = "") -> None:
    for key in given:
        if key not in known:
            hint = nearest(str(key), known) or f"; known: {', '.join(known)}" * bool(known)
            raise InputError(f"noise: {where}unknown key {str(key)!r}{hint}")


def _check_values(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InputError(f"noise: {name}: must be a number, not {value!r}")
        if problem := NOISE_KEYS[name].problem(name, value):
            raise InputError(f"noise: {problem}")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


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
