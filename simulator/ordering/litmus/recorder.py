# SPDX-License-Identifier: MIT
"""
Threads written as functions
----------------------------

A thread is a function of a :class:`Cpu`, in the kernel's own words::

    def writer(k):
        k.WRITE_ONCE("data", 1)
        k.smp_wmb()
        k.WRITE_ONCE("flag", 1)

What a load returns is not known yet: it can be stored, compared and computed with, and where
the function branches on it, both sides are recorded.  So the function is run once for each
path through it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from simulator.errors import InputError
from simulator.ordering.litmus.program import Expression, Op, Thread

__all__ = ("Cpu", "Loaded", "record")

# Operations on one path, paths of one thread, and lines of Python to record one.
_MOST_OPERATIONS = 60
_MOST_PATHS = 500
_MOST_LINES = 1_000_000


class Loaded:
    """A value that is known when its loads are performed."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, cpu: Cpu, loads: tuple[int, ...], function: Callable[..., Any]) -> None:
        self._cpu = cpu
        self._expression = Expression(loads, function)

    @property
    def expression(self) -> Expression:
        """What it is computed from."""
        return self._expression

    def _with(self, other: Any, function: Callable[[Any, Any], Any]) -> Loaded:
        mine = self._expression
        if not isinstance(other, Loaded):
            return Loaded(self._cpu, mine.loads, lambda *v: function(mine.function(*v), other))
        theirs, n = other.expression, len(mine.loads)
        return Loaded(
            self._cpu,
            mine.loads + theirs.loads,
            lambda *v: function(mine.function(*v[:n]), theirs.function(*v[n:])),
        )

    def __eq__(self, other: object) -> Loaded:  # type: ignore[override]
        return self._with(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> Loaded:  # type: ignore[override]
        return self._with(other, lambda a, b: a != b)

    def __lt__(self, other: Any) -> Loaded:
        return self._with(other, lambda a, b: a < b)

    def __gt__(self, other: Any) -> Loaded:
        return self._with(other, lambda a, b: a > b)

    def __add__(self, other: Any) -> Loaded:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Loaded:
        return self._with(other, lambda a, b: a - b)

    def __and__(self, other: Any) -> Loaded:
        return self._with(other, lambda a, b: a & b)

    def __or__(self, other: Any) -> Loaded:
        return self._with(other, lambda a, b: a | b)

    def __bool__(self) -> bool:
        return self._cpu.branch(self._expression)


class Cpu:
    """
    What a thread of a small protocol can do.

    Locations are names; a store takes a number, a name or what a load returned.  ``k.arch`` is
    ``x86`` or ``arm64``.
    """

    def __init__(self, name: str, arch: str, decisions: list[bool], tree: _Tree) -> None:
        self.name = name
        self.arch = arch
        self.number = tree.number
        self._tree = tree
        self._todo = decisions
        self.taken: list[bool] = []
        self.path: list[int] = []
        self._guards: list[tuple[Expression, bool]] = []
        self._ctrl: tuple[int, ...] = ()

    # -- memory ----------------------------------------------------------------------------

    def READ_ONCE(self, loc: str) -> Loaded:  # noqa: N802 - the kernel's name
        """Load."""
        return self._load(f"READ_ONCE({loc})", kind="R", loc=loc)

    def WRITE_ONCE(self, loc: str, value: Any) -> None:  # noqa: N802 - the kernel's name
        """Store."""
        self._store(f"WRITE_ONCE({loc}, {_shown(value)})", value, loc=loc)

    def smp_load_acquire(self, loc: str) -> Loaded:
        """Load; nothing after it goes before it."""
        return self._load(f"smp_load_acquire({loc})", kind="R", loc=loc, order="acquire")

    def smp_store_release(self, loc: str, value: Any) -> None:
        """Store; nothing before it goes after it."""
        self._store(f"smp_store_release({loc}, {_shown(value)})", value, loc=loc, order="release")

    def smp_cond_load_acquire(self, loc: str, value: Any) -> None:
        """Wait until a location holds a value."""
        text = f"smp_cond_load_acquire({loc}, {_shown(value)})"
        self._load(text, kind="R", loc=loc, order="acquire", until=value)

    def xchg(self, loc: str, value: Any) -> Loaded:
        """Exchange, fully ordered."""
        return self._load(f"xchg({loc}, {_shown(value)})", kind="X", loc=loc, **_data(value))

    def spin_lock(self, loc: str) -> None:
        """Wait until a lock is free (0), and take it (1)."""
        self._load(f"spin_lock({loc})", kind="X", loc=loc, value=1, order="acquire", until=0)

    def spin_unlock(self, loc: str) -> None:
        """Give a lock back."""
        self._store(f"spin_unlock({loc})", 0, loc=loc, order="release")

    # -- barriers --------------------------------------------------------------------------

    def smp_mb(self) -> None:
        """Order all accesses before it with all after it."""
        self._fence("smp_mb()", "mb")

    def smp_wmb(self) -> None:
        """Order stores before it with stores after it: nothing on x86, DMB ISHST on arm64."""
        self._fence("smp_wmb()", "wmb")

    def smp_rmb(self) -> None:
        """Order loads before it with loads after it; DMB ISHLD on arm64 orders stores too."""
        self._fence("smp_rmb()", "rmb")

    def dsb(self, domain: str = "ish") -> None:
        """DSB of arm64: completes this CPU's TLBIs (``ish``), or its stores (``ishst``)."""
        self._fence(f"dsb({domain})", "dsb.st" if domain == "ishst" else "dsb")

    def isb(self) -> None:
        """Translate anew what comes after it."""
        self._fence("isb()", "isb")

    # -- pages and translations ------------------------------------------------------------

    def read(self, va: str) -> Loaded:
        """Load through the TLB; ``fault`` if the address is not mapped."""
        return self._load(f"read({va})", kind="R", va=va)

    def write(self, va: str, value: Any) -> None:
        """Store through the TLB."""
        self._store(f"write({va}, {_shown(value)})", value, va=va)

    def write_page(self, frame: str, value: Any) -> None:
        """Store to a page through the direct map."""
        self._store(f"write_page({frame}, {_shown(value)})", value, loc=frame, how="page")

    def set_pte(self, loc: str, value: Any) -> None:
        """Store a PTE: the frame that it maps, or 0."""
        self._store(f"set_pte({loc}, {_shown(value)})", value, loc=loc)

    def pmd_populate_kernel(self, loc: str, table: str) -> None:
        """Make a PMD point to a table of PTEs."""
        self._store(f"pmd_populate_kernel({loc}, {table})", table, loc=loc)

    def free_page(self, frame: str) -> None:
        """Give a page back: no CPU may hold a translation to it."""
        self._append("FREE", f"free_page({frame})", how=frame)

    def flush_tlb_all(self) -> None:
        """Flush all TLBs: IPIs and a wait for all on x86; TLBI between DSBs on arm64."""
        self._flush("flush_tlb_all()", frozenset())

    def flush_tlb_kernel_range(self, *addresses: str) -> None:
        """Flush these addresses from all TLBs, INVLPG by INVLPG."""
        self._flush(f"flush_tlb_kernel_range({','.join(addresses)})", frozenset(addresses))

    def local_flush_tlb_all(self) -> None:
        """Flush the TLB of this CPU."""
        if self.arch == "arm64":
            self.dsb("ish")
        self.tlbi(local=True)
        if self.arch == "arm64":
            self.dsb("ish")
            self.isb()

    def _flush(self, text: str, scope: frozenset[str]) -> None:
        if self.arch == "arm64":
            self.dsb("ishst")
            self.tlbi(*sorted(scope))
            self.dsb("ish")
            self.isb()
        else:
            self.send_flush(*sorted(scope), text=text)
            self.csd_lock_wait()

    def send_flush(self, *addresses: str, how: str = "", text: str = "") -> None:
        """
        Ask all other CPUs by IPI to flush, and flush here; do not wait (x86).

        ``how``: ``acknowledged early``, they answer before they flush; ``4K entries only``,
        INVLPG leaves a 2 MB entry that covers the address.
        """
        shown = text or f"send flush of {','.join(addresses) or 'all'}"
        self._append("IPI", shown, scope=frozenset(addresses), how=how)

    def csd_lock_wait(self) -> None:
        """Wait until all other CPUs have acknowledged (x86)."""
        self._append("WAIT", "csd_lock_wait()")

    def tlbi(self, *addresses: str, local: bool = False) -> None:
        """Invalidate these addresses, or all, on all CPUs or here (arm64)."""
        shown = f"tlbi {'vaae1' if addresses else 'vmalle1'}{'' if local else 'is'}"
        if self.arch != "arm64":
            shown = "flush the own TLB"
        text = " ".join((shown, ",".join(addresses))).strip()
        how = "local" if local else ""
        self._append("TLBI", text, scope=frozenset(addresses), how=how)

    # -- what must hold --------------------------------------------------------------------

    def require(self, invariant: str, value: Any) -> None:
        """Break an invariant unless a value is true."""
        self._append("CHECK", f"require({invariant})", invariant=invariant, **_data(value))

    # -- recording -------------------------------------------------------------------------

    def branch(self, expression: Expression) -> bool:
        """Decide a branch, as this path takes it."""
        if len(self.taken) > _MOST_OPERATIONS:
            raise InputError(self._too_much(f"{_MOST_OPERATIONS} branches"))
        truth = self._todo[len(self.taken)] if len(self.taken) < len(self._todo) else True
        self.taken.append(truth)
        self._guards.append((expression, truth))
        self._ctrl += expression.loads
        return truth

    def control(self, value: Loaded) -> None:
        """Depend on a value by a branch whose sides are one."""
        self._ctrl += value.expression.loads

    def _too_much(self, limit: str) -> str:
        return (
            f"{self.name}: more than {limit} on one path (limit), after "
            f"{len(self.path)} operations; to wait, use smp_cond_load_acquire()"
        )

    def _fence(self, text: str, fence: str) -> None:
        self._append("F", text, fence=fence)

    def _store(self, text: str, value: Any, **rest: Any) -> None:
        self._append("W", text, **_data(value), **rest)

    def _load(self, text: str, kind: str, **rest: Any) -> Loaded:
        return Loaded(self, (self._append(kind, text, **rest),), lambda v: v)

    def append(self, kind: str, text: str, **rest: Any) -> int:
        """Record any operation; returns its number."""
        return self._append(kind, text, **rest)

    def _append(self, kind: str, text: str, **rest: Any) -> int:
        if len(self.path) >= _MOST_OPERATIONS:
            raise InputError(self._too_much(f"{_MOST_OPERATIONS} operations"))
        # A path that has taken the same turns so far has done the same.
        key = (tuple(self.taken), len(self.path))
        index = self._tree.known.get(key)
        if index is None:
            index = self._tree.known[key] = len(self._tree.ops)
            parent = self.path[-1] if self.path else None
            guards = tuple(self._guards)
            self._tree.ops.append(
                Op(index, parent, kind, text, ctrl=self._ctrl, guards=guards, **rest)
            )
        self.path.append(index)
        self._guards, self._ctrl = [], ()
        return index

    def all_guards(self) -> tuple[tuple[Expression, bool], ...]:
        """Return all that this path has taken for true."""
        before = [guard for i in self.path for guard in self._tree.ops[i].guards]
        return (*before, *self._guards)


class _Tree:
    def __init__(self, number: int) -> None:
        self.number = number
        self.ops: list[Op] = []
        self.known: dict[tuple[tuple[bool, ...], int], int] = {}


def record(function: Callable[[Cpu], None], number: int, arch: str, name: str = "") -> Thread:
    """Return the thread that a function describes; raises InputError if it does not end."""
    name = name or function.__name__
    tree = _Tree(number)
    paths: list[tuple[tuple[int, ...], tuple[tuple[Expression, bool], ...]]] = []
    todo: list[bool] | None = []
    while todo is not None:
        if len(paths) >= _MOST_PATHS:
            raise InputError(
                f"{name}: more than {_MOST_PATHS} paths (limit), {len(tree.ops)} operations"
            )
        cpu = Cpu(name, arch, todo, tree)
        _run(function, cpu)
        paths.append((tuple(cpu.path), cpu.all_guards()))
        # The next path: the last turn not yet taken both ways.
        turns = cpu.taken
        while turns and not turns[-1]:
            turns.pop()
        todo = [*turns[:-1], False] if turns else None
    return Thread(tuple(tree.ops), tuple(paths), name)


# A loop that performs nothing never comes to the limit on operations.
def _run(function: Callable[[Cpu], None], cpu: Cpu) -> None:
    lines = 0

    def count(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal lines
        lines += event == "line"
        if lines > _MOST_LINES:
            raise InputError(
                f"{cpu.name}: more than {_MOST_LINES:,} lines of Python (limit), after "
                f"{len(cpu.path)} operations"
            )
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        function(cpu)
    finally:
        sys.settrace(before)


def _data(value: Any) -> dict[str, Any]:
    if isinstance(value, Loaded):
        return {"value": value.expression, "data": value.expression.loads}
    return {"value": value}


def _shown(value: Any) -> str:
    return "..." if isinstance(value, Loaded) else str(value)
