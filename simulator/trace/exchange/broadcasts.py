# SPDX-License-Identifier: MIT
"""
Events of broadcasts and of the handlers they cause
---------------------------------------------------

:class:`Broadcasts` takes broadcasts as they end, each with its row of the ``flushes``
frame and, where they are known, its rows of ``ipis()``; it puts the parts of the
broadcast, its csds and the handlers that ran them.

A handler may find csds of several broadcasts.  It is complete when none that is under
way, or still to come, can have queued a csd before it took its list.

Where handlers of other broadcasts interrupt the initiator, its local part is not told
apart from the wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from simulator.trace.exchange.events import Event, InOrder, Track, Value
from simulator.trace.words import VECTORS

__all__ = ("Broadcast", "Broadcasts", "Interrupt", "cpu_track", "task_track")


def cpu_track(cpu: int, part: str = "") -> Track:
    """Return the track of a CPU, or of a part of it."""
    return Track("CPU", f"CPU {cpu}", part)


def task_track(task: int) -> Track:
    """Return the track of a task."""
    return Track("task", f"task {task}")


class Interrupt(NamedTuple):
    """
    What a csd met, as in the frame ``ipis``.

    ``function_ns`` and ``exit_ns`` are told by traces of real machines only.
    """

    cpu: int
    enqueue_ns: int
    send_ns: int
    arrive_ns: int
    start_ns: int
    end_ns: int
    ack_ns: int
    state: str
    sent: bool
    function_ns: int = -1
    exit_ns: int = -1


@dataclass(frozen=True)
class Broadcast:
    """
    A broadcast that has ended, as in the frame ``flushes``.

    ``function`` is what the CPUs run, ``caller`` what broadcast it, ``run_ns`` how long
    it runs on each (-1: not known), ``alone`` whether no other was under way.
    """

    flush: int
    phase: str
    task: int
    cpu: int
    reason: str
    function: str
    caller: str
    pages: int
    targets: int
    start_ns: int
    send_end_ns: int
    last_ack_ns: int
    end_ns: int
    run_ns: int
    alone: bool
    nth: int  # of its initiator
    interrupts: tuple[Interrupt, ...] = ()


class Draws(Protocol):
    """What the costs of an interrupt are, by CPU, in a broadcast of a CPU."""

    def ipi_draws(self, name: str, initiator: int, flush: int) -> Any: ...


@dataclass
class _Handler:
    cpu: int
    start_ns: int
    arrive_ns: int
    state: str
    csds: list[tuple[Interrupt, Broadcast]] = field(default_factory=list)
    entry_ns: int = 0
    exit_ns: int = 0

    def last_ns(self) -> int:
        return max(csd.end_ns for csd, _ in self.csds)


class Broadcasts:
    """
    Puts the events of broadcasts.

    :param machine: tells what entry and exit of a handler cost; None where a trace of a
        real machine is shown.
    :param poll_wake_ns: what stands for the entry where a polling CPU needs no interrupt.
    """

    def __init__(
        self, out: InOrder, nr_cpus: int, machine: Draws | None, poll_wake_ns: int
    ) -> None:
        self._out = out
        self._nr_cpus = nr_cpus
        self._machine = machine
        self._poll_wake_ns = poll_wake_ns
        self._handlers: dict[tuple[int, int], _Handler] = {}
        self._csds: list[tuple[int, int]] = []  # when one more or less is outstanding
        self._outstanding = 0

    def add(self, found: Broadcast) -> None:
        """Put the events of a broadcast in its task; its handlers follow when they are complete."""
        self._parts(found)
        for csd in found.interrupts:
            self._csds += ((csd.enqueue_ns, 1), (csd.end_ns, -1))
            handler = self._handlers.get((csd.cpu, csd.start_ns))
            if handler is None:
                handler = _Handler(csd.cpu, csd.start_ns, csd.arrive_ns, csd.state)
                self._handlers[csd.cpu, csd.start_ns] = handler
            handler.csds.append((csd, found))
            if csd.sent or (found.function and csd.send_ns < 0 and len(handler.csds) == 1):
                self._costs(handler, csd, found)

    def settle(self, open_ns: int) -> int:
        """
        Put the handlers that no broadcast that starts at ``open_ns`` or later can change.

        Returns the time before which nothing more will be put.
        """
        done = [h for h in self._handlers.values() if h.last_ns() < open_ns]
        for handler in sorted(done, key=lambda h: (h.start_ns, h.cpu)):
            del self._handlers[handler.cpu, handler.start_ns]
            self._put(handler)
        left = min((min(h.arrive_ns, h.start_ns) for h in self._handlers.values()), default=open_ns)
        self._count(min(left, open_ns))
        return min(left, open_ns)

    # --- in the task -------------------------------------------------------------------

    def _parts(self, found: Broadcast) -> None:
        track = task_track(found.task)
        sent = [csd.enqueue_ns for csd in found.interrupts]
        begun_ns = max(sent) if sent else -1
        self._slice(track, "enqueue" if sent else "enqueue and send", found, found.start_ns,
                    begun_ns if sent else found.send_end_ns,
                    [("csd_queue", csd.enqueue_ns, csd) for csd in found.interrupts])  # fmt: skip
        if sent:
            self._send(track, found, begun_ns)
        local_end_ns = found.send_end_ns + found.run_ns
        if found.alone and found.run_ns >= 0 and local_end_ns <= found.end_ns:
            self._slice(track, found.function, found, found.send_end_ns, local_end_ns, what="call")
            self._slice(cpu_track(found.cpu, "irqs off"), "irqs off", found, found.send_end_ns,
                        local_end_ns, what="irqs_off")  # fmt: skip
            name, wait_ns = "wait", local_end_ns
        else:
            name, wait_ns = "run and wait", found.send_end_ns
        acks = sorted(found.interrupts, key=lambda csd: (csd.ack_ns, csd.cpu))
        told = [("csd_ack", csd.ack_ns, csd) for csd in acks if csd.ack_ns >= 0]
        self._slice(track, name, found, wait_ns, found.end_ns, told)

    def _send(self, track: Track, found: Broadcast, begun_ns: int) -> None:
        targets = [csd.cpu for csd in found.interrupts if csd.sent]
        if not targets:
            return
        self._slice(track, "send", found, begun_ns, found.send_end_ns)
        args: dict[str, Value] = {"vector": VECTORS[min(len(targets), 2)], "ipis": len(targets),
                "cpus": " ".join(map(str, targets))}  # fmt: skip
        self._out.put(Event(begun_ns, "instant", "ipi_send", track, "ipi_send", found.cpu,
                            found.task, args))  # fmt: skip
        self._slice(cpu_track(found.cpu, "irqs off"), "irqs off", found, begun_ns,
                    found.send_end_ns, what="irqs_off")  # fmt: skip

    def _slice(
        self, track: Track, name: str, found: Broadcast, start_ns: int, end_ns: int,
        csds: Iterable[tuple[Any, int, Interrupt]] = (), what: Any = "broadcast",
    ) -> None:  # fmt: skip
        put, cpu, task = self._out.put, found.cpu, found.task
        args = _about(found) if what == "broadcast" else {}
        put(Event(start_ns, "begin", what, track, name, cpu, task, args))
        for kind, ns, csd in csds:
            told: dict[str, Value] = {"cpu": csd.cpu, "func": found.function, "flush": found.flush}
            put(Event(ns, "instant", kind, track, kind, cpu, task, told, self._flow(found, csd),
                      kind == "csd_ack"))  # fmt: skip
        put(Event(end_ns, "end", what, track, name, cpu, task, args))

    def _flow(self, found: Broadcast, csd: Interrupt) -> int:
        return 1 + found.flush * self._nr_cpus + csd.cpu

    # --- on the targets ---------------------------------------------------------------

    def _costs(self, handler: _Handler, csd: Interrupt, found: Broadcast) -> None:
        # Of the interrupt that brought it, as the engine drew them.
        if self._machine is None:
            return
        draws = self._machine.ipi_draws
        exits = draws("handler_exit", found.cpu, found.nth)
        entries = draws("handler_entry", found.cpu, found.nth)
        handler.entry_ns = max(1, int(entries[csd.cpu])) if csd.sent else self._poll_wake_ns
        handler.exit_ns = int(exits[csd.cpu])

    def _put(self, handler: _Handler) -> None:
        put, cpu = self._out.put, handler.cpu
        track = cpu_track(cpu)
        csds = sorted(handler.csds, key=lambda csd: (csd[0].end_ns, csd[0].enqueue_ns))
        vector = "call_function_single" if len(csds) == 1 else "call_function"
        sent = [found for csd, found in csds if csd.sent]
        if sent:
            nr_ipis = sum(csd.sent for csd in sent[0].interrupts)
            vector = VECTORS[min(nr_ipis, 2)]
        args: dict[str, Value] = {
            "found": handler.state,
            "csds": len(csds),
            "by": "IPI" if sent else "polling",
        }
        if handler.start_ns > handler.arrive_ns >= 0:
            late: dict[str, Value] = {
                "found": handler.state,
                "late_ns": handler.start_ns - handler.arrive_ns,
            }
            part = cpu_track(cpu, "woken")
            put(Event(handler.arrive_ns, "begin", "wake", part, f"was {handler.state}", cpu, -1,
                      late))  # fmt: skip
            put(Event(handler.start_ns, "end", "wake", part, f"was {handler.state}", cpu))
        put(Event(handler.start_ns, "begin", "handler", track, vector, cpu, -1, args))
        run_ns = handler.start_ns + handler.entry_ns
        for csd, found in csds:
            told: dict[str, Value] = {
                "flush": found.flush,
                "from": found.cpu,
                "reason": found.reason,
            }
            run_ns = max(run_ns, csd.function_ns)
            put(Event(min(run_ns, csd.end_ns), "begin", "call", track, found.function, cpu, -1,
                      told, self._flow(found, csd)))  # fmt: skip
            put(Event(csd.end_ns, "end", "call", track, found.function, cpu))
            run_ns = csd.end_ns
        end_ns = max([run_ns + handler.exit_ns, *(csd.exit_ns for csd, _ in csds)])
        put(Event(end_ns, "end", "handler", track, vector, cpu, -1))

    def _count(self, before_ns: int) -> None:
        track = Track("counter", "outstanding csds")
        self._csds.sort()
        done = 0
        while done < len(self._csds) and self._csds[done][0] < before_ns:
            ns = self._csds[done][0]
            while done < len(self._csds) and self._csds[done][0] == ns:
                self._outstanding += self._csds[done][1]
                done += 1
            value = {"value": self._outstanding}
            self._out.put(Event(ns, "counter", "counter", track, track.name, args=value))
        del self._csds[:done]


def _about(found: Broadcast) -> Mapping[str, Value]:
    return {
        "flush": found.flush,
        "reason": found.reason,
        "function": found.function,
        "caller": found.caller,
        "pages": found.pages,
        "targets": found.targets,
    }
