# SPDX-License-Identifier: MIT
"""
A noise as plain text
---------------------

The report that ``tlbsim noises NAME`` prints: every key with its value, meaning
and source, in at most 72 columns; and what that means to an interrupt on some
machine.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from simulator.machine import Machine, Noise
from simulator.machine.noise import NOISE_KEYS
from simulator.machine.noisy import (
    idle_mix,
    irqs_off_layers,
    irqs_off_spells,
    preempted_layers,
    preempted_spells,
)

__all__ = ("describe_noise",)

_WIDTH = 72


def describe_noise(noise: Noise, machine: Machine | None = None) -> str:
    """Return a report of a noise: plain text of at most 72 columns, without a final newline."""
    lines = [f"noise {noise.name}", ""]
    for name, key in NOISE_KEYS.items():
        value = getattr(noise, name)
        shown = "not set" if value is None or (key.default and not value) else f"{value:g}"
        unit = "" if shown == "not set" else key.unit
        lines.append(f"  {name:<22}{shown:>10} {unit}".rstrip())
        lines += _wrap(f"      {key.text}")
        lines += _wrap(f"      {getattr(noise.reasons, name)}")
    if machine is not None:
        lines += ["", f"An interrupt on {machine.name} finds a CPU", *_met(noise, machine)]
        lines += _wrap("(one that was not interrupted shortly before; waits are averages)", "")
    return "\n".join(lines)


def _met(noise: Noise, machine: Machine) -> Iterator[str]:
    left = 1.0
    for state, share in idle_mix(noise, machine):
        exit_ns = float(state.exit_latency.exact_ns)
        yield _row(f"idle in {state.name}", noise.idle_share * share, "to leave it", exit_ns)
    left -= noise.idle_share
    for spells, layers, name, wait in (
        (
            preempted_spells(machine, noise),
            preempted_layers(machine, noise),
            "preempted",
            "until it runs",
        ),
        (
            irqs_off_spells(machine, noise),
            irqs_off_layers(machine, noise),
            "with interrupts off",
            "until they are on",
        ),
    ):
        if spells is not None:
            # Spells of several classes touch, and make longer ones.
            more = " or longer" if len(layers) > 1 else ""
            yield _row(name, left * spells.share, wait + more, spells.residual_ns)
            left -= left * spells.share
    yield _row("running", left, "", 0)


def _row(name: str, share: float, wait: str, ns: float) -> str:
    text = f"  {name:<22}{100 * share:>9.4g} %"
    return f"{text}   {ns / 1000:,.4g} us {wait}" if wait else text


def _wrap(text: str, more: str = "      ") -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=more, break_on_hyphens=False)
