# SPDX-License-Identifier: MIT
"""
arm64 against its axioms
------------------------

Oracle: the Arm ARM's model as it is written (DDI 0487, B2.3), by candidate executions: every choice
of where loads read from and in which order stores to a location come, kept if the internal and
external visibility requirements and atomicity hold.  Nothing of it is shared with the explorer,
which performs operations one at a time.
"""

from __future__ import annotations

import itertools
import random

import pytest

from simulator.ordering.litmus.machine import Machine
from simulator.ordering.litmus.models import ARM64
from simulator.ordering.litmus.program import Program
from simulator.ordering.litmus.table import _threads

LOCATIONS = ("x", "y")


def random_threads(seed):
    """Threads in the form of the tables, two of up to four operations or three of up to three."""
    draw = random.Random(seed)  # noqa: S311 - programs, no secrets
    nr_threads = draw.choice((2, 2, 3))
    values = itertools.count(1)
    return [thread(draw, draw.randint(2, 6 - nr_threads), values) for _ in range(nr_threads)]


def thread(draw, length, values):
    ops, registers = [], []
    for i in range(length):
        kind = draw.choice("RRRWWWXF")
        if kind == "F":
            ops.append(["F", draw.choice(("mb", "wmb", "rmb"))])
            continue
        loc, options = draw.choice(LOCATIONS), {}
        if registers and kind != "X" and draw.random() < 0.5:
            dependencies = ("addr", "ctrl", "ctrlisb") + ("data",) * (kind == "W")
            options = {"dep": draw.choice(dependencies), "on": draw.choice(registers)}
        elif kind == "R" and draw.random() < 0.3:
            options = {"order": draw.choice(("acquire", "acquirepc"))}
        elif kind == "W" and draw.random() < 0.3:
            options = {"order": "release"}
        register = f"r{i}"
        if kind in "RX":
            registers.append(register)
        value = [] if kind == "R" else [next(values)]
        ops.append([kind, *([register] if kind in "RX" else []), loc, *value, options])
    return ops


class Events:
    """The events of a program and the relations that do not depend on an execution."""

    def __init__(self, threads):
        self.events = []  # (thread, place, "R" or "W", location, value, order)
        self.rmw, self.register = set(), {}
        self.fences, self.deps = [], set()
        for t, ops in enumerate(threads):
            loaded = {}
            for place, op in enumerate(ops):
                if op[0] == "F":
                    self.fences.append((t, place, op[1]))
                else:
                    self.add(t, place, op, loaded)
        n = range(len(self.events))
        self.po = {(a, b) for a in n for b in n if self.before(a, b)}
        self.loc = {(a, b) for a in n for b in n if self.events[a][3] == self.events[b][3]}
        self.int = {(a, b) for a in n for b in n if self.events[a][0] == self.events[b][0]}
        self.reads = {e for e in n if self.events[e][2] == "R"}
        self.writes = {e for e in n if self.events[e][2] == "W"}
        self.lob = self.locally_ordered()

    def add(self, t, place, op, loaded):
        kind, options = op[0], op[-1]
        order = "xchg" if kind == "X" else options.get("order", "")
        event = len(self.events)
        if kind in "RX":
            self.events.append((t, (place, 0), "R", op[2], None, order))
            self.register[event] = f"{t}:{op[1]}"
        if kind in "WX":
            value = op[-2]
            loc = op[1] if kind == "W" else op[2]
            self.events.append((t, (place, 1), "W", loc, value, order))
        if kind == "X":
            self.rmw.add((event, event + 1))
        if "dep" in options:
            self.deps.add((options["dep"], loaded[options["on"]], event))
        if kind in "RX":
            loaded[op[1]] = event

    def before(self, a, b):
        return self.events[a][0] == self.events[b][0] and self.events[a][1] < self.events[b][1]

    def fenced(self, name):
        return {
            (a, b)
            for a, b in self.po
            for t, place, fence in self.fences
            if fence == name
            and self.events[a][0] == t
            and self.events[a][1][0] < place < self.events[b][1][0]
        }

    def having(self, *orders):
        return {e for e in range(len(self.events)) if self.events[e][5] in orders}

    def locally_ordered(self):
        po, reads, writes = self.po, self.reads, self.writes
        addr = {(a, b) for dep, a, b in self.deps if dep == "addr"}
        data = {(a, b) for dep, a, b in self.deps if dep == "data"}
        ctrl = {
            (a, c)
            for dep, a, b in self.deps
            if dep in {"ctrl", "ctrlisb"}
            for c in range(len(self.events))
            if c == b or (b, c) in po
        }
        addr_po = compose(addr, po)
        isb = {
            (a, c)
            for a, c in ctrl | addr_po
            for dep, _, at in self.deps
            if dep == "ctrlisb"
            # The ISB stands before `at`, after the branch or the access with the address.
            and (c == at or (at, c) in po)
            and (a, at) in ctrl | addr_po
        }
        po_loc = po & self.loc
        between = compose(only(po_loc, writes), po_loc)
        lrs = {(a, b) for a, b in po_loc - between if a in writes and b in reads}
        acquire = self.having("acquire", "xchg") & reads
        release = self.having("release", "xchg") & writes
        acquirepc = self.having("acquirepc")
        return (
            {(a, b) for a, b in po_loc if b in writes}
            | addr
            | data
            | {(a, b) for a, b in ctrl | addr_po if b in writes}
            | {(a, b) for a, b in isb if b in reads}
            | compose(addr | data, lrs)
            | self.rmw
            | {(a, b) for a, b in compose(self.rmw, lrs) if b in acquire | acquirepc}
            | self.fenced("mb")
            | {(a, b) for a, b in self.fenced("rmb") if a in reads}
            | {(a, b) for a, b in self.fenced("wmb") if a in writes and b in writes}
            | {(a, b) for a, b in po if a in {w for _, w in self.rmw}}
            | {(a, b) for a, b in po if a in release and b in acquire}
            | {(a, b) for a, b in po if a in acquire | acquirepc}
            | {(a, b) for a, b in po if b in release}
        )


def compose(one, other):
    after = {}
    for b, c in other:
        after.setdefault(b, []).append(c)
    return {(a, c) for a, b in one for c in after.get(b, ())}


def only(relation, ends):
    return {(a, b) for a, b in relation if b in ends}


def acyclic(relation):
    after, state = {}, {}
    for a, b in relation:
        after.setdefault(a, []).append(b)

    def visit(event):
        state[event] = 1
        for other in after.get(event, ()):
            if state.get(other) == 1 or (other not in state and not visit(other)):
                return False
        state[event] = 2
        return True

    return all(event in state or visit(event) for event in list(after))


def allowed(threads):
    """Return the final states that the axioms allow: locations, then registers, by name."""
    e = Events(threads)
    n_events = len(e.events)
    stores = {loc: [w for w in e.writes if e.events[w][3] == loc] for loc in LOCATIONS}
    reads = sorted(e.reads)
    found = set()
    orders = [list(itertools.permutations(stores[loc])) for loc in LOCATIONS]
    sources = [[None, *stores[e.events[r][3]]] for r in reads]
    for order in itertools.product(*orders):
        rank = {w: i for one in order for i, w in enumerate(one)}
        co = {(a, b) for one in order for a, b in itertools.combinations(one, 2)}
        for chosen in itertools.product(*sources):
            rf = {(w, r) for w, r in zip(chosen, reads, strict=True) if w is not None}
            fr = {
                (r, w)
                for source, r in zip(chosen, reads, strict=True)
                for w in stores[e.events[r][3]]
                if (source is None or rank[w] > rank[source]) and (r, w) not in e.rmw
            }
            ca = fr | co | set(e.rmw)
            ext = (rf | fr | co) - e.int
            if (
                acyclic((e.po & e.loc) | ca | rf)
                and not e.rmw & compose(fr - e.int, co - e.int)
                and acyclic(ext | e.lob)
            ):
                memory = [e.events[one[-1]][4] if one else 0 for one in order]
                values = {
                    e.register[r]: 0 if w is None else e.events[w][4]
                    for w, r in zip(chosen, reads, strict=True)
                }
                found.add((tuple(memory), tuple(sorted(values.items()))))
    assert n_events < 13
    return found


def explored(threads):
    machine = Machine(Program("random", _threads(threads), dict.fromkeys(LOCATIONS, 0)), ARM64)
    reached, todo, found = {machine.first()}, [machine.first()], set()
    while todo:
        state = todo.pop()
        if machine.done(state):
            final = machine.final(state)
            memory = tuple(final[loc] for loc in LOCATIONS)
            found.add((memory, tuple(sorted((k, v) for k, v in final.items() if ":" in k))))
        for _, _, after in machine.steps(state):
            if after not in reached:
                reached.add(after)
                todo.append(after)
    return found


@pytest.mark.parametrize("seeds", [range(n, n + 8) for n in range(0, 24, 8)], ids=str)
def test_arm64_ends_in_exactly_the_states_that_the_axioms_allow(seeds):
    for seed in seeds:
        threads = random_threads(seed)
        assert explored(threads) == allowed(threads), threads
