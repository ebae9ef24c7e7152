# SPDX-License-Identifier: MIT
"""
Programs: a few operations on a few CPUs
----------------------------------------

A thread is a tree: a branch on a value that was loaded splits it.  Each operation knows
the one before it in program order (``parent``), so that program order is a list
(:meth:`Thread.path`) and a thread without branches is one path.

Not modelled: addresses that are computed (an operation names its location, or the virtual
address that the TLB translates), accesses of different sizes, exclusive loads and stores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.ordering.litmus.tlb import Translation

__all__ = ("EMPTY", "Expression", "Op", "Program", "Thread")

# What a location holds before anyone wrote it; as a descriptor it is invalid.
EMPTY = 0


@dataclass(frozen=True, slots=True)
class Expression:
    """A value computed from what the loads numbered ``loads`` found."""

    loads: tuple[int, ...]
    function: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Op:
    """
    One operation of a thread.

    ``kind``: ``R`` load, ``W`` store, ``X`` exchange, ``F`` fence, ``TLBI``, ``IPI`` (ask all
    other CPUs to flush, flush here), ``WAIT`` (for them), ``FREE`` (give a page back),
    ``CHECK`` (a value must hold).  ``addr``, ``data`` and ``ctrl`` are the numbers of the loads
    that this operation depends on.  ``va`` is a virtual address that is translated; ``until``
    a value that a load or exchange waits for.
    """

    index: int
    parent: int | None
    kind: str
    text: str
    loc: str = ""
    va: str = ""
    value: Any = None
    reg: str = ""
    order: str = ""
    fence: str = ""
    addr: tuple[int, ...] = ()
    data: tuple[int, ...] = ()
    ctrl: tuple[int, ...] = ()
    guards: tuple[tuple[Expression, bool], ...] = ()
    until: Any = None
    # TLBI, IPI: which addresses (none: all), and what is special about it.
    scope: frozenset[str] = frozenset()
    how: str = ""
    # CHECK: the invariant that is broken when the value is false.
    invariant: str = ""
    # R: the name of a fault, as a condition asks for it.
    label: str = ""

    @property
    def reads(self) -> bool:
        """Whether it loads."""
        return self.kind in "RX"

    @property
    def writes(self) -> bool:
        """Whether it stores."""
        return self.kind in "WX"

    @property
    def full(self) -> bool:
        """Whether it is ordered with everything, as an atomic operation with a result is."""
        return self.kind in {"IPI", "WAIT", "FREE"} or (self.kind == "X" and not self.order)


@dataclass(frozen=True, slots=True)
class Thread:
    """What one CPU does: operations, and the paths through them with what each takes for true."""

    ops: tuple[Op, ...]
    paths: tuple[tuple[tuple[int, ...], tuple[tuple[Expression, bool], ...]], ...]
    name: str = ""

    def path(self, index: int) -> list[Op]:
        """Return the operations up to this one, in program order."""
        found: list[Op] = []
        at: int | None = index
        while at is not None:
            found.append(self.ops[at])
            at = self.ops[at].parent
        return found[::-1]

    @classmethod
    def straight(cls, ops: tuple[Op, ...], name: str = "") -> Thread:
        """Return a thread without branches."""
        return cls(ops, ((tuple(op.index for op in ops), ()),), name)


@dataclass(frozen=True, slots=True)
class Program:
    """
    Threads, what memory holds first, and what is asked.

    ``asked`` tells of a final state (locations by name, registers as ``0:r0``, faults as
    ``fault:0:L0``) whether the named condition holds; ``at_end`` which invariants must.
    """

    name: str
    threads: tuple[Thread, ...]
    memory: Mapping[str, Any]
    asked: Callable[[Mapping[str, Any]], bool] | None = None
    at_end: tuple[tuple[str, Callable[[Mapping[str, Any]], bool]], ...] = ()
    translation: Translation | None = None
    # The invariant that a walk breaks when it meets an empty entry; "" where it may.
    on_fault: str = ""
    locations: tuple[str, ...] = field(default=())
