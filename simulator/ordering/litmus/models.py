# SPDX-License-Identifier: MIT
"""
Memory models: what must be performed before what
-------------------------------------------------

Memory is flat, and a thread performs its operations one at a time.  A model is a set of rules:
each says of two operations of a thread, the earlier and the later in program order, whether
the earlier has to be performed first.  A load that may pass a store to its own location takes
its value (forwarding).

``sc`` orders everything.  ``tso`` lets a load pass earlier stores, which is a FIFO store buffer
with forwarding.  ``arm64`` orders what fences, dependencies, acquire, release and the same
location order.

Modelled: ``smp_rmb`` is ``dmb ishld`` and orders loads with later stores too; ``xchg`` on arm64
is SWPAL alone; LDAR after STLR is ordered, LDAPR after STLR is not; an invalidation is ordered by
DSB only, and a translation by an address or by a DSB and an ISB, never by a DMB.

Not modelled: LKMM, which is weaker than these machines.

Sources: Arm ARM (DDI 0487) B2.3; Owens, Sarkar, Sewell, "A Better x86 Memory Model: x86-TSO"
(TPHOLs 2009); Pulte et al., "Simplifying ARM Concurrency" (POPL 2018); the verdicts of herd7
in ``data/``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulator.errors import InputError, nearest
from simulator.ordering.litmus.program import Op

__all__ = (
    "ARM64",
    "MODELS",
    "SC",
    "TSO",
    "Forwarding",
    "Model",
    "Rule",
    "faults_after",
    "model",
    "translated_after",
)

# Of a path, whether its operation at the first position is performed before the one at the second.
Rule = Callable[[Sequence[Op], int, int], bool]

# Of a store, the loads that it waits for before its value may be taken; None: it may never.
Forwarding = Callable[[Op], tuple[int, ...] | None]

_FULL = {"mb", "dsb"}
_STORES = {"wmb", "dsb.st"}
_LOADS = {"rmb", "dsb.ld"}


@dataclass(frozen=True, slots=True)
class Model:
    """
    A memory model.

    ``forwards`` says which loads have to be performed before an own store gives its value to a
    later load, or None if it never does.  ``coherent`` says of which two loads the later never
    finds an older value.  ``interrupts``: flushes of other CPUs are interrupts, taken between
    two operations with the store buffer empty.
    """

    name: str
    rules: tuple[Rule, ...]
    forwards: Forwarding
    coherent: Rule
    interrupts: bool = True

    def ordered(self, path: Sequence[Op], first: int, second: int) -> bool:
        """Return whether the first of two operations of a path is performed before the second."""
        return any(rule(path, first, second) for rule in self.rules)


def _between(path: Sequence[Op], first: int, second: int, fences: set[str]) -> bool:
    return any(op.fence in fences for op in path[first + 1 : second])


def program_order(_path: Sequence[Op], _first: int, _second: int) -> bool:
    """Return true: everything is performed in program order."""
    return True


def fifo(path: Sequence[Op], first: int, second: int) -> bool:
    """Order all but a store and a later load: the store buffer is a FIFO."""
    return not (path[first].kind == "W" and path[second].kind in {"R", "CHECK"})


def mb(path: Sequence[Op], first: int, second: int) -> bool:
    """Order what is on both sides of smp_mb() or DSB."""
    # A DMB orders memory accesses; invalidations want a DSB.
    invalidation = "TLBI" in {path[first].kind, path[second].kind}
    return _between(path, first, second, {"dsb"} if invalidation else _FULL)


def wmb(path: Sequence[Op], first: int, second: int) -> bool:
    """Order stores on both sides of smp_wmb(); an invalidation after DSB ISHST."""
    if path[second].kind == "TLBI":
        return path[first].writes and _between(path, first, second, {"dsb.st"})
    return path[first].writes and path[second].writes and _between(path, first, second, _STORES)


def rmb(path: Sequence[Op], first: int, second: int) -> bool:
    """Order loads before smp_rmb() with all accesses after it."""
    if path[second].kind == "TLBI":
        return path[first].reads and _between(path, first, second, {"dsb.ld"})
    return path[first].reads and _between(path, first, second, _LOADS)


def acquire(path: Sequence[Op], first: int, second: int) -> bool:
    """Order an acquire with all after it."""
    return path[first].order.startswith("acquire") and path[second].kind != "TLBI"


def release(path: Sequence[Op], first: int, second: int) -> bool:
    """Order all with a release after it."""
    return path[second].order == "release" and path[first].kind != "TLBI"


def release_acquire(path: Sequence[Op], first: int, second: int) -> bool:
    """Order STLR with a later LDAR."""
    return path[first].order == "release" and path[second].order == "acquire"


def addr(path: Sequence[Op], first: int, second: int) -> bool:
    """Order a load with what uses its value as an address."""
    return path[first].index in path[second].addr


def data(path: Sequence[Op], first: int, second: int) -> bool:
    """Order a load with what stores its value."""
    return path[first].index in path[second].data


def addr_po(path: Sequence[Op], first: int, second: int) -> bool:
    """Order a load with the stores after an access to an address that it gave."""
    on = path[first].index
    return path[second].writes and any(on in op.addr for op in path[first + 1 : second])


def ctrl(path: Sequence[Op], first: int, second: int) -> bool:
    """Order a load with the stores after a branch on its value."""
    on = path[first].index
    return path[second].writes and any(on in op.ctrl for op in path[first + 1 : second + 1])


def ctrl_isb(path: Sequence[Op], first: int, second: int) -> bool:
    """Order a load with all after an ISB that follows a branch on it, or an address from it."""
    on = path[first].index
    depends = False
    for op in path[first + 1 : second]:
        depends = depends or on in op.ctrl or on in op.addr
        if depends and op.fence == "isb":
            return True
    return False


def xchg(path: Sequence[Op], first: int, second: int) -> bool:
    """Order atomic operations that return a value with everything."""
    return (path[first].full or path[second].full) and "TLBI" not in {
        path[first].kind,
        path[second].kind,
    }


def same_location(path: Sequence[Op], first: int, second: int) -> bool:
    """Order any access with a later store to its location; loads are held to it elsewhere."""
    early, late = path[first], path[second]
    same = bool(early.loc) and early.loc == late.loc
    return same and late.writes and (early.reads or early.writes)


def may_overlap(path: Sequence[Op], first: int, second: int) -> bool:
    """
    Order a translated access with stores that it may overlap.

    What it reaches is known only when it is performed: stricter than the machine, it takes no
    value from an own store that is not performed.
    """
    early, late = path[first], path[second]
    accesses = (early.reads or early.writes) and (late.reads or late.writes)
    translated = bool(early.va or late.va)
    overlaps = bool(early.va and late.va) or "page" in {early.how, late.how}
    return accesses and translated and overlaps and (early.writes or late.writes)


def checked_last(path: Sequence[Op], first: int, second: int) -> bool:
    """Check what must hold only when it is known that the CPU comes to it."""
    return path[second].kind == "CHECK" and path[first].reads


def locked(path: Sequence[Op], first: int, second: int) -> bool:
    """Order everything with a locked or serialising instruction, or across an MFENCE."""
    kinds = {path[first].kind, path[second].kind}
    return bool(kinds & {"X", "IPI", "WAIT", "FREE", "TLBI"}) or _between(
        path, first, second, _FULL
    )


def translated_after(path: Sequence[Op], first: int, second: int) -> bool:
    """
    Order what a translation on arm64 waits for: its address, or an ISB.

    The ISB waits for loads that it depends on, and for what a DSB before it completes.
    """
    if addr(path, first, second) or ctrl_isb(path, first, second):
        return True
    completes = {"dsb"}
    if path[first].writes:
        completes.add("dsb.st")
    if path[first].reads:
        completes.add("dsb.ld")
    isb = [i for i in range(first + 1, second) if path[i].fence == "isb"]
    return bool(isb) and _between(path, first, isb[-1], completes)


def faults_after(path: Sequence[Op], first: int, second: int) -> bool:
    """Order what a fault on arm64 waits for besides: stores before a DMB ISHST, its address."""
    stores = path[first].writes and _between(path, first, second, _STORES)
    return stores or path[first].va == path[second].va


def once_known(store: Op) -> tuple[int, ...]:
    """Let a load take a store's value when its address and data are known, on a guess or not."""
    return (*store.addr, *store.data)


def loads_of_one_location(path: Sequence[Op], first: int, second: int) -> bool:
    """Hold loads of one location to its order of stores, whichever is performed first."""
    early, late = path[first], path[second]
    return early.kind == late.kind == "R" and bool(early.loc) and early.loc == late.loc


SC = Model("sc", (program_order,), once_known, loads_of_one_location)
TSO = Model("tso", (fifo, locked, may_overlap), once_known, loads_of_one_location)
ARM64 = Model(
    "arm64",
    (mb, wmb, rmb, acquire, release, release_acquire, addr, data, addr_po, ctrl, ctrl_isb, xchg,
     same_location, may_overlap, checked_last),
    once_known,
    loads_of_one_location,
    interrupts=False,
)  # fmt: skip
MODELS = {m.name: m for m in (SC, TSO, ARM64)}


def model(name: str) -> Model:
    """Return a model by its name; raises InputError for an unknown one."""
    if name not in MODELS:
        hint = nearest(name, MODELS) or f"; known: {', '.join(MODELS)}"
        raise InputError(f"model: there is no {name!r}{hint}")
    return MODELS[name]
