# SPDX-License-Identifier: MIT
"""
Small protocols
---------------

What a patch does on a few CPUs, and what must hold: functions of a
:class:`~simulator.ordering.litmus.recorder.Cpu`, as kernel code is written.  A protocol of one's
own is a file that makes one or more of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from simulator.errors import InputError, nearest
from simulator.ordering.litmus.condition import condition
from simulator.ordering.litmus.models import MODELS, Model
from simulator.ordering.litmus.program import Program
from simulator.ordering.litmus.recorder import Cpu, record
from simulator.ordering.litmus.tlb import Translation

__all__ = ("Cpu", "Protocol", "load_protocols", "one_line")


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
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"litmus: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"litmus: {path} is not text") from None
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
        for name in protocol.expected:
            if name not in MODELS:
                hint = nearest(name, MODELS)
                raise InputError(f"litmus: {path}: expected: there is no model {name!r}{hint}")
    return found


class one_line:  # noqa: N801 - used as a function
    """Turn what a user's file raises into one line that names the file and its line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None or isinstance(error, InputError | KeyboardInterrupt):
            return
        frames = [f for f in extract_tb(error.__traceback__) if f.filename == str(self._path)]
        line = frames[-1].lineno if frames else None
        text = str(error)
        if isinstance(error, SyntaxError) and error.filename == str(self._path):
            line, text = error.lineno, error.msg
        first = next(iter(text.splitlines()), "")
        where = "" if line is None else f", line {line}"
        what = f"{where}: {type(error).__name__}" + (f": {first}" if first else "")
        raise InputError(f"litmus: {self._path}{what}") from None
