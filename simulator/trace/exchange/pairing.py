# SPDX-License-Identifier: MIT
"""
From events to flushes and their targets
----------------------------------------

:class:`Pairing` takes the events of a trace one after another and finds out which
belong together: a call of a flush function with the csds that it queued, these
with the handlers that ran them, and those with the end of the call.

Where csd events were not recorded (they came with Linux 6.4), the flush callback
itself says on which CPU it ran, if it had a probe or the function tracer on it.

Modelled: flushes that overlap, from several CPUs; handlers that find csds of several
flushes; a call whose begin or end was not recorded (it begins with its first csd,
and ends when the last one was released); what was lost, see ``complete``.

Not modelled: without csd events, two flushes that overlap are not told apart by
the CPUs they reach.

Sources: kernel/smp.c, smp_call_function_many_cond() and
__flush_smp_call_function_queue().
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from simulator.trace.exchange.lines import (
    FUNCTION,
    GRAPH_ENTRY,
    GRAPH_EXIT,
    GRAPH_LEAF,
    STACK,
    Event,
)
from simulator.trace.exchange.tracepoints import (
    CALLBACKS,
    FLUSHES,
    PROBES,
    TRACEPOINTS,
    is_null,
    mask_cpus,
    symbol,
)

__all__ = ("FLUSH_COLUMNS", "TARGET_COLUMNS", "Pairing", "Phase")

#: ``begun`` is in the order of the file; ``everything``: by the function that ran, whatever was
#: asked for.  Times are as in the trace, durations (of function_graph) in nanoseconds; -1 is
#: what it does not tell.
FLUSH_COLUMNS: Final = (
    "phase", "task", "cpu", "function", "pages", "start", "send_end", "last_ack", "end",
    "elapsed", "duration", "targets", "ipis", "slowest_cpu", "returned", "complete", "begun",
    "everything",
)  # fmt: skip
TARGET_COLUMNS: Final = (
    "flush", "cpu", "enqueue", "send", "entry", "start", "end", "exit", "sent", "idle",
)  # fmt: skip

_TRACED: Final = frozenset((FUNCTION, GRAPH_ENTRY, GRAPH_LEAF, GRAPH_EXIT))
_FLUSHES_ALL = "do_flush_tlb_all"
_JIFFY_NS = 10_000_000  # of USER_HZ, which trace_clock uptime counts in
_PAGE_SHIFT = 12
_FUNCTIONS: Final = tuple(FLUSHES)
# A probe further into a function than this is not its entry: endbr64 and the call of ftrace.
_ENTRY_BYTES = 9
_STORES: Final = ("nr_hugepages_store", "demote_store")
_PHASES: Final = {
    "hugetlb_vmemmap_optimize_folios": "alloc",
    "hugetlb_vmemmap_optimize_folio": "alloc",
    "__hugetlb_vmemmap_optimize_folio": "alloc",
    "hugetlb_vmemmap_optimize": "alloc",
    "hugetlb_vmemmap_restore_folios": "free",
    "hugetlb_vmemmap_restore_folio": "free",
    "__hugetlb_vmemmap_restore_folio": "free",
    "hugetlb_vmemmap_restore": "free",
}

_PROBE_ENTRY = re.compile(
    r"\(([A-Za-z_][\w.]*)\+0x([0-9a-f]+)|__probe_ip=([A-Za-z_][\w.]*)\+0x([0-9a-f]+)"
)
_PROBE_RETURN = re.compile(r"\(\S+ <- ([A-Za-z_][\w.]*)|__probe_func=([A-Za-z_][\w.]*)")
_PROBE_ADDRESS = re.compile(
    r"\((0x)?[0-9a-f]{8,16}( <- (0x)?[0-9a-f]{8,16})?\)|__probe_\w+=(0x)?[0-9a-f]{8}"
)
_RANGE = re.compile(r"start=(0x[0-9a-f]+|\d+).*? end=(0x[0-9a-f]+|\d+)")

Handler = Callable[[int, int, int, str], None]  # CPU, task, time, text


@dataclass
class Phase:
    """Part of a trace: a write to nr_hugepages, or what is outside; functions counted."""

    start: int = -1
    end: int = -1
    kind: str = ""
    calls: Counter[str] = field(default_factory=Counter)


class _Target:
    __slots__ = ("cpu", "done", "end", "enqueue", "entry", "exit", "flush", "idle", "send", "sent",
                 "start", "turn")  # fmt: skip

    def __init__(self, flush: _Flush, cpu: int, enqueue: int) -> None:
        self.flush = flush
        self.cpu = cpu
        self.enqueue = enqueue
        self.send = self.entry = self.start = self.end = self.exit = self.sent = self.idle = -1
        self.done = False
        self.turn = 0  # among those of its flush that were released

    def run(self, entry: int, start: int, pid: int) -> None:
        self.entry = entry
        self.start = start
        self.idle = -1 if pid < 0 else int(pid == 0)

    def release(self, time: int) -> None:
        self.end = time
        self.done = True
        self.flush.released += 1
        self.turn = self.flush.released


class _Flush:
    __slots__ = (
        "begun", "calling", "complete", "cpu", "end", "everything", "function", "local",
        "local_done", "ns", "pages", "phase", "released", "returned", "send_end", "start",
        "targets", "task",
    )  # fmt: skip

    def __init__(
        self, function: str, phase: int, task: int, cpu: int, start: int, begun: int
    ) -> None:
        self.function = function
        self.begun = begun
        self.everything = False
        self.phase = phase
        self.task = task
        self.cpu = cpu
        self.start = start
        self.pages = -1
        self.send_end = self.end = self.ns = self.local_done = -1
        self.targets: list[_Target] = []
        self.returned = False
        self.complete = True
        self.calling = True  # no IPI was sent yet
        self.released = 0  # csds
        self.local = False  # the initiator's own part has begun


class Pairing:
    """
    Flushes and targets out of events, see :meth:`take` and :meth:`finish`.

    ``events`` are counts by name, those of function tracers by ``fn_NAME``;
    ``unknown`` has the first line of every event that means nothing here;
    ``queued`` and ``executed`` count csds by function; ``reasons`` are those of
    tlb_flush; ``unmatched`` csds ran and were not seen being queued, or the call
    of a flush ended that was not seen beginning; ``flushes`` and ``targets`` have
    the columns of FLUSH_COLUMNS and TARGET_COLUMNS.
    """

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.unknown: dict[str, int] = {}
        self.queued: Counter[str] = Counter()
        self.executed: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()  # as printed
        self.unmatched = 0
        self.first = self.last = -1
        self.coarse = True  # all times are whole jiffies
        self.cpus: set[int] = set()
        self.phases = [Phase()]
        self.flushes = {name: array("q") for name in FLUSH_COLUMNS}
        self.targets = {name: array("q") for name in TARGET_COLUMNS}
        self._nr_flushes = self._begun = 0
        self._phase = 0
        self._open: dict[int, _Flush] = {}  # by task, or by ~CPU where it is not known
        self._pending: dict[object, _Target] = {}  # csds queued and not seen running
        self._active: dict[object, _Target | _Flush] = {}  # csds that run
        self._probed: dict[int, _Target | _Flush] = {}  # by CPU: callbacks that run, by probes
        self._entered: dict[int, int] = {}  # by CPU: when its handler was entered
        self._handled: dict[int, list[_Target]] = {}  # by CPU, by the handler that runs
        self._graph: dict[int, list[str]] = {}  # by CPU: functions entered
        self._lost_after = -1
        self._handlers: dict[str, Handler | None] = {
            "csd_queue_cpu": self._csd_queue_cpu,
            "csd_function_entry": self._csd_function_entry,
            "csd_function_exit": self._csd_function_exit,
            "ipi_send_cpu": self._ipi_send_cpu,
            "ipi_send_cpumask": self._ipi_send_cpumask,
            "call_function_entry": self._handler_entry,
            "call_function_single_entry": self._handler_entry,
            "call_function_exit": self._handler_exit,
            "call_function_single_exit": self._handler_exit,
            "tlb_flush": self._tlb_flush,
            STACK: None,
        }

    def take(self, event: Event) -> None:
        """Take the next event of the trace."""
        number, cpu, pid, time, name, text = event
        if name in _TRACED:
            self._traced(cpu, pid, time, name, text)
        else:
            self.events[name] += 1
            try:
                handler = self._handlers[name]
            except KeyError:
                handler = self._handlers[name] = self._classify(name, text, number)
            if handler is not None:
                handler(cpu, pid, time, text)
        if time >= 0:
            self.last = time
            if self.first < 0:
                self.first = time
            if self.coarse:
                self.coarse = not time % _JIFFY_NS
        if cpu >= 0:
            self.cpus.add(cpu)

    @property
    def reasons(self) -> Counter[str]:
        """Events tlb_flush by reason; kernels differ in capital letters."""
        found: Counter[str] = Counter()
        for text, count in self._reasons.items():
            _, given, reason = text.partition("reason:")
            if given:
                found[reason.partition(" (")[0].lower()] += count
        return found

    def lose(self) -> None:
        """Events were lost here: what is under way is not complete."""
        for flush in self._open.values():
            flush.complete = False
        for target in self._pending.values():
            target.flush.complete = False

    def finish(self) -> None:
        """No event follows."""
        for flush in list(self._open.values()):
            self._close(flush)
        self._open.clear()
        for phase in self.phases[1:]:
            if phase.end < 0:
                phase.end = self.last

    # --- what an event is ---------------------------------------------------------------------

    def _classify(self, name: str, text: str, number: int) -> Handler | None:
        if _PROBE_ADDRESS.match(text):
            function, returns = PROBES.get(name, (name.removesuffix("__return"), "<-" in text))
            return self._returning(function) if returns else self._entering(function)
        match = _PROBE_RETURN.match(text)
        if match is not None:
            return self._returning(match[1] or match[2])
        match = _PROBE_ENTRY.match(text)
        if match is not None:
            offset = int(match[2] or match[4], 16)
            return self._entering(match[1] or match[3]) if offset <= _ENTRY_BYTES else None
        self.unknown[name] = number
        return None

    def _entering(self, function: str) -> Handler:
        def entered(cpu: int, pid: int, time: int, text: str) -> None:
            self._enter(function, cpu, pid, time, text)

        return entered

    def _returning(self, function: str) -> Handler:
        def returned(cpu: int, pid: int, time: int, _text: str) -> None:
            self._return(function, cpu, pid, time, -1)

        return returned

    def _traced(self, cpu: int, pid: int, time: int, name: str, text: str) -> None:
        function, _, rest = text.partition(" ")
        if name == FUNCTION:
            self.events[f"fn_{function}"] += 1
            self._enter(function, cpu, pid, time, rest)
            return
        stack = self._graph.setdefault(cpu, [])
        if name == GRAPH_EXIT:
            self._return(stack.pop() if stack else function, cpu, pid, time, int(rest))
            return
        self.events[f"fn_{function}"] += 1
        self._enter(function, cpu, pid, time, rest)
        if name == GRAPH_ENTRY:
            stack.append(function)
        else:
            ns = int(rest)
            self._return(function, cpu, pid, time + ns if time >= 0 <= ns else -1, ns)

    # --- calls ----------------------------------------------------------------------------------

    def _enter(self, function: str, cpu: int, pid: int, time: int, text: str) -> None:
        if function in FLUSHES:
            self._begin(function, cpu, pid, time).pages = _pages(function, text)
        elif function in CALLBACKS:
            self._executed(function, cpu, pid, time)
        elif function in _STORES:
            self.phases.append(Phase(time))
            self._phase = len(self.phases) - 1
        elif function in _PHASES:
            phase = self.phases[self._phase]
            phase.kind = phase.kind or _PHASES[function]
        self.phases[self._phase].calls[function] += 1

    def _return(self, function: str, cpu: int, pid: int, time: int, ns: int) -> None:
        if function in FLUSHES:
            flush = self._open.pop(_key(cpu, pid), None)
            if flush is None or flush.function != function:
                self.unmatched += 1
                return
            flush.returned = True
            flush.end = time
            flush.ns = ns
            self._close(flush)
        elif function in CALLBACKS:
            running = self._probed.pop(cpu, None)
            if isinstance(running, _Target):
                running.release(time)
            elif running is not None:
                running.local_done = time
        elif function in _STORES and self._phase:
            self.phases[self._phase].end = time
            self._phase = 0

    def _begin(self, function: str, cpu: int, pid: int, time: int) -> _Flush:
        key = _key(cpu, pid)
        before = self._open.get(key)
        if before is not None:
            self._close(before)
        flush = self._open[key] = _Flush(function, self._phase, pid, cpu, time, self._begun)
        self._begun += 1
        return flush

    # A callback that had a probe on it. Where csd events were recorded they say it all.
    def _executed(self, function: str, cpu: int, pid: int, time: int) -> None:
        if cpu < 0 or self.executed:
            return
        for flush in self._open.values():
            if function not in FLUSHES[flush.function].callbacks:
                continue
            if cpu == flush.cpu:
                flush.local_done = time
                self._probed[cpu] = flush
                return
            if all(target.cpu != cpu for target in flush.targets):
                target = _Target(flush, cpu, -1)
                target.run(self._entered.get(cpu, time), time, pid)
                target.release(time)
                flush.targets.append(target)
                self._probed[cpu] = target
                self._handled.setdefault(cpu, []).append(target)
                return
        self.unmatched += 1

    # --- csds -----------------------------------------------------------------------------------

    def _csd_queue_cpu(self, cpu: int, pid: int, time: int, text: str) -> None:
        fields = TRACEPOINTS["csd_queue_cpu"].read(text)
        if fields is None:
            return
        to, callsite, func, csd = fields
        function = symbol(func)
        self.queued[function] += 1
        if function not in CALLBACKS:
            return
        flush = self._open.get(_key(cpu, pid))
        target_cpu = int(to, 0)
        if flush is None or not self._goes_on(flush, function, target_cpu):
            caller = symbol(callsite)
            known = caller in FLUSHES and function in FLUSHES[caller].callbacks
            flush = self._begin(caller if known else CALLBACKS[function], cpu, pid, time)
        flush.everything |= function == _FLUSHES_ALL
        target = _Target(flush, target_cpu, time)
        flush.targets.append(target)
        self._pending[_csd_key(csd, function, target_cpu)] = target

    # Whether a csd is one more of a flush: smp_call_function_many_cond() goes through its CPUs in
    # ascending order, once, and then sends.
    @staticmethod
    def _goes_on(flush: _Flush, function: str, cpu: int) -> bool:
        return (
            flush.calling
            and not flush.local
            and function in FLUSHES[flush.function].callbacks
            and (not flush.targets or flush.targets[-1].cpu < cpu)
            and not (flush.targets and all(target.done for target in flush.targets))
        )

    def _csd_function_entry(self, cpu: int, pid: int, time: int, text: str) -> None:
        fields = TRACEPOINTS["csd_function_entry"].read(text)
        if fields is None:
            return
        function = symbol(fields[0])
        self.executed[function] += 1
        if function not in CALLBACKS:
            return
        key = _csd_key(fields[1], function, cpu)
        if is_null(fields[1]):
            # The initiator's own part: it has queued all that it will.
            flush = self._open.get(_key(cpu, pid))
            if flush is not None and function in FLUSHES[flush.function].callbacks:
                flush.local = True
                self._active[key] = flush
            return
        target = self._pending.pop(key, None)
        if target is None:
            self.unmatched += 1
            return
        target.run(self._entered.get(cpu, time), time, pid)
        self._active[key] = target
        self._handled.setdefault(cpu, []).append(target)

    def _csd_function_exit(self, cpu: int, _pid: int, time: int, text: str) -> None:
        fields = TRACEPOINTS["csd_function_exit"].read(text)
        if fields is None:
            return
        running = self._active.pop(_csd_key(fields[1], symbol(fields[0]), cpu), None)
        if isinstance(running, _Target):
            running.release(time)
        elif running is not None:
            running.local_done = time

    # --- IPIs -----------------------------------------------------------------------------------

    def _ipi_send_cpu(self, cpu: int, pid: int, time: int, text: str) -> None:
        flush = self._open.get(_key(cpu, pid))
        if flush is None or not flush.calling:
            return
        fields = TRACEPOINTS["ipi_send_cpu"].read(text)
        if fields is not None:
            self._sent(flush, frozenset((int(fields[0], 0),)), time)

    def _ipi_send_cpumask(self, cpu: int, pid: int, time: int, text: str) -> None:
        flush = self._open.get(_key(cpu, pid))
        if flush is None or not flush.calling:
            return
        fields = TRACEPOINTS["ipi_send_cpumask"].read(text)
        if fields is None:
            return
        queued = frozenset(target.cpu for target in flush.targets)
        # The trace option `fields` does not print masks.
        invalid = "INVALID" in fields[0]
        self._sent(flush, queued if invalid else mask_cpus(fields[0], queued), time)

    @staticmethod
    def _sent(flush: _Flush, cpus: frozenset[int], time: int) -> None:
        reached = [target for target in flush.targets if target.cpu in cpus]
        if not reached:
            return
        flush.calling = False
        flush.send_end = time
        for target in flush.targets:
            target.sent = int(target.cpu in cpus)
            if target.sent:
                target.send = time

    def _handler_entry(self, cpu: int, _pid: int, time: int, _text: str) -> None:
        self._entered[cpu] = time
        self._handled[cpu] = []

    def _handler_exit(self, cpu: int, _pid: int, time: int, _text: str) -> None:
        self._entered.pop(cpu, None)
        running = self._probed.pop(cpu, None)
        if isinstance(running, _Target):
            # Only its begin is known: the csd is released at about this time.
            running.release(time)
        for target in self._handled.pop(cpu, ()):
            target.exit = time

    def _tlb_flush(self, _cpu: int, _pid: int, _time: int, text: str) -> None:
        self._reasons[text[text.find("reason:") :]] += 1

    # --- rows -----------------------------------------------------------------------------------

    def _close(self, flush: _Flush) -> None:
        slowest = max(flush.targets, key=lambda target: (target.end, target.turn), default=None)
        last_ack = -1 if slowest is None else slowest.end
        end = flush.end if flush.returned else max(last_ack, flush.local_done)
        known = any(target.sent >= 0 for target in flush.targets)
        whole = flush.complete and all(target.done for target in flush.targets)
        elapsed = end - flush.start if end >= flush.start >= 0 else -1
        row = (
            flush.phase, flush.task, flush.cpu, _FUNCTIONS.index(flush.function), flush.pages,
            flush.start, flush.send_end, last_ack, end, elapsed, flush.ns, len(flush.targets),
            sum(target.sent == 1 for target in flush.targets) if known else -1,
            -1 if last_ack < 0 or slowest is None else slowest.cpu, flush.returned, whole,
            flush.begun, flush.everything,
        )  # fmt: skip
        for name, value in zip(FLUSH_COLUMNS, row, strict=True):
            self.flushes[name].append(value)
        for target in flush.targets:
            values = (
                self._nr_flushes, target.cpu, target.enqueue, target.send, target.entry,
                target.start, target.end, target.exit, target.sent, target.idle,
            )  # fmt: skip
            for name, value in zip(TARGET_COLUMNS, values, strict=True):
                self.targets[name].append(value)
        # A circle would be left to the collector.
        flush.targets = []
        self._nr_flushes += 1


def _key(cpu: int, pid: int) -> int:
    # The idle tasks of all CPUs are number 0.
    return pid if pid > 0 else ~max(cpu, 0)


def _csd_key(csd: str, function: str, cpu: int) -> object:
    # NULL is the initiator's own. Pointers are hashed, and before there is entropy all look alike.
    return (function, cpu) if is_null(csd) or csd.startswith("(") else (csd, function)


def _pages(function: str, text: str) -> int:
    if FLUSHES[function].kind in ("all", "none"):
        return 0
    match = _RANGE.search(text)
    return int(match[2], 0) - int(match[1], 0) >> _PAGE_SHIFT if match else -1
