# SPDX-License-Identifier: MIT
"""
Small protocols
---------------

What a patch does on a few CPUs, and what must hold: functions of a
:class:`~simulator.ordering.litmus.recorder.Cpu`, as kernel code is written.  A protocol of one's
own is a file that makes one or more of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from simulator.errors import InputError, nearest
from simulator.inputs import read_text, what_was_raised
from simulator.ordering.litmus.condition import condition
from simulator.ordering.litmus.models import MODELS, Model
from simulator.ordering.litmus.program import Program
from simulator.ordering.litmus.recorder import Cpu, record
from simulator.ordering.litmus.tlb import Translation

__all__ = ("Cpu", "Protocol", "load_protocols", "one_line")

_ASKED = ("Never", "Sometimes", "Always")
_CHECKED = ("safe", "unsafe")


@dataclass(frozen=True)
class Protocol:
    """
    A protocol.

    ``cpus``: what each CPU runs.  ``memory``: what locations hold at first, 0 where not given.
    ``expected``: for each model ``safe``, ``unsafe NAME ...`` or, with ``asks``, one of
    ``Never``, ``Sometimes``, ``Always``; a protocol runs under the models named there, or under
    all.  ``at_end``: what must hold of the final contents of locations, by invariant.
    ``on_fault``: the invariant that a walk breaks by meeting an empty entry.
    """

    name: str
    summary: str
    cpus: tuple[Callable[[Cpu], None], ...]
    memory: Mapping[str, Any] = field(default_factory=dict)
    expected: Mapping[str, str] = field(default_factory=dict)
    asks: str = ""
    at_end: Mapping[str, Callable[[Mapping[str, Any]], bool]] = field(default_factory=dict)
    translation: Translation | None = None
    on_fault: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """The models under which it means something."""
        return tuple(self.expected) or tuple(MODELS)

    def program(self, model: Model) -> Program:
        """Return what the CPUs do on the machines of a model."""
        arch = "x86" if model.interrupts else "arm64"
        return Program(
            self.name,
            tuple(record(cpu, n, arch) for n, cpu in enumerate(self.cpus)),
            self.memory,
            condition(self.asks) if self.asks else None,
            tuple(self.at_end.items()),
            self.translation,
            self.on_fault,
        )


def load_protocols(path: Path) -> list[Protocol]:
    """Return the protocols that a Python file makes; raises InputError with one line."""
    source = read_text(path, f"litmus: {path}")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    with one_line(path):
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - a user's own protocol is run, as asked
    found: list[Protocol] = []
    for value in vars(module).values():
        listed = value if isinstance(value, list | tuple) else [value]
        found += [p for p in listed if isinstance(p, Protocol) and p not in found]
    if not found:
        raise InputError(f"litmus: {path} makes no Protocol")
    for protocol in found:
        _check(protocol, f"litmus: {path}: {protocol.name}")
    return found


def _check(protocol: Protocol, where: str) -> None:
    if not protocol.cpus:
        raise InputError(f"{where}: cpus: there are none")
    for name, expected in protocol.expected.items():
        if name not in MODELS:
            raise InputError(
                f"{where}: expected: there is no model {name!r}{nearest(name, MODELS)}"
            )
        first = next(iter(expected.split()), "")
        verdicts = _ASKED if protocol.asks else _CHECKED
        if first not in verdicts:
            hint = nearest(first, verdicts)
            known = ", ".join(verdicts)
            raise InputError(f"{where}: expected: {first!r} is not one of {known}{hint}")
    if protocol.asks:
        try:
            condition(protocol.asks)
        except InputError as error:
            raise InputError(f"{where}: asks: {error}") from None


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turn what a user's file raises into one line that names the file and its line."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code raises anything
        raise InputError(f"litmus: {path}{what_was_raised(error, path)}") from None
