# SPDX-License-Identifier: MIT
"""
A run as the kernel would print its trace
-----------------------------------------

What ``/sys/kernel/tracing/trace`` holds, of one of three tracers:

``nop``
    the events of csd, ipi and irq_vectors, and kprobes (kretprobes: ``NAME__return``) on the
    functions that broadcast and on those that say what the run does
``function``
    the same events, and every function of the run as ``NAME <-CALLER``
``function_graph``
    events and functions as nested calls, with the option funcgraph-abstime

Lines, flags and headers are those of Linux 6.1 to 7.3.  Times are those of the simulation
to a microsecond, as the kernel rounds them; the first task is process 1, CPUs without one run
``<idle>`` or an unknown ``<...>``.  Events of tlb are of user addresses and do not occur.

An IPI is said to be sent when the first is about to be, as the kernel does.  Where the csds
of a broadcast are not shown, their number is a line of lost events.

Not told: addresses.  Functions are given a size of 256 bytes, csds a number of their own.

Sources: kernel/trace/{trace,trace_output,trace_functions_graph,trace_kprobe}.c; kernel/smp.c.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from dataclasses import dataclass, field
from typing import IO, Final

from simulator.outputs import Kind
from simulator.trace.exchange.events import Event
from simulator.trace.exchange.tracepoints import FLUSHES, PROBES, TRACEPOINTS, mask_text

__all__ = ("FTRACE", "TRACERS", "FtraceWriter")

TRACERS: Final = ("nop", "function", "function_graph")
#: What such a file is known by.
FTRACE: Final = Kind("a trace of the kernel's", lambda head: head.startswith(b"# tracer: "))

_STORE: Final = "nr_hugepages_store"
_SMP: Final = "on_each_cpu_cond_mask"  # whence smp_call_function_many_cond() is called
_SINGLE: Final = "generic_smp_call_function_single_interrupt"
_WORD_CPUS: Final = 64  # masks are printed in whole longs
_VECTORS: Final = {"CALL_FUNCTION_SINGLE": ("call_function_single", 251),
                   "CALL_FUNCTION": ("call_function", 252)}  # fmt: skip
_VMEMMAP: Final = 0xFFFFEA0000000000
_PAGE_SHIFT: Final = 12
# Functions with a probe, and whether on their return too.
_PROBED: Final = {function: False for function, _ in PROBES.values()} | {
    function: True for function, returns in PROBES.values() if returns
}
_MARKS: Final = ((10**9, "$"), (10**8, "@"), (10**7, "*"), (10**6, "#"), (10**5, "!"),
                 (10**4, "+"))  # fmt: skip
_IRQ_INFO: Final = """\
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
"""
_NO_IRQ_INFO: Final = """\
#           TASK-PID     CPU#     TIMESTAMP  FUNCTION
#              | |         |         |         |
"""
_GRAPH: Final = """\
#     TIME        CPU  DURATION                  FUNCTION CALLS
#      |          |     |   |                     |   |   |   |
"""


@dataclass
class _Cpu:
    # What is known of a CPU as the events go by.
    task: int = -1
    handler: str = ""  # the state that one found, while it runs
    irqs_off: int = 0
    preempt_off: int = 0
    vector: str = ""
    stack: list[tuple[str, int]] = field(default_factory=list)  # functions, and since when
    last_pid: int = -1
    csds: list[str] = field(default_factory=list)


@dataclass
class _Line:
    # Of the graph: a call that is not known to be a leaf yet has no text.
    cpu: int
    ns: int
    name: str
    depth: int
    text: str = ""


class FtraceWriter:
    """
    Writes events as lines; call :meth:`finish` when there is nothing more.

    :param tracer: one of TRACERS.
    :param irq_info: whether to print flags, as the trace option irq-info does; tools that
        read what ``trace-cmd report -R`` prints expect none.
    """

    def __init__(self, file: IO[bytes], nr_cpus: int, tracer: str, irq_info: bool = True) -> None:
        self._file = file
        self._nr_cpus = nr_cpus
        self._tracer = tracer
        self._irq_info = irq_info
        self._graph = tracer == "function_graph"
        # The header says how many events follow.
        self._body = tempfile.TemporaryFile()  # noqa: SIM115 - closed in the end
        self._cpus = [_Cpu() for _ in range(nr_cpus)]
        self._lines: deque[_Line] = deque()
        self._store = (-1, -1)
        self.nr_events = 0

    def take(self, event: Event) -> None:
        """Write what the kernel prints of an event."""
        handle = getattr(self, f"_{event.what}", None)
        if handle is not None:
            handle(event, self._cpus[max(event.cpu, 0)])

    def finish(self) -> None:
        """Write the file."""
        self._flush(everything=True)
        header = f"# tracer: {self._tracer}\n#\n"
        if self._graph:
            header += _GRAPH
        else:
            n = self.nr_events
            header += f"# entries-in-buffer/entries-written: {n}/{n}   #P:{self._nr_cpus}\n#\n"
            header += _IRQ_INFO if self._irq_info else _NO_IRQ_INFO
        self._file.write(header.encode())
        self._body.seek(0)
        shutil.copyfileobj(self._body, self._file)
        self._body.close()

    # --- what happens -----------------------------------------------------------------------

    def _phase(self, event: Event, cpu: _Cpu) -> None:
        # One write stands for all of the phase.
        if event.kind == "begin" and not event.cut:
            cpu.task = event.task
            self._store = event.cpu, event.task
            self._enter(event, cpu, _STORE)
        elif event.kind == "end" and self._store[0] >= 0:
            at, self._store = self._store[0], (-1, -1)
            self._leave(event._replace(cpu=at), self._cpus[at], _STORE)
            for other in self._cpus:
                other.task = -1

    def _function(self, event: Event, cpu: _Cpu) -> None:
        cpu.task = event.task
        # Those that broadcast are told with their broadcasts.
        if event.name in FLUSHES or event.cut:
            return
        if event.kind == "begin":
            self._enter(event, cpu, event.name)
        else:
            self._leave(event, cpu, event.name)

    def _broadcast(self, event: Event, cpu: _Cpu) -> None:
        cpu.task = event.task
        if event.kind == "begin" and event.name.startswith("enqueue") and not event.cut:
            caller, pages = str(event.args["caller"]), int(event.args["pages"])
            self._enter(event, cpu, caller, pages)
            if event.name == "enqueue and send":
                self._lost(event)
        elif event.kind == "begin" and event.name == "run and wait" and not event.cut:
            self._local(event, cpu)
        elif event.kind == "end" and event.name.endswith("wait"):
            self._leave(event, cpu, str(event.args["caller"]))

    def _local(self, event: Event, cpu: _Cpu) -> None:
        # Somewhere here: its own part is not told apart.
        for what in ("entry", "exit"):
            self._event(
                event, cpu, f"csd_function_{what}", func=event.args["function"], csd="0" * 16
            )

    def _csd_queue(self, event: Event, cpu: _Cpu) -> None:
        target, func = event.args["cpu"], event.args["func"]
        csd = _csd(event.cpu, int(target))
        self._event(event, cpu, "csd_queue_cpu", cpu=target, callsite=_at(_SMP), func=func, csd=csd)

    def _ipi_send(self, event: Event, cpu: _Cpu) -> None:
        cpus = frozenset(map(int, str(event.args["cpus"]).split()))
        to = {"callsite": _at(_SMP), "callback": f"{_SINGLE}+0x0/0x20"}
        if len(cpus) == 1:
            self._event(event, cpu, "ipi_send_cpu", cpu=min(cpus), **to)
        else:
            mask = mask_text(cpus, -(-self._nr_cpus // _WORD_CPUS) * _WORD_CPUS)
            self._event(event, cpu, "ipi_send_cpumask", cpumask=mask, **to)

    def _handler(self, event: Event, cpu: _Cpu) -> None:
        if event.kind == "begin":
            cpu.handler = str(event.args["found"])
            cpu.vector = event.name
        if cpu.vector in _VECTORS and not event.cut:
            name, vector = _VECTORS[cpu.vector]
            which = "entry" if event.kind == "begin" else "exit"
            self._event(event, cpu, f"{name}_{which}", vector=vector)
        if event.kind == "end":
            cpu.handler = cpu.vector = ""

    def _call(self, event: Event, cpu: _Cpu) -> None:
        begins = event.kind == "begin"
        if begins:
            sender = event.args.get("from")
            cpu.csds.append("0" * 16 if sender is None else _csd(int(sender), event.cpu))
        csd = cpu.csds[-1]
        if not begins:
            if self._graph:
                self._leave(event, cpu, event.name)
            cpu.csds.pop()
        if not event.cut:
            which = "entry" if begins else "exit"
            self._event(event, cpu, f"csd_function_{which}", func=event.name, csd=csd)
            if begins and self._graph:
                self._enter(event, cpu, event.name)

    def _irqs_off(self, event: Event, cpu: _Cpu) -> None:
        if event.task >= 0 or event.kind == "end":
            cpu.irqs_off = int(event.kind == "begin")

    def _preempt_off(self, event: Event, cpu: _Cpu) -> None:
        cpu.preempt_off = int(event.kind == "begin")

    # --- lines ----------------------------------------------------------------------------

    def _event(self, event: Event, cpu: _Cpu, name: str, /, **fields: object) -> None:
        text = f"{name}: {TRACEPOINTS[name].print(**fields)}"
        if self._graph:
            self._put(event, cpu, f"/* {text} */", len(cpu.stack))
        else:
            self._print(event, cpu, text)

    def _enter(self, event: Event, cpu: _Cpu, name: str, pages: int = 0) -> None:
        if self._graph:
            cpu.stack.append((name, event.ns))
            self._put(event, cpu, "", len(cpu.stack) - 1, name)
            return
        caller = cpu.stack[-1][0] if cpu.stack else "kernfs_fop_write_iter"
        cpu.stack.append((name, event.ns))
        if self._tracer == "function":
            self._print(event, cpu, f"{name} <-{caller}")
            if name not in (*FLUSHES, _STORE):
                return
        if name not in (*_PROBED, *FLUSHES):
            return
        told = ""
        if name == "flush_tlb_kernel_range":
            end = _VMEMMAP + (pages << _PAGE_SHIFT)
            told = f" start={_VMEMMAP:#x} end={end:#x}"
        if self._tracer == "nop":
            self._print(event, cpu, f"{name}: ({name}+0x0/0x100){told}")

    def _leave(self, event: Event, cpu: _Cpu, name: str) -> None:
        # Of a call that began before the window, nothing is known here.
        if not cpu.stack or cpu.stack[-1][0] != name:
            return
        _, since_ns = cpu.stack.pop()
        if self._graph:
            self._return(event, cpu, name, since_ns)
        elif name in FLUSHES or _PROBED.get(name):
            caller = cpu.stack[-1][0] if cpu.stack else "kernfs_fop_write_iter"
            self._print(event, cpu, f"{name}__return: ({_at(caller)} <- {name})")

    def _print(self, event: Event, cpu: _Cpu, text: str) -> None:
        comm, pid = self._context(event, cpu)
        flags = self._flags(cpu) if self._irq_info else ""
        us = _us(event.ns)
        time = f"{us // 10**6:5d}.{us % 10**6:06d}"
        self._write(f"{comm:>16}-{pid:<7d} [{event.cpu:03d}] {flags} {time}: {text}\n")
        self.nr_events += 1

    def _context(self, event: Event, cpu: _Cpu) -> tuple[str, int]:
        if cpu.handler == "idle":
            return "<idle>", 0
        if cpu.task >= 0:
            return f"task{cpu.task}", cpu.task + 1
        return "<...>", self._nr_cpus + 1 + event.cpu

    @staticmethod
    def _flags(cpu: _Cpu) -> str:
        irqs = "d" if cpu.irqs_off or cpu.handler else "."
        depth = "1" if cpu.preempt_off or cpu.handler else "."
        return f"{irqs}.{'h' if cpu.handler else '.'}{depth}."

    def _lost(self, event: Event) -> None:
        nr = int(event.args["targets"])
        if nr:
            # Queued, sent, and its own part.
            line = f"CPU:{event.cpu} [LOST {nr + 3} EVENTS]\n"
            if self._graph:
                self._lines.append(_Line(event.cpu, event.ns, "", 0, line))
            else:
                self._write(line)

    def _write(self, text: str) -> None:
        self._body.write(text.encode())

    # --- the graph -------------------------------------------------------------------------

    def _put(self, event: Event, cpu: _Cpu, text: str, depth: int, name: str = "") -> None:
        self._open_calls(event.cpu)
        _, pid = self._context(event, cpu)
        if cpu.last_pid not in (-1, pid):
            rule = f" {'-' * 42}\n"
            switch = f"{self._of_cpu(event.cpu)} {_proc(cpu.last_pid)} => {_proc(pid)}\n"
            self._lines.append(_Line(event.cpu, event.ns, "", 0, rule + switch + rule + "\n"))
        cpu.last_pid = pid
        line = _Line(event.cpu, event.ns, name, depth)
        if text:
            line.text = self._graph_line(line, "", text)
        self._lines.append(line)
        self.nr_events += 1
        self._flush()

    def _open_calls(self, cpu: int) -> None:
        # What has something in it is no leaf.
        for line in reversed(self._lines):
            if line.cpu == cpu:
                if not line.text:
                    line.text = self._graph_line(line, "", f"{line.name}() {{")
                return

    def _return(self, event: Event, cpu: _Cpu, name: str, since_ns: int) -> None:
        duration = _duration(event.ns - since_ns)
        for line in reversed(self._lines):
            if line.cpu == event.cpu:
                if not line.text and line.name == name:
                    line.text = self._graph_line(line, duration, f"{name}();")
                    self._flush()
                    return
                break
        line = _Line(event.cpu, event.ns, name, len(cpu.stack))
        line.text = self._graph_line(line, duration, "}")
        self._lines.append(line)
        self._flush()

    def _graph_line(self, line: _Line, duration: str, text: str) -> str:
        us = line.ns // 1000
        time = f"{us // 10**6:5d}.{us % 10**6:06d} |  "
        left = f"{time}{self._of_cpu(line.cpu)} {duration or ' ' * 14}|  "
        return f"{left}{'  ' * line.depth}{text}\n"

    def _of_cpu(self, cpu: int) -> str:
        return f" {cpu:{len(str(self._nr_cpus - 1))}d})"

    def _flush(self, everything: bool = False) -> None:
        lines = self._lines
        while lines and (lines[0].text or everything):
            line = lines.popleft()
            self._write(line.text or self._graph_line(line, "", f"{line.name}() {{"))


def _us(ns: int) -> int:
    # As ns2usecs().
    return (ns + 500) // 1000


def _at(function: str) -> str:
    return f"{function}+0x80/0x100"


def _csd(initiator: int, target: int) -> str:
    # A csd is of its initiator and its target, and used again.
    return f"{(initiator + 1) << 16 | (target + 1):016x}"


def _proc(pid: int) -> str:
    text = "<idle>-0" if not pid else f"task{pid - 1}"[:7] + f"-{pid}"
    spaces = max(0, 14 - len(text))
    return " " * (spaces // 2) + text + " " * (spaces - spaces // 2)


def _duration(ns: int) -> str:
    # As trace_print_graph_duration(): no more than seven digits.
    mark = next((sign for limit, sign in _MARKS if ns > limit), " ")
    whole = str(ns // 1000)
    if len(whole) < 7:
        whole += "." + f"{ns % 1000:03d}"[: 7 - len(whole)]
    return f"{mark} {whole} us ".ljust(14)
