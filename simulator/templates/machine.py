# SPDX-License-Identifier: MIT
"""
A machine to start from
-----------------------

A profile that inherits from another and states its CPUs once more, to be changed.
Every other value of the other stands in it as a comment, with what it is.
"""

from __future__ import annotations

import inspect
import json
import textwrap
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from simulator.machine import Machine
from simulator.machine.toml import inline_text
from simulator.machine.values import Sourced, Spread

__all__ = ("machine_template",)

_WIDTH = 88
# What a value is; a child that changes it says by itself that it did.
_CONTENT = ("value", "unit", "range", "spread", "quantiles")
_ABOUT = {
    "topology": "CPUs. Other numbers of sockets need a cost for each distance (hop1, hop2).",
    "memory": "Memory.",
    "ipi": "Interrupts between CPUs.",
    "costs": "What each step costs.",
    "spells": "When a CPU answers late. How often that is, the noise says (tlbsim noises).",
}


def machine_template(like: Machine, file: str) -> str:
    """
    Return a profile that inherits from a machine of the package.

    :param file: the path that the profile will have, for the commands that it names.
    """
    name = like.name
    lines = [
        f"# A machine of your own. It starts as {name}: {like.title}.",
        "#",
        f"#   tlbsim machines {file}",
        "#       says all that is wrong with it, or prints every value with its source",
        f"#   tlbsim compare --kernel v6.6,v6.7 --pages 64 --machine {file}",
        "#",
        f'# A line with a "#" before it is as on {name}: take the "#" away and change the value.',
        "# To a value that you know, add where it comes from:",
        '#   kind = "measured"     or vendor (a manual), derived (from other values), assumed',
        '#   source = "perf, 10 runs on this machine, 2026-11"',
        "# One without becomes assumed, changed from what it was. `tlbsim calibrate --here`",
        "# measures many of them, `tlbsim calibrate --times FILE` fits some to wall times.",
        "",
        f"inherits = {json.dumps(name)}",
        f'title = "A machine like {name}"',
        f'description = "As {name}, until something is changed."',
        "",
        "# A guest has a hypervisor to pay (costs.inject), and vCPUs that do not run",
        "# (spells.preempted).",
        f"# virtual = {inline_text(like.virtual)}",
    ]
    for table in Machine.model_fields:
        part = getattr(like, table)
        if isinstance(part, BaseModel):
            # CPUs are what differs first: they are stated, and not only named.
            keys = list(_keys(part, "", "" if table == "topology" else "# "))
            about = _ABOUT.get(table) or inspect.getdoc(part) or ""
            lines += ["", *_comment(about), f"[{table}]", *keys] if keys else []
    lines += [
        "",
        *_comment("Idle states. Your list takes the place of all of these."),
        *_idle(like),
    ]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _keys(part: BaseModel, prefix: str, mark: str) -> Iterator[str]:
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, Sourced):
            about = f"{field.description} ({value.kind}{_choices(value)})"
            yield from _comment(f"{prefix}{name}: {about}")
            whole = _dumped(value)
            content = {key: whole[key] for key in _CONTENT if key in whole}
            alone = list(content) == ["value"]
            text = (
                f".value = {inline_text(whole['value'])}" if alone else f" = {inline_text(content)}"
            )
            yield f"{mark}{prefix}{name}{text}"
        elif isinstance(value, Spread):
            yield f"{mark}{prefix}{name} = {inline_text(_dumped(value))}"
        elif isinstance(value, BaseModel):
            yield from _comment(f"{prefix}{name}: {field.description}")
            yield from _keys(value, f"{prefix}{name}.", mark)
        elif value is not None and value != field.default:
            yield f"{mark}{prefix}{name} = {inline_text(value)}"


def _dumped(model: BaseModel) -> dict[str, Any]:
    found: dict[str, Any] = _short(model.model_dump(exclude_none=True, exclude_defaults=True))
    return found


# Numbers as a person writes them: 80 for 80.0.
def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_short(item) for item in value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The values that a choice has.
def _choices(value: Sourced) -> str:
    words = typing.get_args(type(value).model_fields["value"].annotation)
    return f"; {', '.join(words)}" if words and isinstance(words[0], str) else ""


def _idle(like: Machine) -> Iterator[str]:
    for state in like.idle_states:
        yield "#"
        yield "# [[idle_states]]"
        # A list replaces the other's: nothing of a value is inherited.
        yield from (f"# {key} = {inline_text(value)}" for key, value in _dumped(state).items())
