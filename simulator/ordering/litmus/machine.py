# SPDX-License-Identifier: MIT
"""
A program on a memory model, as states and steps
------------------------------------------------

A state is a flat tuple: the invariant broken so far, memory, and of each CPU which operations
it has performed (a bit each), what its loads found, what its TLB may hold.  :class:`Machine`
lays it out and turns every operation into a function from a state to its successors.

Modelled: an IPI is taken between two operations of its target with the store buffer empty
(``sc``, ``tso``); a TLBI reaches all CPUs of its scope at once, and a translation that another
CPU has looked up but not used is looked up again (``arm64``).

Not modelled: interrupts off, other handlers; an IPI that is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from simulator.errors import InputError, nearest
from simulator.ordering.litmus.models import Model, Rule, faults_after, translated_after
from simulator.ordering.litmus.program import Expression, Op, Program, Thread
from simulator.ordering.litmus.tlb import Entry, Translation

__all__ = ("Machine", "State", "Step")

State = tuple[Any, ...]
Step = Callable[[State], Iterable[State]]

_BROKEN = 0
_NOT_YET = None
# After these a machine goes on in a way that is defined, and so does the exploration.
_GOES_ON = {"", "size-and-frame"}
_FAULT = "fault"


class Machine:
    """The states of a program on a model: the first, the successors, what a final one says."""

    def __init__(self, program: Program, model: Model) -> None:
        self.program = program
        self.model = model
        self.needs_bbm = ""
        self._table = table = program.translation or Translation({"": {}})
        self._first: list[Any] = [""]
        self.slot: dict[str, int] = {}
        for name in _locations(program, table):
            self.slot[name] = self._add(program.memory.get(name, 0))
        #: Where what walkers read is in a state.
        self.walked = {self.slot[loc] for loc in table.locations()}
        self.cpus = [_Cpu(self, n, t) for n, t in enumerate(program.threads)]
        kinds = {op.kind for thread in program.threads for op in thread.ops}
        # A state is compared and hashed: what no operation changes stays out of it.
        tlbs = self.cpus if table.locations() or kinds & {"IPI", "TLBI", "WAIT", "FREE"} else []
        self._tlb = [self._add(frozenset[Entry]()) for _ in tlbs]
        self._ipi = [self._add(None) for _ in tlbs]
        self._freed = self._add(frozenset[str]()) if tlbs else -1
        for cpu in self.cpus:
            cpu.compile()

    def _add(self, value: Any) -> int:
        self._first.append(value)
        return len(self._first) - 1

    # -- what the explorer asks ------------------------------------------------------------

    def first(self) -> State:
        """Return the state before anything was performed."""
        state = list(self._first)
        self._refill(state)
        return tuple(state)

    def broken(self, state: State) -> str:
        """Return the invariant that was broken on the way, or ``""``."""
        return str(state[_BROKEN])

    def ends(self, state: State) -> bool:
        """Return whether an invariant was broken after which nothing is defined."""
        return state[_BROKEN] not in _GOES_ON

    def steps(self, state: State) -> Iterator[tuple[int, str, State]]:
        """Yield (CPU, what it does, the state after) for everything that can happen."""
        if self.ends(state):
            return
        for cpu in self.cpus:
            for text, step in cpu.ready(state[cpu.mask]):
                for after in step(state):
                    yield cpu.number, text, after
        for n, slot in enumerate(self._ipi):
            if state[slot] is not None:
                yield from self._take_ipi(state, n)

    def done(self, state: State) -> bool:
        """Return whether all threads have performed all they do."""
        return all(cpu.done(state) for cpu in self.cpus) and all(
            state[slot] is None for slot in self._ipi
        )

    def waits(self, state: State) -> bool:
        """
        Return whether a state without successors is one in which CPUs wait for ever.

        Elsewhere a CPU has gone ahead on a guess that turned out wrong, which it would repeat.
        """
        return all(cpu.between_operations(state[cpu.mask]) for cpu in self.cpus)

    def final(self, state: State) -> dict[str, Any]:
        """Return what locations and registers hold, and which accesses faulted."""
        found = {name: state[slot] for name, slot in self.slot.items()}
        for cpu in self.cpus:
            found.update(cpu.registers(state))
        return found

    def at_end(self, final: Mapping[str, Any]) -> str:
        """Return the invariant that a final state breaks, or ``""``."""
        return next((name for name, holds in self.program.at_end if not holds(final)), "")

    def told(self, cpu: int, text: str, before: State, after: State) -> str:
        """Return what a step does, with what a load finds."""
        for slot in self.cpus[cpu].loaded():
            if before[slot] is _NOT_YET and after[slot] is not _NOT_YET:
                return f"{text} -> {after[slot]}"
        return text

    def explained(self, state: State) -> Iterator[tuple[int, str]]:
        """Yield (CPU, what its TLB may hold) where that breaks an invariant."""
        for n, slot in enumerate(self._tlb):
            if state[_BROKEN] == "freed-while-held":
                found = self._table.reaches(state[slot], state[self._freed])
            elif state[_BROKEN] == "size-and-frame":
                found = self._table.size_and_frame(state[slot])
            else:
                found = []
            if found:
                yield n, f"(TLB may hold {' and '.join(found)})"

    # -- page tables, TLBs, pages ----------------------------------------------------------

    def _refill(self, state: list[Any]) -> None:
        table, slot = self._table, self.slot

        def read(loc: str) -> Any:
            return state[slot[loc]]

        for tlb in self._tlb:
            state[tlb] = held = state[tlb] | table.walk(read, state[tlb])
            if table.reaches(held, state[self._freed]):
                state[_BROKEN] = "freed-while-held"
            elif table.size_and_frame(held):
                state[_BROKEN] = state[_BROKEN] or "size-and-frame"
        if self.program.on_fault and table.faults(read):
            state[_BROKEN] = self.program.on_fault

    def store(self, state: list[Any], slot: int, value: Any) -> None:
        """Write memory; a descriptor may be walked at once."""
        old, state[slot] = state[slot], value
        if slot in self.walked:
            if old and value and old != value and self._output_changes(old, value):
                changed = next(name for name, at in self.slot.items() if at == slot)
                self.needs_bbm = self.needs_bbm or changed
            self._refill(state)

    # A leaf replaced by a table of the same frames is no change of the output address.
    def _output_changes(self, old: Any, new: Any) -> bool:
        return not {old, new} & {*self._table.tables, *self._table.leaves}

    def flush(self, state: list[Any], cpu: int, scope: frozenset[str], how: str) -> None:
        """Drop what the TLB of a CPU may hold; it may walk again at once."""
        state[self._tlb[cpu]] = self._table.invalidate(state[self._tlb[cpu]], scope, how)

    def _take_ipi(self, state: State, n: int) -> Iterator[tuple[int, str, State]]:
        cpu = self.cpus[n]
        scope, how, acked = state[self._ipi[n]]
        if not acked and not cpu.between_operations(state[cpu.mask]):
            return
        new = list(state)
        if how == "acknowledged early" and not acked:
            new[self._ipi[n]] = (scope, how, True)
            yield n, "(IPI: acknowledge)", tuple(new)
            return
        self.flush(new, n, scope, how)
        new[self._ipi[n]] = None
        self._refill(new)
        yield n, "(IPI: flush the TLB)", tuple(new)

    def send(self, state: list[Any], n: int, op: Op) -> None:
        """Flush here, and ask all other CPUs to."""
        self.flush(state, n, op.scope, op.how)
        for other, slot in enumerate(self._ipi):
            if other != n:
                state[slot] = (op.scope, op.how, False)
        self._refill(state)

    def answered(self, state: State, n: int) -> bool:
        """Return whether no other CPU has still to acknowledge."""
        waiting = (state[slot] for other, slot in enumerate(self._ipi) if other != n)
        return all(ipi is None or ipi[2] for ipi in waiting)

    def invalidate(self, state: list[Any], n: int, op: Op) -> bool:
        """Perform a TLBI; False where a CPU has used a translation ahead of its turn."""
        for cpu in self.cpus:
            if op.how == "local" and cpu.number != n:
                continue
            self.flush(state, cpu.number, op.scope, "")
            if cpu.number != n and not cpu.look_up_again(state, op.scope):
                return False
        self._refill(state)
        return True

    def free(self, state: list[Any], frame: str) -> None:
        """Give a page back."""
        state[self._freed] |= {frame}
        if any(self._table.reaches(state[tlb], state[self._freed]) for tlb in self._tlb):
            state[_BROKEN] = "freed-while-held"

    def reached(self, state: State, n: int, va: str) -> list[str]:
        """Return the frames that an access of a CPU may reach, ``fault`` for none."""
        frames = sorted(self._table.frames(va, state[self._tlb[n]]))
        if self._table.faults(lambda loc: state[self.slot[loc]], va):
            frames.append(_FAULT)
        return frames

    def add(self, value: Any) -> int:
        """Add something to the state; return where it is."""
        return self._add(value)


# All locations, those of pages too that are mapped and never named otherwise.
def _locations(program: Program, table: Translation) -> list[str]:
    ops = [op for thread in program.threads for op in thread.ops]
    addresses = {va for one in (*table.tables.values(), *table.leaves.values()) for va in one}
    for op in ops:
        if op.va and op.va not in addresses:
            hint = nearest(op.va, addresses)
            raise InputError(f"{program.name}: no table translates address {op.va!r}{hint}")
    walked = table.locations()
    mapped = [op.value for op in ops if op.loc in walked]
    mapped += [value for loc, value in program.memory.items() if loc in walked]
    tables = {*table.tables, *table.leaves}
    frames = [value for value in mapped if isinstance(value, str) and value not in tables]
    frames += [frame for leaf in table.leaves.values() for frame in leaf.values()]
    named = sorted({op.loc for op in ops if op.loc})
    return list(
        dict.fromkeys((*named, *sorted(walked), *frames, *program.memory, *program.locations))
    )


class _Cpu:
    """A thread on its CPU: which operations may go next, and what they do."""

    def __init__(self, machine: Machine, number: int, thread: Thread) -> None:
        self.machine = machine
        self.number = number
        self.thread = thread
        self.mask = machine.add(0)
        ops = thread.ops
        self._paths = [thread.path(op.index) for op in ops]
        self._found = {op.index: machine.add(_NOT_YET) for op in ops if op.reads}
        self._performs = 0
        for op in ops:
            if op.kind != "F":
                self._performs |= 1 << op.index
        # Loads of one location: what a later one found, while an earlier one is still out.
        self._version = {
            op.index: machine.add(0) for op in ops if op.kind == "R" and self._same_loads(op)
        }
        self._latch = {
            op.index: machine.add(_NOT_YET) for op in ops if op.va and not machine.model.interrupts
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

    # -- order -----------------------------------------------------------------------------

    def compile(self) -> None:
        """Make the steps; the machine has its layout now."""
        for op in self.thread.ops:
            if op.kind == "F":
                continue
            need = self._needed(op, self.machine.model.ordered)
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
                faulted = value == _FAULT
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
        return _NOT_YET in values or bool(expression.function(*values)) == truth

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
        return [path[i] for i in range(last) if self.machine.model.coherent(path, i, last)]

    # Own stores that a load may take its value from, the latest first, and what each depends on.
    def _stores_before(self, op: Op) -> list[tuple[int, int, Any, int]]:
        found = []
        for store in reversed(self._paths[op.index][:-1]):
            if store.kind == "W" and store.loc == op.loc:
                needs = self.machine.model.forwards(store)
                if needs is not None:
                    known = sum(1 << i for i in set(needs))
                    found.append((1 << store.index, known, store.value, store.index))
        return found

    def _load(self, op: Op) -> Step:
        bit, mask_at, found_at = 1 << op.index, self.mask, self._found[op.index]
        at = self.machine.slot[op.loc]
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
            for cpu in self.machine.cpus
        ]
        return lambda state: sum((state[at] & which).bit_count() for at, which in bits)

    def _store(self, op: Op) -> Step:
        bit, mask_at, at = 1 << op.index, self.mask, self.machine.slot[op.loc]
        takers = [
            v
            for i, v in self._version.items()
            if op in self._paths[i] and self.thread.ops[i].loc == op.loc
        ]
        version = self._version_of(op.loc) if takers else None
        machine, value, mark = self.machine, op.value, -1 - op.index
        walked = at in machine.walked

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
                machine.store(new, at, stored)
            else:
                new[at] = stored
            return (tuple(new),)

        return store

    def _exchange(self, op: Op) -> Step:
        at, found_at, until = self.machine.slot[op.loc], self._found[op.index], op.until

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
        latch, machine = self._latch.get(op.index), self.machine
        before = self._needed(op, faults_after)

        def access(state: State) -> Iterable[State]:
            latched = state[latch] if latch is not None else _NOT_YET
            frames = (
                machine.reached(state, self.number, op.va) if latched is _NOT_YET else [latched]
            )
            for frame in frames:
                if frame == _FAULT and state[self.mask] & before != before:
                    continue
                new = self._performed(state, op)
                if latch is not None:
                    new[latch] = _NOT_YET
                if op.kind == "R":
                    new[self._found[op.index]] = (
                        frame if frame == _FAULT else state[machine.slot[frame]]
                    )
                elif frame != _FAULT:
                    new[machine.slot[frame]] = self.value(state, op.value)
                yield tuple(new)

        return access

    # An access that is translated ahead of its turn. What it finds valid may be in the TLB as
    # well, except that an own TLBI drops that and not what is looked up already.
    def _look_up(self, op: Op) -> Step:
        latch = self._latch[op.index]
        own = any(o.kind == "TLBI" for o in self._paths[op.index])

        def look_up(state: State) -> Iterable[State]:
            if state[latch] is not _NOT_YET:
                return
            for frame in self.machine.reached(state, self.number, op.va):
                if own or frame == _FAULT:
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
                state[self._latch[op.index]] = _NOT_YET
        return not any(
            mask & (1 << late.index) and not mask & (1 << early.index)
            for late in hit
            for early in self._paths[late.index][:-1]
            if early in hit and early.va == late.va
        )

    def _tlbi(self, op: Op) -> Step:
        def tlbi(state: State) -> Iterable[State]:
            new = self._performed(state, op)
            return (tuple(new),) if self.machine.invalidate(new, self.number, op) else ()

        return tlbi

    def _send(self, op: Op) -> Step:
        def send(state: State) -> Iterable[State]:
            new = self._performed(state, op)
            # A csd that is in use is waited for.
            if not self.machine.answered(state, self.number):
                return ()
            self.machine.send(new, self.number, op)
            return (tuple(new),)

        return send

    def _wait(self, op: Op) -> Step:
        def wait(state: State) -> Iterable[State]:
            if self.machine.answered(state, self.number):
                return (tuple(self._performed(state, op)),)
            return ()

        return wait

    def _free(self, op: Op) -> Step:
        def free(state: State) -> Iterable[State]:
            new = self._performed(state, op)
            self.machine.free(new, op.how)
            return (tuple(new),)

        return free

    def _check(self, op: Op) -> Step:
        def check(state: State) -> Iterable[State]:
            new = self._performed(state, op)
            if not self.value(state, op.value):
                new[_BROKEN] = op.invariant
            return (tuple(new),)

        return check
