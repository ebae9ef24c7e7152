# SPDX-License-Identifier: MIT
"""
All tests, under one face
-------------------------

Litmus tests, translation tests and protocols are programs for the same explorer; a
:class:`Test` says what is known of each, :func:`judge` what all its interleavings come to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from simulator.errors import InputError, nearest
from simulator.ordering.litmus import table, vmsa
from simulator.ordering.litmus.explorer import LIMIT, Found, explore
from simulator.ordering.litmus.models import MODELS, Model
from simulator.ordering.litmus.program import Program
from simulator.ordering.litmus.protocol import Protocol, load_protocols, one_line
from simulator.ordering.litmus.protocols import PROTOCOLS

__all__ = ("Judged", "Test", "find", "from_file", "from_table", "judge", "shipped")


@dataclass(frozen=True)
class Test:
    """
    A test: how to make its program, and what is known of it.

    ``kind``: ``protocol``, ``litmus`` or ``translation``; ``asks``: the named condition, ``""`` if
    invariants are checked; ``expected``: by model, the verdict and what is broken; ``lkmm``: the
    verdict of the kernel's model, from data, ``""`` if not known; ``needs_bbm``: whether a live
    entry's output address changes, None if not known; ``path``: the user's file that it is from.
    """

    __test__ = False  # for pytest, which looks for tests by name

    name: str
    kind: str
    about: str
    asks: str
    models: tuple[str, ...]
    expected: Mapping[str, str]
    program: Callable[[Model], Program] = field(repr=False, compare=False)
    lkmm: str = ""
    needs_bbm: bool | None = None
    path: Path | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Judged:
    """A test under a model: what was found, and in how many seconds of CPU time."""

    test: Test
    model: str
    found: Found
    seconds: float

    @property
    def verdict(self) -> str:
        """The verdict, and the invariants that can be broken."""
        return " ".join((self.found.verdict, *sorted(self.found.broken)))

    @property
    def expected(self) -> str:
        """The verdict known from elsewhere, or ``""``."""
        return self.test.expected.get(self.model, "")

    @property
    def differs(self) -> bool:
        """Whether it is not what was expected; that no execution ends never is."""
        if self.found.verdict == "stuck" or (self.expected and self.verdict != self.expected):
            return True
        bbm = self.test.needs_bbm
        return bbm is not None and bbm != bool(self.found.needs_bbm)


def judge(test: Test, model: str, limit: int = LIMIT) -> Judged:
    """Explore all interleavings of a test; raises InputError beyond `limit` states."""
    begin = time.process_time()
    # What must hold of a protocol in a user's file is code of that file.
    with one_line(test.path) if test.path is not None else nullcontext():
        found = explore(test.program(MODELS[model]), MODELS[model], limit)
    return Judged(test, model, found, time.process_time() - begin)


def shipped() -> list[Test]:
    """Return all tests of the package: protocols, translation tests, litmus tests."""
    return list(_shipped())


# Tables are read when it comes to them.
def _shipped() -> Iterator[Test]:
    yield from map(_of_protocol, PROTOCOLS)
    yield from map(_of_vmsa, vmsa.shipped())
    yield from map(_of_table, table.shipped())


def from_table(path: Path) -> list[Test]:
    """Return the tests of a CSV file in the form of ``data/litmus.csv``."""
    return [_of_table(test) for test in table.read_table(path)]


def from_file(path: Path) -> list[Test]:
    """Return the tests of a file: protocols in Python, or an assembly test (``.litmus``)."""
    if path.suffix == ".litmus":
        return [_of_vmsa(vmsa.read(path))]
    return [_of_protocol(protocol, path) for protocol in load_protocols(path)]


def find(name: str) -> Test:
    """Return a test of the package by its name; raises InputError with the nearest name."""
    names = []
    for test in _shipped():
        if test.name == name:
            return test
        names.append(test.name)
    hint = nearest(name, names) or "; see tlbsim litmus --list"
    raise InputError(f"litmus: there is no test {name!r}{hint}")


def _of_table(test: table.LitmusTest) -> Test:
    program = test.program
    return Test(
        test.name,
        "litmus",
        f"{test.family or 'litmus test'}, {len(program.threads)} CPUs",
        test.asks,
        tuple(MODELS),
        test.expected,
        lambda _model: program,
        test.lkmm,
    )


def _of_vmsa(test: vmsa.VmsaTest) -> Test:
    program = test.program
    return Test(
        test.name,
        "translation",
        f"{test.family or 'translation test'}, {len(program.threads)} CPUs",
        test.asks,
        ("arm64",),
        {"arm64": test.verdict} if test.verdict else {},
        lambda _model: program,
        needs_bbm=test.requires_bbm,
    )


def _of_protocol(protocol: Protocol, path: Path | None = None) -> Test:
    return Test(
        protocol.name,
        "protocol",
        protocol.summary,
        protocol.asks,
        protocol.models,
        protocol.expected,
        protocol.program,
        path=path,
    )
