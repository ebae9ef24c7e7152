# SPDX-License-Identifier: MIT
"""
What does not fit together
--------------------------

Parts of a profile that are right by themselves and wrong beside one another.  All of it
is found at once, also in a profile some parts of which are not valid yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from simulator.machine.schema import BY_DISTANCE

__all__ = ("contradictions", "valid_parts")

Parts = Mapping[str, Any]

# By mechanism: where it is, and whether in guests. KVM offers INVLPGB to no ordinary guest.
_MECHANISMS = {
    "invlpgb": ("x86-64", False),
    "tlbi": ("arm64", False),
    "sbi": ("riscv64", False),
    "rar": ("x86-64", False),
    "kvm_pv": ("x86-64", True),
    "hyperv": ("x86-64", True),
}


def valid_parts(model: type[BaseModel], data: object) -> dict[str, Any]:
    """Return the fields of a model that plain data, wrong elsewhere, give a valid value."""
    parts: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if isinstance(data, Mapping) and name in data:
            with suppress(ValidationError):
                parts[name] = _adapters(model)[name].validate_python(data[name], strict=True)
        elif not field.is_required():
            parts[name] = field.get_default()
    return parts


# Making one takes longer than all else that is asked of a file.
@cache
def _adapters(model: type[BaseModel]) -> Mapping[str, TypeAdapter[Any]]:
    return {name: TypeAdapter(f.annotation or Any) for name, f in model.model_fields.items()}


def contradictions(machine: Parts, costs: Parts) -> Iterator[str]:
    """Yield what of a machine's valid parts and costs does not fit together."""
    yield from _distances(machine, costs)
    yield from _idle(machine)
    yield from _mechanisms(machine)
    if "virtual" not in machine:
        return
    virtual = machine["virtual"]
    preempted = machine["spells"].preempted if "spells" in machine else None
    if virtual and preempted is None and "spells" in machine:
        yield "spells.preempted is missing, which a virtual machine needs"
    if not virtual and preempted is not None:
        yield "spells.preempted is only for virtual machines (virtual = true)"
    if not virtual and "inject" in costs and costs["inject"].value != 0:
        yield "costs.inject must be 0 without a hypervisor (virtual = false)"


def _distances(machine: Parts, costs: Parts) -> Iterator[str]:
    if "topology" not in machine:
        return
    farthest = max(max(row) for row in machine["topology"].socket_hops.value)
    for name in BY_DISTANCE:
        for hop in range(1, farthest + 1):
            if name in costs and getattr(costs[name], f"hop{hop}") is None:
                yield f"costs.{name}.hop{hop} is missing: sockets are that far apart"


def _idle(machine: Parts) -> Iterator[str]:
    states = machine.get("idle_states")
    if states is None:
        return
    if not states:
        yield "idle_states is empty: a CPU needs at least one"
        return
    names = [state.name for state in states]
    if len(set(names)) != len(names):
        yield "idle_states: two states have the same name"
    residencies = [state.residency.exact_ns for state in states]
    if residencies != sorted(residencies):
        yield "idle_states must be in order of residency"
    elif "spells" in machine and residencies[-1] > machine["spells"].idle.frame.exact_ns:
        yield (
            "spells.idle.frame is shorter than the residency of"
            f" {names[-1]}, which would never be entered"
        )


def _mechanisms(machine: Parts) -> Iterator[str]:
    if not {"isa", "mechanisms"} <= machine.keys():
        return
    present, isa = machine["mechanisms"].present, machine["isa"]
    for name in present:
        wanted, virtual = _MECHANISMS[name]
        if isa != wanted:
            yield f"mechanisms.{name} is for {wanted}, not for {isa}"
        if machine.get("virtual", virtual) != virtual:
            where = "virtual machines (virtual = true)" if virtual else "bare metal"
            yield f"mechanisms.{name} is only for {where}"
    if isa == "arm64" and "tlbi" not in present:
        yield "mechanisms.tlbi is missing: arm64 has no other way to flush"
