# SPDX-License-Identifier: MIT
"""
A thread on its CPU, on a memory model
--------------------------------------

:class:`Cpu` says which operations may go next, and turns each into a function from a state to
its successors.

Modelled: a TLBI reaches all CPUs of its scope at once, and a translation that another CPU has
looked up but not used is looked up again (``arm64``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from simulator.ordering.litmus.memory import BROKEN, FAULT, NOT_YET, Memory, State, Step
from simulator.ordering.litmus.models import Model, Rule, faults_after, translated_after
from simulator.ordering.litmus.program import Expression, Op, Thread

__all__ = ("Cpu",)


class Cpu:
    """A thread on its CPU: which operations may go next, and what they do."""

    def __init__(self, memory: Memory, model: Model, number: int, thread: Thread) -> None:
        self.memory = memory
        self.model = model
        self.number = number
        self.thread = thread
        self.mask = memory.add(0)
        ops = thread.ops
        self._paths = [thread.path(op.index) for op in ops]
        self._found = {op.index: memory.add(NOT_YET) for op in ops if op.reads}
        self._performs = 0
        for op in ops:
            if op.kind != "F":
                self._performs |= 1 << op.index
        # Loads of one location: what a later one found, while an earlier one is still out.
        self._version = {
            op.index: memory.add(0) for op in ops if op.kind == "R" and self._same_loads(op)
        }
        self._latch = {
            op.index: memory.add(NOT_YET) for op in ops if op.va and not model.interrupts
        }
        self._ready: dict[int, tuple[tuple[str, Step], ...]] = {}
        self._whole = [
            (sum(1 << i for i in path if ops[i].kind != "F"), guards)
            for path, guards in thread.paths
        ]
        # Operations on no path together.
        self._apart = [
            self._performs
            & ~sum(
                1 << other.index
                for other in ops
                if op in self._paths[other.index] or other in self._paths[op.index]
            )
            for op in ops
        ]
        self._step: list[tuple[int, int, str, Step]] = []
        self._cpus: Sequence[Cpu] = ()

    # -- order -----------------------------------------------------------------------------

    def compile(self, cpus: Sequence[Cpu]) -> None:
        """Make the steps; all CPUs of the machine have their places in the state now."""
        self._cpus = cpus
        for op in self.thread.ops:
            if op.kind == "F":
                continue
            need = self._needed(op, self.model.ordered)
            self._step.append((op.index, need, op.text, self._made(op)))
            if op.index in self._latch:
                first = self._needed(op, translated_after)
                self._step.append(
                    (-1 - op.index, first, f"({op.text}: translate)", self._look_up(op))
                )

    def _needed(self, op: Op, ordered: Rule) -> int:
        path = self._paths[op.index]
        last = len(path) - 1
        return sum(
            1 << path[i].index
            for i in range(last)
            if path[i].kind != "F" and ordered(path, i, last)
        )

    def ready(self, mask: int) -> tuple[tuple[str, Step], ...]:
        """Return the operations that may be performed after those in `mask`."""
        found = self._ready.get(mask)
        if found is None:
            found = tuple(
                (text, step)
                for index, need, text, step in self._step
                if need & mask == need and self._open(index, mask)
            )
            self._ready[mask] = found
        return found

    def _open(self, index: int, mask: int) -> bool:
        op = index if index >= 0 else -1 - index
        return not mask & (1 << op) and not mask & self._apart[op]

    def between_operations(self, mask: int) -> bool:
        """Return whether all before some point in program order is performed, nothing after."""
        return all(
            all(mask & (1 << before.index) for before in self._paths[i][:-1] if before.kind != "F")
            for i in range(len(self.thread.ops))
            if mask & (1 << i)
        )

    def done(self, state: State) -> bool:
        """Return whether a path is performed to its end."""
        mask = state[self.mask]
        return any(
            mask == whole and all(self._holds(state, guard) for guard in guards)
            for whole, guards in self._whole
        )

    def registers(self, state: State) -> dict[str, Any]:
        """Return what the registers hold in the end, and which accesses faulted."""
        found: dict[str, Any] = {}
        for op in self.thread.ops:
            if op.reads and state[self.mask] & (1 << op.index):
                value = state[self._found[op.index]]
                faulted = value == FAULT
                if op.reg:
                    found[f"{self.number}:{op.reg}"] = 0 if faulted else value
                if op.label:
                    found[f"fault:{self.number}:{op.label}"] = faulted
        return found

    def loaded(self) -> Iterable[int]:
        """Return where in the state the values are that loads found."""
        return self._found.values()

    # -- branches --------------------------------------------------------------------------

    # Of a branch whose loads are still out, either side may be gone ahead on.
    def _holds(self, state: State | list[Any], guard: tuple[Expression, bool]) -> bool:
        expression, truth = guard
        values = [state[self._found[i]] for i in expression.loads]
        return NOT_YET in values or bool(expression.function(*values)) == truth

    def _consistent(
        self, state: list[Any], guards: list[tuple[int, tuple[Expression, bool]]]
    ) -> bool:
        mask = state[self.mask]
        return all(self._holds(state, guard) for i, guard in guards if mask & (1 << i))

    def value(self, state: State | list[Any], value: Any) -> Any:
        """Return a value, computed from loads if it is an expression."""
        if isinstance(value, Expression):
            return value.function(*(state[self._found[i]] for i in value.loads))
        return value

    # -- what operations do ----------------------------------------------------------------

    def _made(self, op: Op) -> Step:
        make = {
            "R": self._translated if op.va else self._load,
            "W": self._translated if op.va else self._store,
            "X": self._exchange,
            "TLBI": self._tlbi,
            "IPI": self._send,
            "WAIT": self._wait,
            "FREE": self._free,
            "CHECK": self._check,
        }[op.kind]
        step = make(op)
        own = [(op.index, guard) for before in self._paths[op.index] for guard in before.guards]
        watched = own + [
            (other.index, guard)
            for other in self.thread.ops
            for before in self._paths[other.index]
            for guard in before.guards
            if op.reads and op.index in guard[0].loads
        ]
        if not watched:
            return step

        def guarded(state: State) -> Iterable[State]:
            return [s for s in step(state) if self._consistent(list(s), watched)]

        return guarded

    def _same_loads(self, op: Op) -> list[Op]:
        path = self._paths[op.index]
        last = len(path) - 1
        return [path[i] for i in range(last) if self.model.coherent(path, i, last)]

    # Own stores that a load may take its value from, the latest first, and what each depends on.
    def _stores_before(self, op: Op) -> list[tuple[int, int, Any, int]]:
        found = []
        for store in reversed(self._paths[op.index][:-1]):
            if store.kind == "W" and store.loc == op.loc:
                needs = self.model.forwards(store)
                if needs is not None:
                    known = sum(1 << i for i in set(needs))
                    found.append((1 << store.index, known, store.value, store.index))
        return found

    def _load(self, op: Op) -> Step:
        bit, mask_at, found_at = 1 << op.index, self.mask, self._found[op.index]
        at = self.memory.slot[op.loc]
        stores = self._stores_before(op)
        earlier = sum(1 << o.index for o in self._same_loads(op))
        later = [
            (1 << o.index, self._version[o.index])
            for o in self.thread.ops
            if o.index in self._version and op in self._same_loads(o)
        ]
        mine = self._version.get(op.index)
        version = self._version_of(op.loc) if mine is not None or later else None
        until = op.until

        def load(state: State) -> Iterable[State]:
            mask = state[mask_at]
            value, source = state[at], -1
            if until is None:
                for store, needs, stored, index in stores:
                    if not mask & store:
                        if mask & needs != needs:
                            return ()
                        value, source = self.value(state, stored), index
                        break
            elif value != until:
                return ()
            new = list(state)
            if version is not None:
                now = version(state) if source < 0 else -1 - source
                if source < 0 and any(
                    mask & o and state[v] < now for o, v in later if state[v] >= 0
                ):
                    return ()
                # An own store that a later load took its value from is still to come.
                if mine is not None and mask & earlier != earlier:
                    new[mine] = now
            new[mask_at] = mask | bit
            new[found_at] = value
            return (tuple(new),)

        return load

    # How many stores to a location have been performed.
    def _version_of(self, loc: str) -> Callable[[State], int]:
        bits = [
            (cpu.mask, sum(1 << o.index for o in cpu.thread.ops if o.writes and o.loc == loc))
            for cpu in self._cpus
        ]
        return lambda state: sum((state[at] & which).bit_count() for at, which in bits)

    def _store(self, op: Op) -> Step:
        bit, mask_at, at = 1 << op.index, self.mask, self.memory.slot[op.loc]
        takers = [
            v
            for i, v in self._version.items()
            if op in self._paths[i] and self.thread.ops[i].loc == op.loc
        ]
        version = self._version_of(op.loc) if takers else None
        memory, value, mark = self.memory, op.value, -1 - op.index
        walked = at in memory.walked

        def store(state: State) -> Iterable[State]:
            new = list(state)
            if version is not None:
                now = version(state) + 1
                for v in takers:
                    if state[v] == mark:
                        new[v] = now
            new[mask_at] |= bit
            stored = value if value.__class__ is int else self.value(state, value)
            if walked:
                memory.store(new, at, stored)
            else:
                new[at] = stored
            return (tuple(new),)

        return store

    def _exchange(self, op: Op) -> Step:
        at, found_at, until = self.memory.slot[op.loc], self._found[op.index], op.until

        def exchange(state: State) -> Iterable[State]:
            if until is not None and state[at] != until:
                return ()
            new = self._performed(state, op)
            new[found_at] = state[at]
            new[at] = self.value(state, op.value)
            return (tuple(new),)

        return exchange

    def _performed(self, state: State, op: Op) -> list[Any]:
        new = list(state)
        new[self.mask] |= 1 << op.index
        return new

    def _translated(self, op: Op) -> Step:
        latch, memory = self._latch.get(op.index), self.memory
        before = self._needed(op, faults_after)

        def access(state: State) -> Iterable[State]:
            latched = state[latch] if latch is not None else NOT_YET
            frames = memory.reached(state, self.number, op.va) if latched is NOT_YET else [latched]
            for frame in frames:
                if frame == FAULT and state[self.mask] & before != before:
                    continue
                new = self._performed(state, op)
                if latch is not None:
                    new[latch] = NOT_YET
                if op.kind == "R":
                    new[self._found[op.index]] = (
                        frame if frame == FAULT else state[memory.slot[frame]]
                    )
                elif frame != FAULT:
                    new[memory.slot[frame]] = self.value(state, op.value)
                yield tuple(new)

        return access

    # An access that is translated ahead of its turn. What it finds valid may be in the TLB as
    # well, except that an own TLBI drops that and not what is looked up already.
    def _look_up(self, op: Op) -> Step:
        latch = self._latch[op.index]
        own = any(o.kind == "TLBI" for o in self._paths[op.index])

        def look_up(state: State) -> Iterable[State]:
            if state[latch] is not NOT_YET:
                return
            for frame in self.memory.reached(state, self.number, op.va):
                if own or frame == FAULT:
                    new = list(state)
                    new[latch] = frame
                    yield tuple(new)

        return look_up

    def look_up_again(self, state: list[Any], scope: frozenset[str]) -> bool:
        """
        Translate anew what another CPU's TLBI meets under way.

        False if an access went ahead of an earlier one at its address, which is now translated
        anew: the machine would repeat both, as it does where the later one was not ahead.
        """
        mask = state[self.mask]
        hit = [op for op in self.thread.ops if op.va and (not scope or op.va in scope)]
        for op in hit:
            if op.index in self._latch:
                state[self._latch[op.index]] = NOT_YET
        return not any(
            mask & (1 << late.index) and not mask & (1 << early.index)
            for late in hit
            for early in self._paths[late.index][:-1]
            if early in hit and early.va == late.va
        )

    def _tlbi(self, op: Op) -> Step:
        def tlbi(state: State) -> Iterable[State]:
            new = self._performed(state, op)
            for cpu in self._cpus:
                if op.how == "local" and cpu is not self:
                    continue
                self.memory.flush(new, cpu.number, op.scope, "")
                # A CPU has used a translation ahead of its turn.
                if cpu is not self and not cpu.look_up_again(new, op.scope):
                    return ()
            self.memory.refill(new)
            return (tuple(new),)

        return tlbi

    def _send(self, op: Op) -> Step:
        def send(state: State) -> Iterable[State]:
            new = self._performed(state, op)
            # A csd that is in use is waited for.
            if not self.memory.answered(state, self.number):
                return ()
            self.memory.send(new, self.number, op)
            return (tuple(new),)

        return send

    def _wait(self, op: Op) -> Step:
        def wait(state: State) -> Iterable[State]:
            if self.memory.answered(state, self.number):
                return (tuple(self._performed(state, op)),)
            return ()

        return wait

    def _free(self, op: Op) -> Step:
        def free(state: State) -> Iterable[State]:
            new = self._performed(state, op)
            self.memory.free(new, op.how)
            return (tuple(new),)

        return free

    def _check(self, op: Op) -> Step:
        def check(state: State) -> Iterable[State]:
            new = self._performed(state, op)
            if not self.value(state, op.value):
                new[BROKEN] = op.invariant
            return (tuple(new),)

        return check
