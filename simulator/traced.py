# SPDX-License-Identifier: MIT
"""
The events of a finished run
----------------------------

:func:`trace_events` runs a scenario once more, with a function tracer attached and the
interrupts that are asked for, and passes on what happens in the order of time; of the
trace of a real machine, what its frames tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.engine.keys import MAX_NS
from simulator.errors import InputError
from simulator.kernel.tracer import Tracer
from simulator.run import replay
from simulator.scenario import Scenario
from simulator.trace.exchange.broadcasts import (
    Broadcast,
    Broadcasts,
    Interrupt,
    task_track,
)
from simulator.trace.exchange.events import Event, InOrder, Take, Track, What, Within
from simulator.trace.exchange.ftrace import Ftrace
from simulator.trace.exchange.spells import SpellEvents
from simulator.trace.exchange.tracepoints import CALLBACKS
from simulator.trace.frames import Category
from simulator.trace.ipis import IpiLog
from simulator.trace.result import Result
from simulator.trace.words import STATES

if TYPE_CHECKING:
    from simulator.engine.calls import Call
    from simulator.kernel import Kernel
    from simulator.trace.tables import Int64s

__all__ = ("Window", "nr_cpus_of", "trace_events")

#: From when to when, in nanoseconds of simulated time.
Window = tuple[int, int]


def trace_events(
    result: Result | Ftrace,
    take: Take,
    *,
    longest: int | None = None,
    window: Window | None = None,
    wanted: Callable[[str], bool] = lambda _: True,
) -> None:
    """
    Pass on the events of a result in the order of time.

    :param longest: show the interrupts of so many of the longest broadcasts, and of those
        that were under way meanwhile; of all if None.
    :param window: only what happens in it, slices cut at its sides.
    :param wanted: whether to show a function of the kernel, by its name.

    Raises InputError where a result cannot be simulated again.
    """
    start_ns, end_ns = (0, MAX_NS) if window is None else window
    if not 0 <= start_ns < end_ns:
        raise InputError(f"window: {start_ns} to {end_ns} ns is no time")
    within = Within(take, start_ns, end_ns)
    out = InOrder(within.take)
    flushes = _Flushes(result)
    chosen = flushes.chosen(longest, start_ns, end_ns)
    if isinstance(result, Ftrace):
        _from_frames(result, out, flushes, chosen)
    else:
        _from_replay(result, out, flushes, chosen, start_ns, end_ns, wanted)
    out.release(MAX_NS + 1)
    within.finish()


def nr_cpus_of(result: Result | Ftrace) -> int:
    """Return how many CPUs a result has."""
    if isinstance(result, Ftrace):
        return result.nr_cpus
    return 1 + int(np.asarray(result.columns("cpus")["cpu"]).max())


class _EnoughError(Exception):
    # The window has passed.
    pass


class _Flushes:
    # The flushes of a result, by their numbers.

    def __init__(self, result: Result | Ftrace) -> None:
        if isinstance(result, Ftrace):
            frame = result.flushes
            self._columns: dict[str, Any] = {str(name): frame[name].to_numpy() for name in frame}
        else:
            self._columns = {
                name: result.columns("flushes")[name] for name in result.columns("flushes")
            }
        self.start_ns = np.asarray(self._columns["start_ns"])
        self.end_ns = np.asarray(self._columns["end_ns"])
        cpus: Counter[int] = Counter()
        self._nth = []
        for cpu in np.asarray(self._columns["cpu"]).tolist():
            self._nth.append(cpus[cpu])
            cpus[cpu] += 1

    def __len__(self) -> int:
        return len(self.start_ns)

    def chosen(self, longest: int | None, start_ns: int, end_ns: int) -> Collection[int]:
        there = (self.start_ns >= 0) & (self.end_ns >= self.start_ns)
        there &= (self.start_ns <= end_ns) & (self.end_ns >= start_ns)
        numbers = np.flatnonzero(there)
        if longest is not None and len(numbers) > longest:
            took = (self.end_ns - self.start_ns)[numbers]
            most = numbers[np.argsort(-took, kind="stable")[:longest]]
            overlap = np.zeros(len(self), dtype=np.bool_)
            for number in most.tolist():
                first, last = self.start_ns[number], self.end_ns[number]
                overlap |= there & (self.start_ns < last) & (self.end_ns > first)
            numbers = np.flatnonzero(overlap)
        return frozenset(numbers.tolist())

    def broadcast(
        self, flush: int, function: str, caller: str, run_ns: int, alone: bool,
        interrupts: tuple[Interrupt, ...],
    ) -> Broadcast:  # fmt: skip
        numbers = {
            name: int(self._columns[name][flush])
            for name in (
                "task",
                "cpu",
                "pages",
                "targets",
                "start_ns",
                "send_end_ns",
                "last_ack_ns",
                "end_ns",
            )
        }
        return Broadcast(
            flush=flush, phase=self.word("phase", flush), reason=self.word("reason", flush),
            function=function, caller=caller, run_ns=run_ns, alone=alone, nth=self._nth[flush],
            interrupts=interrupts, **numbers,
        )  # fmt: skip

    def word(self, name: str, flush: int) -> str:
        column = self._columns[name]
        if isinstance(column, Category):
            return column.names[int(column.codes[flush])]
        return str(column[flush])


class _Taken(IpiLog):
    # The rows of the broadcasts that have just ended, by broadcast.

    def __init__(self, flushes: Collection[int]) -> None:
        super().__init__(flushes)
        self._rows_of: dict[int, Int64s] = {}

    def add(self, rows: Int64s) -> None:
        if len(rows):
            self._rows_of[int(rows[0, 0])] = rows

    def take(self, flush: int) -> tuple[Interrupt, ...]:
        rows = self._rows_of.pop(flush, None)
        return () if rows is None else tuple(_interrupts(rows.tolist()))


def _interrupts(rows: list[list[int]]) -> Iterator[Interrupt]:
    for _, cpu, enqueue, send, arrive, start, end, ack, state, sent in rows:
        yield Interrupt(cpu, enqueue, send, arrive, start, end, ack, STATES[state], bool(sent))


def _from_replay(
    result: Result,
    out: InOrder,
    flushes: _Flushes,
    chosen: Collection[int],
    start_ns: int,
    end_ns: int,
    wanted: Callable[[str], bool],
) -> None:
    log = _Taken(chosen)
    feeds: list[SpellEvents] = []

    def attach(kernel: Kernel) -> None:
        machine = kernel.platform
        poll_wake_ns = max(1, machine.costs["poll_wake"].ns())
        broadcasts = Broadcasts(out, machine.nr_cpus, machine, poll_wake_ns)

        def ended(flush: int, call: Call, alone: bool) -> None:
            if flush >= len(flushes):
                raise InputError("result: it cannot be simulated again from its scenario alone")
            if flushes.start_ns[flush] > end_ns:
                raise _EnoughError
            caller = _caller(call.function, call.pages)
            found = flushes.broadcast(
                flush, call.function, caller, call.run_ns, alone, log.take(flush)
            )
            broadcasts.add(found)

        Tracer(out, wanted, ended, broadcasts.settle).attach(kernel)
        finishing.append(partial(broadcasts.settle, MAX_NS))
        busy = _busy(result)
        shown = start_ns, min(end_ns, last_ns)
        spells_of: tuple[tuple[What, str], ...] = (
            ("idle", "idle"), ("irqs_off", "irqs off"), ("preempted", "preempted"),
        )  # fmt: skip
        for what, part in spells_of:
            table = getattr(machine.spells, what)
            if table is not None:
                spells = SpellEvents(out, table, part, what, shown, busy)
                feeds.append(spells)
                out.feed(spells.feed)

    finishing: list[Callable[[], object]] = []
    _put_throughput(result, out)
    _put_violations(result, out)
    last_ns = int(np.sum(np.asarray(result.columns("summary")["elapsed_ns"])))
    with suppress(_EnoughError):
        replay(_known(result), log, attach)
    for finish in finishing:
        finish()
    for spells in feeds:
        spells.finish()


def _known(result: Result) -> Scenario:
    scenario: Scenario = result.scenario
    if scenario.key != result.provenance["key"]:
        raise InputError(
            f"result: kernel {scenario.kernel_class.name} is not, or no longer, the code that made"
            " it; run the scenario again"
        )
    return scenario


def _caller(function: str, pages: int) -> str:
    # A range above the ceiling is flushed as everything, by the same function.
    if function == "do_flush_tlb_all" and pages:
        return "flush_tlb_kernel_range"
    return CALLBACKS.get(function, function)


def _busy(result: Result) -> Container[int]:
    rows = result.rows("cpus")
    return {row["cpu"] for row in rows if row["role"] == "initiator"}


def _put_throughput(result: Result, out: InOrder) -> None:
    track = Track("counter", "huge pages/s")
    for row in result.rows("throughput"):
        value = {"value": float(row["pages_per_s"])}
        out.put(Event(row["start_ns"], "counter", "counter", track, track.name, args=value))


def _put_violations(result: Result, out: InOrder) -> None:
    for row in result.rows("violations"):
        told = {name: row[name] for name in ("what", "store", "missing", "function", "line")}
        track = task_track(row["task"])
        name = row["invariant"]
        out.put(Event(row["ns"], "instant", "violation", track, name, row["cpu"], row["task"],
                      told))  # fmt: skip


def _from_frames(result: Ftrace, out: InOrder, flushes: _Flushes, chosen: Collection[int]) -> None:
    frame = result.ipis(chosen)
    rows: dict[int, list[Interrupt]] = {}
    for row in frame.to_dict("records"):
        if row["start_ns"] >= 0 and row["end_ns"] >= row["start_ns"]:
            rows.setdefault(int(row["flush"]), []).append(
                Interrupt(
                    int(row["cpu"]), int(row["enqueue_ns"]), int(row["send_ns"]), -1,
                    int(row["start_ns"]), int(row["end_ns"]), -1, str(row["state"]),
                    bool(row["sent"]), int(row["function_ns"]), int(row["exit_ns"]),
                )
            )  # fmt: skip
    broadcasts = Broadcasts(out, result.nr_cpus, None, 0)
    functions = result.flushes["function"].tolist()
    for flush in np.argsort(flushes.start_ns, kind="stable").tolist():
        if 0 <= flushes.start_ns[flush] <= flushes.end_ns[flush]:
            caller = functions[flush]
            called = next(name for name, by in CALLBACKS.items() if by == caller)
            found = flushes.broadcast(flush, called, caller, -1, False, tuple(rows.get(flush, ())))
            broadcasts.add(found)
    broadcasts.settle(MAX_NS)
