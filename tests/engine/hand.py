# SPDX-License-Identifier: MIT
"""
A machine made by hand
----------------------

:class:`HandMachine` is a :class:`simulator.engine.platform.Platform` in which every
cost is an integer that a test states, and :func:`run` runs tasks on it.  The
default costs are chosen so that a trace can be followed with pencil and paper:

====================  ====  =====================================================
flush_base              10  start of a broadcast
enqueue                  3  per target
send                    20  per interrupt-controller write
send_return              0  back from it, beside the delivery
contention               0  on top of each call behind the first of a handler's list
inject                   5  per destination, one after another
deliver                100  from the send to the arrival
handler_entry           40  from the start of the handler until it takes the list
handler_exit            30
ack                      2  per csd that the initiator reads
atomic                   1  a lock whose line is here
cache_line               8  a lock whose line is elsewhere; a polling CPU's flag
irq_save                 4  on top, for a lock that turns interrupts off
mutex_wakeup           500
poll_wake               25  instead of handler_entry, on a polling CPU
====================  ====  =====================================================

The functions that run on each CPU take 50 (:data:`FULL`) and 2 * 7
(:data:`RANGE`), without a refill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from simulator.engine import EventsEngine
from simulator.engine.calls import Call
from simulator.engine.locks import IrqSpinLock, Mutex, RwSemaphore, SpinLock
from simulator.trace.contract import IPI_COLUMNS
from simulator.trace.ipis import IpiLog
from simulator.trace.recorder import Recorder
from simulator.trace.words import STATES

DEFAULT_NS = MappingProxyType(
    {
        "flush_base": 10,
        "enqueue": 3,
        "send": 20,
        "send_return": 0,
        "contention": 0,
        "inject": 5,
        "deliver": 100,
        "handler_entry": 40,
        "handler_exit": 30,
        "ack": 2,
        "atomic": 1,
        "cache_line": 8,
        "irq_save": 4,
        "mutex_wakeup": 500,
        "poll_wake": 25,
    }
)

FULL = Call("batch_remap", "all", "do_flush_tlb_all", 0, 50, 0)
RANGE = Call("remap", "range", "do_kernel_range_flush", 7, 14, 0)


@dataclass(frozen=True)
class HandCost:
    each_ns: int

    def ns(self, n=1, distance=0):
        return n * self.each_ns


@dataclass(frozen=True)
class HandIdle:
    exit_ns: int
    polling: bool = False
    residency_ns: int = 0


@dataclass(frozen=True)
class HandSpells:
    """What CPUs without a task do: half-open intervals by CPU."""

    preempted: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    irqs_off: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    idle: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)

    def preempted_until(self, cpu, t_ns):
        return covering(self.preempted, cpu, t_ns)[1]

    def irqs_off_until(self, cpu, t_ns):
        return covering(self.irqs_off, cpu, t_ns)[1]

    def idle_since(self, cpu, t_ns):
        return covering(self.idle, cpu, t_ns)[0]


def covering(spells, cpu, t_ns):
    """Return the spell that covers a time, or (-1, the time itself)."""
    return next((s for s in spells.get(cpu, ()) if s[0] <= t_ns < s[1]), (-1, t_ns))


@dataclass(frozen=True)
class HandMachine:
    """
    A platform of stated integers.

    ``ns`` replaces default costs; ``to_cpu[name]`` replaces a per-target cost of
    some targets, whoever sends; ``drawn`` replaces all of them by a function of
    (name, initiator, flush).  ``writes`` says how IPIs are sent: "shorthand" (all
    but self in one write, otherwise one by one), "each", or "pairs" (CPUs 2k and
    2k + 1 share a write).
    """

    nr_cpus: int
    ns: Mapping[str, int] = field(default_factory=dict)
    to_cpu: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    drawn: Callable[[str, int, int], Sequence[int]] | None = None
    spells: HandSpells = HandSpells()
    idle_states: tuple[HandIdle, ...] = (HandIdle(exit_ns=0),)
    writes: str = "each"

    @property
    def socket_of(self):
        return (0,) * self.nr_cpus

    @property
    def distance(self):
        return np.broadcast_to(np.int8(1), (self.nr_cpus, self.nr_cpus))

    @property
    def costs(self):
        return {name: HandCost(ns) for name, ns in {**DEFAULT_NS, **self.ns}.items()}

    def ipi_draws(self, name, initiator, flush):
        if self.drawn is not None:
            return np.asarray(self.drawn(name, initiator, flush), dtype=np.int64)
        row = np.full(self.nr_cpus, self.costs[name].each_ns, dtype=np.int64)
        for cpu, ns in self.to_cpu.get(name, {}).items():
            row[cpu] = ns
        return row

    def idle_state(self, idle_for_ns, cpu, since_ns):
        deep_enough = [s for s in self.idle_states if s.residency_ns <= idle_for_ns]
        return max(deep_enough, key=lambda s: s.residency_ns, default=self.idle_states[0])

    def icr_writes(self, initiator, cpus):
        if self.writes == "shorthand" and len(cpus) == self.nr_cpus - 1:
            return (tuple(cpus),)
        if self.writes == "pairs":
            pairs = {}
            for cpu in cpus:
                pairs.setdefault(cpu // 2, []).append(cpu)
            return tuple(map(tuple, pairs.values()))
        return tuple((cpu,) for cpu in cpus)


class World:
    """An engine on a machine made by hand, with locks, and what tasks noted."""

    def __init__(self, machine, ipis_of=range(10_000), engine=EventsEngine):
        self.recorder = Recorder(machine.socket_of, IpiLog(ipis_of))
        self.engine = engine(machine, self.recorder)
        timeline = self.engine.timeline
        self.page_table_lock = SpinLock(timeline, machine, "page_table_lock")
        self.hugetlb_lock = IrqSpinLock(timeline, machine, "hugetlb_lock")
        self.mmap_lock = RwSemaphore(timeline, machine, "mmap_lock")
        self.resize_lock = Mutex(timeline, machine, "resize_lock")
        self.tasks = []
        self.notes = []  # (what, task's CPU, ns), in the order in which they were made

    def run(self, bodies, start_ns=0):
        """Run ``{cpu: body(world, task)}`` to the end."""
        self.recorder.begin_phase("test", start_ns, bodies)
        timeline = self.engine.timeline
        made = {cpu: lambda body=body: body(self, timeline.current) for cpu, body in bodies.items()}
        self.tasks = self.engine.run(start_ns, made)
        end_ns = max(task.now_ns for task in self.tasks)
        self.recorder.end_phase(end_ns)
        for task in self.tasks:
            off_ns = task.irqs_off_max_ns, task.preempt_off_max_ns
            self.recorder.task_ended(task.now_ns, task.time_by, *off_ns)
        return self

    def flush(self, task, call=FULL):
        self.engine.on_each_cpu(call)

    def note(self, what, task):
        """Note a time."""
        task.meet()
        self.notes.append((what, task.cpu.number, task.now_ns))

    @property
    def flushes(self):
        return rows(self.recorder.flushes)

    @property
    def ipis(self):
        """Rows of the IPI table by (flush, CPU): enqueue, send, arrive, start, end, ack, ..."""
        return {
            (row["flush"], row["cpu"]): (
                *(row[f"{name}_ns"] for name in ("enqueue", "send", "arrive", "start", "end")),
                row["ack_ns"],
                STATES[row["state"]],
                bool(row["sent"]),
            )
            for values in self.recorder.ipis.rows().tolist()
            for row in [dict(zip(IPI_COLUMNS, values, strict=True))]
        }

    @property
    def cpus(self):
        return {row["cpu"]: row for row in rows(self.recorder.cpus)}


def rows(table):
    """Return the rows of an IntTable as dictionaries of plain integers."""
    columns = {name: values.tolist() for name, values in table.columns().items()}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def pick(row, *names):
    """Return some columns of a row."""
    return tuple(row[name] for name in names)


def flush_at(at_ns, call=FULL):
    """Return a body that works until a time, then flushes."""

    def body(world, task):
        task.work("bookkeeping", at_ns)
        world.flush(task, call)

    return body


def works(ns):
    """Return a body that does nothing but work."""

    def body(world, task):
        task.work("bookkeeping", ns)
        world.note("done", task)

    return body


def flush_row(world, nth=0):
    """Return start, send end, last release and end of a broadcast."""
    return pick(world.flushes[nth], "start_ns", "send_end_ns", "last_ack_ns", "end_ns")
