# SPDX-License-Identifier: MIT
"""
The model once more, one nanosecond at a time
---------------------------------------------

An oracle for the events engine, written from kernel.md 3.3 and 3.5 and from the
design, without an event queue, without tasks that run ahead and without the code
of simulator/engine: every nanosecond every CPU is looked at.  Within a nanosecond:

1. handlers take their list or end, and those that waited for it start;
2. interrupts arrive;
3. tasks that have nothing left to do and run in no handler go on, by CPU number.

A task's program is a list of operations, see :func:`program`; :func:`as_body`
makes the same program for the engine.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace

from simulator.engine.calls import Call
from tests.engine.hand import covering


def program(world, ops):
    """
    Carry out operations in a world of either kind; generator.

    ("work", ns), ("flush", run_ns, refill_ns), ("ptl", ops), ("hugetlb", ns),
    ("resize", ops), ("irqs_off", ns), ("sleep", ns).
    """
    for name, *args in ops:
        if name == "ptl":
            yield from world.lock("ptl")
            yield from program(world, args[0])
            yield from world.unlock("ptl")
        elif name == "resize":
            yield from world.lock("resize")
            yield from program(world, args[0])
            yield from world.unlock("resize")
        elif name == "hugetlb":
            yield from world.lock("hugetlb")
            yield from world.work(args[0])
            yield from world.unlock("hugetlb")
        else:
            yield from getattr(world, name)(*args)


def call_of(run_ns, refill_ns):
    return Call("batch_remap", "all", "do_flush_tlb_all", 0, run_ns, refill_ns)


class EngineSide:
    """Operations of a program, as the engine's tasks make them."""

    def __init__(self, world, task, noted):
        self.world, self.task, self.noted = world, task, noted
        self.locks = {
            "ptl": world.page_table_lock,
            "hugetlb": world.hugetlb_lock,
            "resize": world.resize_lock,
        }

    def work(self, ns):
        self.task.work("bookkeeping", ns)
        yield from ()

    def note(self, what):
        if self.noted:
            self.world.note(what, self.task)
        yield from ()

    def lock(self, name):
        self.locks[name].lock()
        yield from self.note(name)

    def unlock(self, name):
        self.locks[name].unlock()
        yield from self.note(f"no {name}")

    def flush(self, run_ns, refill_ns):
        self.world.flush(self.task, call_of(run_ns, refill_ns))
        yield from self.note("flush")

    def irqs_off(self, ns):
        self.task.local_irq_disable()
        self.task.work("bookkeeping", ns)
        self.task.local_irq_enable()
        yield from self.note("irqs on")

    def sleep(self, ns):
        self.task.meet()
        self.task.sleep_until(self.task.now_ns + ns, "sleep")
        yield from self.note("awake")


def as_body(ops, noted=True):
    """Return a program as the body of a task of the engine."""

    def body(world, task):
        # The model's side is a generator; here each step runs to its end at once.
        deque(program(EngineSide(world, task, noted), ops), maxlen=0)

    return body


@dataclass
class TickLock:
    sleeps: bool = False
    irqs_off: bool = False
    held: bool = False
    line_at: int = -1
    waiters: list = field(default_factory=list)

    def move_line(self, cpu, machine):
        here = self.line_at in (-1, cpu)
        self.line_at = cpu
        return machine.costs["atomic" if here else "cache_line"].each_ns


@dataclass
class TickCpu:
    number: int
    queue: list = field(default_factory=list)
    arrivals: list = field(default_factory=list)  # on their way
    waiting: SimpleNamespace | None = None  # arrived, its handler not started
    handler: SimpleNamespace | None = None
    last_busy: int = 0
    irqs_off: bool = False
    # The task: working (with so much left), or waiting for something.
    steps: object = None
    left: int = 0
    until: object = None
    asleep: bool = False
    idle_from: int = 0
    ended: int | None = None
    interrupted: int = 0
    flushes: int = 0
    handler_ns: int = 0
    ipis: int = 0

    @property
    def has_task(self):
        return self.steps is not None


class TickModel:
    """Run programs ``{cpu: ops}`` on a machine made by hand."""

    def __init__(self, machine, programs, limit_ns=200_000):
        self.machine = machine
        self.now = 0
        self.cpus = [TickCpu(n) for n in range(machine.nr_cpus)]
        self.locks = {
            "ptl": TickLock(),
            "hugetlb": TickLock(irqs_off=True),
            "resize": TickLock(sleeps=True),
        }
        self.notes = []
        self.flushes = []
        self.ipis = {}
        for number, ops in programs.items():
            cpu = self.cpus[number]
            cpu.steps = program(TickSide(self, cpu), ops)
        while any(c.has_task or c.arrivals or c.waiting or c.handler for c in self.cpus):
            self.tick()
            self.now += 1
            assert self.now < limit_ns

    def cost(self, name):
        return self.machine.costs[name].each_ns

    def tick(self):
        for cpu in self.cpus:
            self.handlers(cpu)
        for cpu in self.cpus:
            for ipi in [ipi for ipi in cpu.arrivals if ipi.arrive == self.now]:
                cpu.arrivals.remove(ipi)
                self.arrives(cpu, ipi)
        for cpu in self.cpus:
            self.goes_on(cpu)
        for cpu in self.cpus:
            if cpu.handler is not None:
                cpu.handler_ns += 1
                cpu.interrupted += cpu.has_task and cpu.until is None
            elif cpu.left:
                cpu.left -= 1

    # --- interrupts -------------------------------------------------------------------

    def handlers(self, cpu):
        running = cpu.handler
        if running is not None and running.drain == self.now:
            taken, cpu.queue = cpu.queue, []
            at = self.now
            for csd in taken:
                at += csd.call.run_ns
                csd.release = at
                csd.ipi, csd.start, csd.state = running.ipi, running.start, running.state
            running.end = at + running.ipi.exit
            if cpu.has_task and cpu.until is None:
                refill = max((csd.call.refill_ns for csd in taken), default=0)
                cpu.left += refill
                cpu.interrupted += refill
        if running is not None and running.end == self.now:
            cpu.handler, cpu.last_busy = None, self.now
        waiting = cpu.waiting
        if waiting is not None and cpu.handler is None and self.may_start(cpu, waiting):
            self.starts(cpu)

    def may_start(self, cpu, waiting):
        if waiting.why == "handler":
            return True
        if waiting.why == "exit":
            return self.now >= waiting.exits
        if waiting.why == "task":
            return not cpu.irqs_off
        spells = self.machine.spells
        if not waiting.resumed and covering(spells.preempted, cpu.number, self.now)[0] >= 0:
            return False
        waiting.resumed = True
        return covering(spells.irqs_off, cpu.number, self.now)[0] < 0

    def arrives(self, cpu, ipi):
        assert cpu.waiting is None
        waiting = SimpleNamespace(ipi=ipi, why="", state="running", exits=0, resumed=False)
        cpu.waiting = waiting
        spells = self.machine.spells
        if cpu.handler is not None:
            waiting.why = "handler"
            if cpu.handler.state == "idle":
                waiting.state = "idle"
            return
        idle = self.idle_state(cpu)
        if idle is not None:
            waiting.why, waiting.state = "exit", "idle"
            waiting.exits = self.now + (0 if ipi.polled else idle.exit_ns)
        elif cpu.has_task:
            waiting.why = "task"
            if cpu.irqs_off:
                waiting.state = "irqs_off"
        elif covering(spells.preempted, cpu.number, self.now)[0] >= 0:
            waiting.state = "preempted"
        elif covering(spells.irqs_off, cpu.number, self.now)[0] >= 0:
            waiting.state = "irqs_off"
        if self.may_start(cpu, waiting):
            self.starts(cpu)

    def starts(self, cpu):
        waiting, cpu.waiting = cpu.waiting, None
        cpu.ipis += not waiting.ipi.polled
        cpu.handler = SimpleNamespace(
            ipi=waiting.ipi,
            start=self.now,
            drain=self.now + waiting.ipi.entry,
            end=-1,
            state=waiting.state,
        )

    def idle_state(self, cpu):
        if cpu.has_task:
            since = cpu.idle_from if cpu.asleep else -1
        else:
            since = covering(self.machine.spells.idle, cpu.number, self.now)[0]
        if since < 0:
            return None
        since = max(since, cpu.last_busy)
        return self.machine.idle_state(self.now - since, cpu.number, since)

    # --- tasks --------------------------------------------------------------------------

    def goes_on(self, cpu):
        while cpu.has_task and cpu.handler is None:
            if cpu.waiting is not None and cpu.waiting.why == "exit":
                return  # on its way out of idle, straight into the handler
            if cpu.left or (cpu.until is not None and not cpu.until()):
                return
            cpu.until = None
            try:
                cpu.left, cpu.until = next(cpu.steps)
            except StopIteration:
                cpu.steps = None
                cpu.ended = self.now
                cpu.last_busy = self.now


class TickSide:
    """Operations of a program, as the tick model makes them: steps of (ns, until)."""

    def __init__(self, model, cpu):
        self.model, self.cpu = model, cpu

    def work(self, ns):
        yield ns, None

    def wait(self, until):
        yield 0, until

    def note(self, what):
        self.model.notes.append((what, self.cpu.number, self.model.now))

    def irqs_on(self):
        cpu = self.cpu
        cpu.irqs_off = False
        if cpu.waiting is not None:
            self.model.starts(cpu)
        yield 0, None

    def lock(self, name):
        model, cpu, lock = self.model, self.cpu, self.model.locks[name]
        cpu.irqs_off = cpu.irqs_off or lock.irqs_off
        extra = model.cost("irq_save") if lock.irqs_off else 0
        if lock.held:
            ticket = SimpleNamespace(cpu=cpu.number, granted=None)
            lock.waiters.append(ticket)
            if lock.sleeps:
                cpu.asleep, cpu.idle_from = True, model.now
            yield from self.wait(lambda: ticket.granted is not None and ticket.granted <= model.now)
            cpu.asleep = False
            yield from self.work(extra)
        else:
            lock.held = True
            yield from self.work(lock.move_line(cpu.number, model.machine) + extra)
        self.note(name)

    def unlock(self, name):
        model, lock = self.model, self.model.locks[name]
        if lock.waiters:
            ticket = lock.waiters.pop(0)
            transfer = lock.move_line(ticket.cpu, model.machine)
            ticket.granted = model.now + (model.cost("mutex_wakeup") if lock.sleeps else transfer)
        else:
            lock.held = False
        if lock.irqs_off:
            yield from self.irqs_on()
        self.note(f"no {name}")

    def irqs_off(self, ns):
        self.cpu.irqs_off = True
        yield from self.work(ns)
        yield from self.irqs_on()
        self.note("irqs on")

    def sleep(self, ns):
        model, cpu = self.model, self.cpu
        wake = model.now + ns
        cpu.asleep, cpu.idle_from = True, model.now
        yield from self.wait(lambda: model.now >= wake)
        cpu.asleep = False
        self.note("awake")

    def flush(self, run_ns, refill_ns):
        model, cpu, machine = self.model, self.cpu, self.model.machine
        me, call = cpu.number, call_of(run_ns, refill_ns)
        start, nth, number = model.now, cpu.flushes, len(model.flushes)
        cpu.flushes += 1
        row = {"cpu": me, "start_ns": start}
        model.flushes.append(row)
        ns = {
            name: machine.ipi_draws(name, me, nth).tolist()
            for name in ("enqueue", "inject", "deliver", "handler_entry", "handler_exit", "ack")
        }

        def ipi(send, arrive, target, entry, polled):
            target.arrivals.append(
                SimpleNamespace(
                    send=send,
                    arrive=arrive,
                    entry=entry,
                    exit=ns["handler_exit"][target.number],
                    polled=polled,
                )
            )

        yield from self.work(model.cost("flush_base"))
        csds, mask = [], []
        for target in model.cpus:
            if target is not cpu:
                yield from self.work(ns["enqueue"][target.number])
                csd = SimpleNamespace(
                    call=call, target=target, enqueue=model.now, sent=not target.queue, release=None
                )
                if csd.sent:
                    mask.append(csd)
                target.queue.append(csd)
                csds.append(csd)
        saved, writes = len(csds) - len(mask), ()
        row["send_end_ns"] = model.now
        if len(mask) == 1 and self.polls(mask[0].target):
            csd = mask.pop()
            csd.sent = False
            ipi(-1, model.now + model.cost("cache_line"), csd.target, model.cost("poll_wake"), True)
        elif mask:
            cpu.irqs_off = True
            writes = machine.icr_writes(me, [csd.target.number for csd in mask])
            for destinations in writes:
                yield from self.work(model.cost("send"))
                for n in destinations:
                    yield from self.work(ns["inject"][n])
                    arrive = model.now + ns["deliver"][n]
                    ipi(model.now, arrive, model.cpus[n], ns["handler_entry"][n], False)
            row["send_end_ns"] = model.now
            yield from self.irqs_on()
        cpu.irqs_off = True
        yield from self.work(run_ns)
        yield from self.irqs_on()
        for csd in csds:
            yield from self.wait(
                lambda csd=csd: csd.release is not None and csd.release <= model.now
            )
            yield from self.work(ns["ack"][csd.target.number])
            model.ipis[number, csd.target.number] = (
                csd.enqueue,
                csd.ipi.send if csd.sent else -1,
                csd.ipi.arrive,
                csd.start,
                csd.release,
                model.now,
                csd.state,
                csd.sent,
            )
        slowest = max(csds, key=lambda csd: (csd.release, -csd.target.number), default=None)
        row |= {
            "last_ack_ns": max(slowest.release if slowest else 0, row["send_end_ns"]),
            "end_ns": model.now,
            "targets": len(csds),
            "ipis": len(mask),
            "ipis_saved": saved,
            "icr_writes": len(writes),
            "slowest_cpu": slowest.target.number if slowest else -1,
        }
        yield from self.work(refill_ns)
        self.note("flush")

    def polls(self, target):
        if target.handler is not None or target.waiting is not None:
            return False
        state = self.model.idle_state(target)
        return state is not None and state.polling
